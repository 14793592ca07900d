"""An engine with a cache: measurements found in the store are not computed again.

It acts as a `LanguageModel` with the same key, tokenizer and numbers. Requests are always
computed in one order, whatever the caller's, and in pieces of that order. Each piece is in
the store before the next begins, so a run that continues after a kill forms the same
batches and gets the same bits. Equal requests are computed once.
"""

from __future__ import annotations

import logging
import pickle
import secrets
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tmap.artifacts.files import forget, write_text
from tmap.errors import TmapError
from tmap.jobs.log import Progress
from tmap.store.measurements import KEY, Entry, OpenStore, Store, Who
from tmap.store.shards import WHOLE, Share
from tmap.store.spool import Spool

if TYPE_CHECKING:
    from tmap.engines.base import Ids, LanguageModel

logger = logging.getLogger(__name__)
#: Requests and tokens of a piece: the most that a kill can lose.
PIECE, PIECE_TOKENS = 512, 65_536
Compute = Callable[[list[Any]], list[Any]]


class CachingEngine:
    """An engine and its store.

    Parameters
    ----------
    lm : computes what is missing
    words : of the prompts; another template means another shelf of the store
    record : of the fetched model
    open_store : opens the store for a kind and for who is asked
    share : the share that this job computes; the rest is NaN or empty unless stored
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
        self._stores: dict[str, Store] = {}
        self._noted: list[Requests] | None = None
        self._call = 0

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
            # Whole batches of answers, regardless of their number of tokens.
            size = (self.lm.batch_size, None)
            texts = self._measure("texts", asked, questions, tokens, compute, size)
            # Not computed, for it is another job's share, and not used here.
            found.append([[] if text is None else text for text in texts])
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

    def note(self) -> None:
        """From now on, note requests that are not stored, without computing them.

        The rows come in parts, each announced by `next_part`.
        """
        self._noted, self._call = [], 0

    def next_part(self) -> None:
        """Begin a part: the same measures in the same order, for other rows."""
        self._call = 0

    def measure_noted(self) -> int:
        """Compute this job's share of the noted requests; return their number."""
        noted, self._noted = self._noted or [], []
        return sum(requests.measure(self.share) for requests in noted)

    def _measure(
        self,
        kind: str,
        how: Any,
        asked: Sequence[Any],
        tokens: Sequence[int],
        compute: Compute,
        size: tuple[int, int | None] | None = None,
    ) -> list[Any]:
        """The reply of the store or the engine to each request; None if not usable.

        Parameters
        ----------
        kind : folder of the store
        how : settings that all requests share
        asked, tokens : the requests and their lengths
        compute : gives the replies to some requests; None for one that is not usable
        size : largest number of requests and tokens of a piece
        """
        if kind not in self._stores:
            self._stores[kind] = self.open_store(kind, self.who)
        store = self._stores[kind]
        keys = [store.key([how, _plain(what)]) for what in asked]
        known = store.get(keys)
        requests = self._requests(kind, store, compute, size or (PIECE, PIECE_TOKENS))
        requests.add(asked, tokens, keys, known)
        if self._noted is not None:
            return [known.get(key) for key in keys]
        if requests.measure(self.share):
            known |= store.get(key for key in keys if key not in known)
        mine = keys if self.share == WHOLE else requests.measured
        lost = {key for key in mine if key not in known} - requests.unusable
        if lost:
            raise TmapError(
                f"{len(lost)} of {len(set(keys))} replies that this job measured are no "
                f"longer in {store.folder}; each must be there when it is read. Another "
                "job or a clean-up removed them. Run the same command again: it measures "
                "what is missing."
            )
        return [known.get(key) for key in keys]

    def _requests(self, *about: Any) -> Requests:
        """The queue for this call's requests, shared by the same call in other parts."""
        if self._noted is None:
            return Requests(*about)
        if self._call == len(self._noted):
            self._noted.append(Requests(*about))
        self._call += 1
        return self._noted[self._call - 1]


class _ByQuestion(CachingEngine):
    """Keeps single questions for multiple choice, too."""

    def option_nll(
        self,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        options: Sequence[Sequence[Ids]],
    ) -> list[list[list[float]]]:
        """As `LanguageModel.option_nll`.

        Raises
        ------
        TmapError : a likelihood is not finite
        """
        asked = list(zip(questions, options, strict=True))
        tokens = [len(q) + sum(map(len, its)) for q, its in asked]
        found = []
        for prefix in prefixes:

            def compute(some: list[Any], prefix: Ids = prefix) -> list[Any]:
                nll = self.lm.option_nll([prefix], *zip(*some, strict=True))[0]
                if not all(map(_finite, nll)):
                    raise TmapError(
                        "The model's likelihood of an option is not a finite number, so "
                        "none can be chosen; float16 overflows. Set `engine: {dtype: "
                        "bfloat16}` (or float32) in the model card."
                    )
                return nll

            size = (self.lm.batch_size, None)
            how = list(prefix)
            found.append(self._measure("choices", how, asked, tokens, compute, size))
        return found


@contextmanager
def kept_until_done(lm: Any, record: dict[str, Any], folder: Path) -> Iterator[Any]:
    """An engine whose measurements are kept until the block ends without an error.

    They are of no use to another job, so they are not part of the store.

    Parameters
    ----------
    lm, record : as for `CachingEngine`
    folder : for `answers/`, which is removed at the end, as is the folder if then empty;
        unless another job of the same output began meanwhile, which then owns it
    """
    kept = folder / "answers"
    mark, own = kept / "owner", secrets.token_hex(8)
    write_text(mark, own)
    yield _ByQuestion(lm, {}, record, partial(Store, place=kept))
    if mark.is_file() and mark.read_text(encoding="utf-8") == own:
        forget(kept)
    else:
        logger.warning("%s belongs to another job by now, so it is left alone", kept)


class Requests:
    """Requests to be computed in one order; lengths and keys use 60 bytes of memory each.

    Parameters
    ----------
    kind : for the log
    store : keeps the replies
    compute : gives the replies to some requests; None for one that is not usable
    size : largest number of requests and tokens of a piece

    Attributes
    ----------
    measured, unusable : keys that `measure` computed, and those without a usable reply
    """

    def __init__(
        self, kind: str, store: Store, compute: Compute, size: tuple[int, int | None]
    ) -> None:
        self.kind, self.store, self.compute, self.size = kind, store, compute, size
        self.measured: set[str] = set()
        self.unusable: set[str] = set()
        self._keys, self._tokens = bytearray(), array("i")
        self._spool, self._at = (
            Spool(),
            array("q"),
        )  # at: number in the spool; -1 if known

    def add(
        self,
        asked: Sequence[Any],
        tokens: Sequence[int],
        keys: Sequence[str],
        known: Mapping[str, Any],
    ) -> None:
        """Note requests; the content is kept for those that are not `known`."""
        self._tokens.extend(tokens)
        self._keys += "".join(keys).encode()
        for what, key in zip(asked, keys, strict=True):
            is_new = key not in known
            self._at.append(self._spool.append(pickle.dumps(what)) if is_new else -1)

    def measure(self, share: Share) -> int:
        """Compute a share of the missing requests, store it, and return its size."""
        tokens, at = np.array(self._tokens, np.int64), np.array(self._at, np.int64)
        keys = np.frombuffer(bytes(self._keys), f"S{KEY}")
        # Longest first: a request that does not fit into memory fails at once.
        order = np.lexsort((keys, -tokens))
        order = order[
            np.append(True, keys[order][1:] != keys[order][:-1])[: len(order)]
        ]
        mine = share.take(list(_pieces(order, tokens, *self.size)))
        todo = _missing(mine, at, tokens, self.size)
        n, stored = sum(map(len, todo)), int((at[order] < 0).sum())
        logger.info("%s: %d to measure, %d stored", self.kind, n, stored)
        all_tokens = sum(int(tokens[piece].sum()) for piece in todo)
        progress = Progress(self.kind, n, tokens=all_tokens)
        if todo:
            self.store.prepare()
        for piece in todo:
            replies = self.compute([pickle.loads(self._spool[i]) for i in at[piece]])
            said = {k.decode(): r for k, r in zip(keys[piece], replies, strict=True)}
            self.measured |= said.keys()
            self.unusable |= {k for k, reply in said.items() if reply is None}
            self.store.put(
                [Entry(k, None, r) for k, r in said.items() if r is not None]
            )
            progress.advance(len(piece), tokens=int(tokens[piece].sum()))
        if todo:
            self.store.compact()
        return n


def _missing(
    pieces: list[np.ndarray],
    at: np.ndarray,
    tokens: np.ndarray,
    size: tuple[int, int | None],
) -> list[np.ndarray]:
    """Pieces without known requests: untouched pieces as they are, the rest merged."""
    whole = [piece for piece in pieces if (at[piece] >= 0).all()]
    rest = [piece[at[piece] >= 0] for piece in pieces if (at[piece] < 0).any()]
    return [*whole, *(_pieces(np.concatenate(rest), tokens, *size) if rest else ())]


def _pieces(
    rows: np.ndarray, tokens: np.ndarray, most: int, most_tokens: int | None
) -> Iterator[np.ndarray]:
    """Rows in pieces of at most `most` rows and `most_tokens` tokens, at least one row."""
    start = held = 0
    for here, n in enumerate(tokens[rows]):
        full = most_tokens is not None and held + n > most_tokens
        if here > start and (full or here - start == most):
            yield rows[start:here]
            start, held = here, 0
        held += int(n)
    if len(rows):
        yield rows[start:]


def _plain(what: Any) -> Any:
    """Token ids as lists, for the key."""
    if isinstance(what, tuple) and what and not isinstance(what[0], int):
        return [list(part) for part in what]
    return list(what)


def _finite(values: Any) -> bool:
    return bool(np.isfinite(values).all())
