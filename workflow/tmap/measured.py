"""An engine whose measurements are kept: what the store has is not computed again.

It stands for a `LanguageModel` with the same key, tokenizer and numbers. Requests are
computed in one order, whatever the caller's, and in pieces of that order, each of which
is in the store before the next begins: a run that continues after a kill forms the same
batches, and so the same bits. Equal requests are computed once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tmap.log import Progress
from tmap.shares import WHOLE, Share
from tmap.store import Entry, OpenStore, Store, Who

if TYPE_CHECKING:
    from tmap.engines.base import Ids, LanguageModel

logger = logging.getLogger(__name__)
#: Requests and tokens of a piece: what a kill can cost.
PIECE, PIECE_TOKENS = 512, 65_536
#: Written answers of a piece, where the card leaves the batch to memory.
PIECE_TEXTS = 128
Compute = Callable[[list[Any]], list[Any]]


class Request(NamedTuple):
    """What is asked, its length in tokens, and its key in the store."""

    what: Any
    tokens: int
    key: str


class Measured:
    """An engine and its store.

    Parameters
    ----------
    lm : computes what is missing
    words : of the prompts: another template is another shelf of the store
    record : of the fetched model
    open_store : gives the store of a kind and of who is asked
    share : what this job computes; the rest is NaN or empty unless it is stored
    """

    def __init__(
        self,
        lm: LanguageModel,
        words: Any,
        record: dict[str, Any],
        open_store: OpenStore = Store,
        share: Share = WHOLE,
    ) -> None:
        self.lm, self.open_store, self.share = lm, open_store, share
        about = {"revision": record["revision"], "card": record["model"]}
        self.who: Who = {"engine": lm.key, "words": words, **about}

    def __getattr__(self, name: str) -> Any:
        if name in ("key", "tokenizer", "context", "n_layers", "batch_size"):
            return getattr(self.lm, name)
        raise AttributeError(name)

    def answer_nll(
        self, prompts: Sequence[Ids], answers: Sequence[Ids]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `LanguageModel.answer_nll`; sums that are not finite are NaN."""

        def compute(some: list[Any]) -> list[Any]:
            sums, counts = self.lm.answer_nll(*zip(*some, strict=True))
            pairs = zip(sums.tolist(), counts.tolist(), strict=True)
            return [[nll, n] if np.isfinite(nll) else None for nll, n in pairs]

        pairs = list(zip(prompts, answers, strict=True))
        tokens = [len(p) + len(a) for p, a in pairs]
        found = self._measure("nll", None, pairs, tokens, compute)
        count = np.array([len(a) - (len(p) == 0) for p, a in pairs], np.int64)
        total = np.array([np.nan if r is None else r[0] for r in found], np.float64)
        return total, count

    def option_nll(
        self,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        options: Sequence[Sequence[Ids]],
    ) -> list[list[list[float]]]:
        """As `LanguageModel.option_nll`; NaN for a prefix without finite values."""

        def compute(some: list[Any]) -> list[Any]:
            found = self.lm.option_nll(some, questions, options)
            flat = [[nll for its in one for nll in its] for one in found]
            return [
                one if good else None
                for one, good in zip(found, map(_finite, flat), strict=True)
            ]

        asked = [list(q) for q in questions], [[list(o) for o in s] for s in options]
        rest = sum(len(q) + sum(map(len, s)) for q, s in zip(*asked, strict=True))
        tokens = [len(prefix) + rest for prefix in prefixes]
        found = self._measure("options", asked, prefixes, tokens, compute)
        nothing = [[float("nan")] * len(its) for its in options]
        return [nothing if one is None else one for one in found]

    def generate(
        self,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        *,
        max_new_tokens: int,
        stop: Sequence[str] = (),
    ) -> list[list[list[int]]]:
        """As `LanguageModel.generate`."""
        how: dict[str, Any] = {"max_new_tokens": max_new_tokens, "stop": list(stop)}
        found = []
        for prefix in prefixes:

            def compute(some: list[Any], prefix: Ids = prefix) -> list[Any]:
                return self.lm.generate([prefix], some, **how)[0]

            tokens = [len(question) + max_new_tokens for question in questions]
            asked = [list(prefix), how]
            # Whole batches of answers, however many tokens they have. A size that memory
            # decides is known to the loaded engine only, and pieces must not differ.
            batch = self.lm.batch_size
            size = (batch if isinstance(batch, int) else PIECE_TEXTS, None)
            texts = self._measure("texts", asked, questions, tokens, compute, size)
            found.append([text or [] for text in texts])
        return found

    def digit_logits(self, prompts: Sequence[Ids], digits: Ids) -> np.ndarray:
        """As `LanguageModel.digit_logits`; a row that is not finite is all NaN."""

        def compute(some: list[Any]) -> list[Any]:
            rows = self.lm.digit_logits(some, digits).tolist()
            return [row if _finite(row) else None for row in rows]

        tokens = [len(prompt) for prompt in prompts]
        found = self._measure("digits", list(digits), prompts, tokens, compute)
        nothing = [np.nan] * len(digits)
        rows = [nothing if row is None else row for row in found]
        return np.array(rows, np.float64).reshape(len(prompts), len(digits))

    def attention(
        self, prefixes: Sequence[Ids], questions: Sequence[Ids], layer: int
    ) -> list[np.ndarray]:
        """As `LanguageModel.attention`; NaN for a prompt without finite values."""

        def compute(some: list[Any]) -> list[Any]:
            before, after = zip(*some, strict=True)
            paid = self.lm.attention(before, after, layer)
            return [one.tolist() if _finite(one) else None for one in paid]

        pairs = list(zip(prefixes, questions, strict=True))
        tokens = [len(p) + len(q) for p, q in pairs]
        found = self._measure("attention", layer, pairs, tokens, compute)
        return [
            np.full(len(p), np.nan) if one is None else np.array(one)
            for one, (p, _) in zip(found, pairs, strict=True)
        ]

    def _measure(
        self,
        kind: str,
        how: Any,
        asked: Sequence[Any],
        tokens: Sequence[int],
        compute: Compute,
        size: tuple[int, int | None] | None = None,
    ) -> list[Any]:
        """What the store or the engine says to each request; None: nothing usable.

        Parameters
        ----------
        kind : folder of the store
        how : what is the same for all requests
        asked, tokens : the requests and their lengths
        compute : replies to some requests; None for one that is not usable
        size : requests and tokens of a piece at most
        """
        size = size or (PIECE, PIECE_TOKENS)
        store = self.open_store(kind, self.who)
        requests = [
            Request(what, n, store.key([how, _plain(what)]))
            for what, n in zip(asked, tokens, strict=True)
        ]
        # Longest first: what does not fit the memory shows at once.
        unique = {request.key: request for request in requests}
        order = sorted(unique.values(), key=lambda r: (-r.tokens, r.key))
        known = store.get(unique)
        mine = self.share.take(list(_pieces(order, *size)))
        todo = _missing(mine, known, size)
        n = sum(map(len, todo))
        logger.info("%s: %d to measure, %d stored", kind, n, len(known))
        progress = Progress(kind, n, tokens=sum(r.tokens for p in todo for r in p))
        for piece in todo:
            replies = compute([request.what for request in piece])
            said = zip(piece, replies, strict=True)
            good = [Entry(r.key, None, reply) for r, reply in said if reply is not None]
            store.put(good)
            known |= {entry.key: entry.reply for entry in good}
            progress.advance(len(piece), tokens=sum(r.tokens for r in piece))
        if todo:
            store.compact()
        return [known.get(request.key) for request in requests]


def _missing(
    pieces: list[list[Request]], known: dict[str, Any], size: tuple[int, int | None]
) -> list[list[Request]]:
    """Pieces without what is known: untouched ones as they are, the others together."""
    whole, rest = [], []
    for piece in pieces:
        left = [request for request in piece if request.key not in known]
        if len(left) == len(piece):
            whole.append(piece)
        else:
            rest += left
    return [*whole, *_pieces(rest, *size)]


def _pieces(
    requests: Sequence[Request], most: int, most_tokens: int | None
) -> Iterator[list[Request]]:
    """Requests in pieces of at most so many, and of so many tokens unless it is one."""
    piece: list[Request] = []
    tokens = 0
    for request in requests:
        full = most_tokens is not None and tokens + request.tokens > most_tokens
        if piece and (full or len(piece) == most):
            yield piece
            piece, tokens = [], 0
        piece.append(request)
        tokens += request.tokens
    if piece:
        yield piece


def _plain(what: Any) -> Any:
    """Token ids as lists, for the key."""
    if isinstance(what, tuple) and what and not isinstance(what[0], int):
        return [list(part) for part in what]
    return list(what)


def _finite(values: Any) -> bool:
    return bool(np.isfinite(values).all())
