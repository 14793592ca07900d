"""Helpers for tests of indicators that ask a model."""

from __future__ import annotations

import re

import pandas as pd

from tmap.cards.model import PlaceSection
from tmap.embeddings import encoder


def a_pool(*rows):
    """Table 'pool' of (question, answer) pairs; hashes are not in their order."""
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(len(rows))],
            "instruction": [question for question, _ in rows],
            "input": "",
            "response": [answer for _, answer in rows],
            "turns": None,
            "source": "test",
            "text_hash": [f"{(7 * i) % 16:016x}" for i in range(len(rows))],
        }
    )


def encoder_of(record):
    """A fetched model as an encoder."""
    return encoder.load(record, PlaceSection(device="cpu", dtype="float32"))


class Obedient:
    """An engine with given answers that measures like the real one.

    `say` makes the reply from a prompt's text; by default every question that is
    numbered there is answered by 7.
    """

    def __init__(self, lm, say=None):
        self.lm, self.say, self.prompts = lm, say or sevens, []

    def __getattr__(self, name):
        return getattr(self.lm, name)

    def generate(self, prefixes, questions, *, max_new_tokens, stop=()):
        self.prompts = [[*p, *q] for p in prefixes for q in questions]
        encode = self.lm.tokenizer.encode
        said = [
            encode(self.say(self.lm.tokenizer.decode(ids)), add_special_tokens=False)
            for ids in self.prompts
        ]
        assert len(prefixes) == 1
        return [said]


def sevens(prompt):
    numbers = re.findall(r"Question ([0-9]+):", prompt)
    return "\n".join(f"Answer {n}: 7" for n in numbers) or "7"
