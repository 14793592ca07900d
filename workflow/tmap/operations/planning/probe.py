"""How fast this machine computes a small model: a probe of a few seconds.

It loads the model as a job does, reads rows and writes answers. Training is counted as
three times as slow as reading: a pass forward and one backward, which costs twice as much.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tmap import cards
from tmap.operations.planning import hours

#: Rows of a batch and tokens of each, tokens of an answer, and seconds of one measure.
ROWS, TOKENS, WRITTEN, SECONDS = 16, 128, 24, 1.0
TRAINING = 3.0
#: Parameters of the largest model that is probed; a larger one would take minutes.
MOST = 500e6


@dataclass(frozen=True)
class Speed:
    """What a model takes here.

    Attributes
    ----------
    start : seconds from a job's begin until the model is loaded
    read, written : tokens per second, in batches
    """

    start: float
    read: float
    written: float

    def seconds(self, read: float, written: float, trained: float) -> float:
        """Of one job, from its tokens."""
        computed = (read + TRAINING * trained) / self.read + written / self.written
        return self.start + computed


@cache
def measured(model: str) -> Speed | None:
    """The speed of a model card's model on this machine's CPU.

    None if its files are not here yet, it has more than `MOST` parameters, or a server
    answers.
    """
    card = cards.load("models", model)
    record = hours.record(model, card)
    if record is None or card.engine.server is not None:
        return None
    if record["n_parameters"] > MOST:
        return None
    from tmap import engines

    begin = time.perf_counter()
    lm = engines.load(record, card.engine.model_copy(update={"data_parallel": 1}))
    start = time.perf_counter() - begin
    ids = lm.tokenizer.encode("how many are left then? " * TOKENS)[:TOKENS]
    rows = [ids for _ in range(ROWS)]

    def write() -> int:
        found = lm.generate([[]], rows, max_new_tokens=WRITTEN)
        return sum(max(1, len(answer)) for answer in found[0])

    def read() -> int:
        lm.answer_nll(rows, [ids[:1]] * ROWS)
        return ROWS * (len(ids) + 1)

    reading = _rate(read)
    # Writing reads the prompts first, which is counted as reading.
    n, seconds = _timed(write)
    writing = n / max(seconds - ROWS * len(ids) / reading, 0.1 * seconds)
    return Speed(start, reading, writing)


def _rate(work: Callable[[], int]) -> float:
    work()  # the first time is slower
    n, seconds = _timed(work)
    return n / seconds


def _timed(work: Callable[[], int]) -> tuple[int, float]:
    """Units done, and seconds, until `SECONDS` are over."""
    begin, n = time.perf_counter(), 0
    while True:
        n += work()
        seconds = time.perf_counter() - begin
        if seconds >= SECONDS:
            return n, seconds
