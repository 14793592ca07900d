"""A language model with scripted answers that records what it was asked."""

from __future__ import annotations

from tmap.engines.base import Spent


class Scripted:
    """Answers by question number; every call is recorded.

    Parameters
    ----------
    tokenizer : of the prompts
    texts : [m][S] answers, written as text
    nll : [m][S][n_options] of options
    """

    key, batch_size, spent = "scripted", 1, Spent()

    def __init__(self, tokenizer, texts=None, nll=None):
        self.tokenizer, self.texts, self.nll = tokenizer, texts, nll
        self.prompts, self.options = [], []

    def generate(self, prefixes, questions, *, max_new_tokens, stop=()):
        self.prompts += [[*p, *q] for p in prefixes for q in questions]
        self.max_new_tokens, self.stop = max_new_tokens, stop
        return [[self._ids(text) for text in group] for group in self.texts]

    def option_nll(self, prefixes, questions, options):
        self.prompts += [[*p, *q] for p in prefixes for q in questions]
        self.options = options
        return self.nll

    def _ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False)
