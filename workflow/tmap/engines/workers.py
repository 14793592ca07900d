"""Several processes, each with the whole model on its own GPU, that share the requests.

Groups are divided among the processes if they divide evenly, otherwise questions. Each
process is an engine of its own. On a CPU, the processes share the job's threads.
"""

from __future__ import annotations

import logging
import os
import signal
import traceback
import weakref
from collections.abc import Sequence
from copy import copy
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tmap import engines
from tmap.engines.base import Ids, Spent
from tmap.engines.weights import load_tokenizer, settle
from tmap.errors import TmapError
from tmap.jobs import log

if TYPE_CHECKING:
    from tmap.cards.model import EngineSection

SECONDS_TO_END = 10


class Call(NamedTuple):
    """A method of an engine, and its arguments."""

    name: str
    given: tuple[Any, ...]
    how: dict[str, Any]


class WorkerReply(NamedTuple):
    """The result of a call, an answer or a fault, and the engine's state after it."""

    found: Any = None
    fault: str = ""
    is_ours: bool = True
    spent: Spent = Spent()
    rows: int = 0


class Workers:
    """As `LanguageModel`: `engine: {data_parallel: n}` of a model card.

    Parameters
    ----------
    record, engine, adapter : as for `engines.load`; n is above 1
    key : identifies everything that can change a token

    Raises
    ------
    TmapError
        The job sees fewer GPUs than processes, or a process cannot load the model.
    """

    def __init__(
        self,
        record: dict[str, Any],
        engine: EngineSection,
        adapter: str | Path | None,
        key: str,
    ) -> None:
        self.key = key
        self.tokenizer = load_tokenizer(record)
        self.spent = Spent()
        alone = engine.model_copy(update={"data_parallel": 1})
        start = get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for number, place in enumerate(_places(engine)):
            ours, theirs = start.Pipe()
            process = start.Process(
                target=work,
                args=(theirs, number, place, record, alone, adapter),
                daemon=True,
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        self._end = weakref.finalize(self, _end, self._pipes, self._processes)
        ready = self._replies(range(len(self._pipes)))
        self.context, self.n_layers = ready[0].found
        self._each = min(reply.rows for reply in ready)

    @property
    def batch_size(self) -> int:
        """Rows that all processes compute together."""
        return self._each * len(self._pipes)

    @batch_size.setter
    def batch_size(self, rows: int) -> None:
        self._each = max(1, rows // len(self._pipes))

    def generate(
        self,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        *,
        max_new_tokens: int,
        stop: Sequence[str] = (),
    ) -> list[list[list[int]]]:
        """As `LanguageModel.generate`."""
        how = {"max_new_tokens": max_new_tokens, "stop": tuple(stop)}
        return self._pairs("generate", prefixes, [questions], how)

    def option_nll(
        self,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        options: Sequence[Sequence[Ids]],
    ) -> list[list[list[float]]]:
        """As `LanguageModel.option_nll`."""
        return self._pairs("option_nll", prefixes, [questions, options], {})

    def answer_nll(
        self, prompts: Sequence[Ids], answers: Sequence[Ids]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `LanguageModel.answer_nll`."""
        total, count = np.full(len(prompts), np.nan), np.zeros(len(prompts), np.int64)
        for rows, found in self._rows("answer_nll", [prompts, answers]):
            total[rows], count[rows] = found
        return total, count

    def digit_logits(self, prompts: Sequence[Ids], digits: Ids) -> np.ndarray:
        """As `LanguageModel.digit_logits`."""
        logits = np.empty((len(prompts), len(digits)))
        for rows, found in self._rows("digit_logits", [prompts], list(digits)):
            logits[rows] = found
        return logits

    def attention(
        self, prefixes: Sequence[Ids], questions: Sequence[Ids], layer: int
    ) -> list[np.ndarray]:
        """As `LanguageModel.attention`."""
        paid: dict[int, np.ndarray] = {}
        for rows, found in self._rows("attention", [prefixes, questions], layer):
            paid |= zip(rows, found, strict=True)
        return [paid[row] for row in range(len(prefixes))]

    def _pairs(
        self,
        name: str,
        prefixes: Sequence[Ids],
        columns: list[Sequence[Any]],
        how: dict[str, Any],
    ) -> Any:
        """[m][S] answers; each of `columns` has a value for each of the S questions."""
        n, m, size = len(self._pipes), len(prefixes), len(columns[0])
        by_group = m > 0 and m % n == 0
        shares = _deal(m if by_group else size, n)
        calls = []
        for share in shares:
            its = [prefixes[i] for i in share] if by_group else list(prefixes)
            asked = [
                list(column) if by_group else [column[i] for i in share]
                for column in columns
            ]
            calls.append(Call(name, (its, *asked), how))
        answers: list[list[Any]] = [[None] * size for _ in prefixes]
        for share, found in zip(shares, self._ask(calls), strict=True):
            for i, its in enumerate(found):
                if by_group:
                    answers[share[i]] = its
                else:
                    answers[i][share.start :: n] = its
        return answers

    def _rows(
        self, name: str, columns: list[Sequence[Any]], *more: Any
    ) -> list[tuple[range, Any]]:
        """(rows, their results); each of `columns` has a value for each row."""
        shares = _deal(len(columns[0]), len(self._pipes))
        calls = [
            Call(name, (*([column[i] for i in share] for column in columns), *more), {})
            for share in shares
        ]
        return list(zip(shares, self._ask(calls), strict=True))

    def _ask(self, calls: list[Call]) -> list[Any]:
        """The answers to these calls, the first process's first."""
        for number, call in enumerate(calls):
            try:
                self._pipes[number].send((call, self._each))
            except OSError:
                raise self._gone(number) from None
        replies = self._replies(range(len(calls)))
        if replies:
            self._each = min(self._each, *(reply.rows for reply in replies))
            self.spent = self.spent + _together([reply.spent for reply in replies])
        return [reply.found for reply in replies]

    def _replies(self, numbers: range) -> list[WorkerReply]:
        """The replies of these processes; all have replied before a fault is raised."""
        replies: list[WorkerReply] = []
        for number in numbers:
            try:
                replies.append(self._pipes[number].recv())
            except (EOFError, OSError):
                raise self._gone(number) from None
        for reply in replies:
            if reply.fault:
                raise (TmapError if reply.is_ours else RuntimeError)(reply.fault)
        return replies

    def _gone(self, number: int) -> TmapError:
        self._processes[number].join(SECONDS_TO_END)
        code = self._processes[number].exitcode
        self._end()
        return TmapError(
            f"Process {number} of the model's {len(self._pipes)} ended (exit code {code}"
            f"{': killed, probably out of memory' if code == -9 else ''}). Answers so "
            "far are on disk; the same command continues. Give the job more memory "
            "(`resources.mem_mb`), or lower `engine.data_parallel` in the model card."
        )


def work(
    pipe: Connection,
    number: int,
    place: dict[str, str],
    record: dict[str, Any],
    engine: EngineSection,
    adapter: str | Path | None,
) -> None:
    """The loop of a process until its pipe is closed. Only the first logs progress."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks decides
    os.environ.update(place)  # before torch looks
    log.setup()
    if number:
        logging.getLogger("tmap").setLevel(logging.WARNING)
    try:
        lm = engines.load(record, engine, adapter)
        reply = WorkerReply((lm.context, lm.n_layers), rows=lm.batch_size)
    except Exception as fault:
        reply = _fault(fault)
    while True:
        try:
            pipe.send(reply)
            call, rows = pipe.recv()
        except (EOFError, OSError):
            return  # no more calls
        before = copy(lm.spent)
        lm.batch_size = rows
        try:
            found = getattr(lm, call.name)(*call.given, **call.how)
            reply = WorkerReply(found, spent=lm.spent.since(before), rows=lm.batch_size)
        except Exception as fault:
            reply = _fault(fault)


def _fault(fault: Exception) -> WorkerReply:
    is_ours = isinstance(fault, TmapError)
    words = str(fault) if is_ours else "".join(traceback.format_exception(fault))
    return WorkerReply(fault=words, is_ours=is_ours)


def _deal(size: int, n: int) -> list[range]:
    """Divide 0 to size - 1 into n shares in turn; empty shares are left out."""
    return [range(k, size, n) for k in range(min(n, size))]


def _places(engine: EngineSection) -> list[dict[str, str]]:
    """Environment of each process: its GPU, or its share of the threads."""
    import torch

    n = engine.data_parallel
    if settle(engine)[0] == "cpu":
        return [{"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // n))}] * n
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = named.split(",") if named else map(str, range(torch.cuda.device_count()))
    gpus = list(gpus)
    if len(gpus) < n:
        seen = "1 GPU" if len(gpus) == 1 else f"{len(gpus)} GPUs"
        raise TmapError(
            f"The model card says engine.data_parallel: {n}, but this job sees {seen}; "
            f"each process needs its own. Run it where it gets {n} GPUs (it requests them "
            "unless `resources: gpu:` is 0), or lower `engine.data_parallel`."
        )
    return [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus[:n]]


def _together(spent: list[Spent]) -> Spent:
    """The cost of parallel processes: the longest times, the sum of tokens."""
    return Spent(
        max(one.prefill_seconds for one in spent),
        max(one.decode_seconds for one in spent),
        sum(one.prompt_tokens for one in spent),
        sum(one.new_tokens for one in spent),
        max(one.floor_seconds for one in spent),
    )


def _end(pipes: list[Connection], processes: list[Any]) -> None:
    for pipe in pipes:
        pipe.close()
    for process in processes:
        process.join(SECONDS_TO_END)
        if process.is_alive():
            process.terminate()
