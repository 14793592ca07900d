"""Distillation: a teacher writes the reasoning that leads from question to known answer.

Paper 4.4.2 and appendix Table 11, in our own words (form `reasoning` of a judge card). The
teacher sees the question, and the answer if the form has {response}. It ends with
"#### ANSWER", so every row can be checked: a row whose final answer is not the source's is
rejected, and the reason is kept. A right answer does not make the steps right; no check
here reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tmap.data.formats import Candidate
from tmap.data.overlap import words
from tmap.data.pool import text_hash
from tmap.errors import TmapError
from tmap.evaluation.readers import read_number
from tmap.judges import Judge
from tmap.prompts.conversation import answer_of, has_turns

MARK = "####"
SHOWN = 80  # characters of a reply in a reason


@dataclass
class Distilled:
    """Tables 'pool' and 'pool_rejected', and rejections by kind."""

    kept: pd.DataFrame
    rejected: pd.DataFrame
    notes: dict[str, Any]


class Unfit(Exception):
    """A reply that cannot become a sample; the message is the reason."""


def distil(pool: pd.DataFrame, judge: Judge, reader: str) -> Distilled:
    """Replace every response by the teacher's reasoning.

    Parameters
    ----------
    pool : table 'pool'; its responses contain the known answers
    judge : the teacher, with the form `reasoning`
    reader : of the dataset card; `number` compares the answers' values, others their words

    Returns
    -------
    Distilled
        Kept rows in the pool's order, with their sample ids; rejected rows with the row
        number in the pool and a reason.

    Raises
    ------
    TmapError
        The pool is empty, no row is left, or a budget is spent (answers so far are
        stored, and the next run continues).
    """
    rows = pool.to_dict("records")
    if not rows:
        raise TmapError(
            "There is nothing to distil: the undistilled pool is empty. Name a pool with "
            "samples under `pool:` in the dataset card."
        )
    replies = judge.ask([{**row, "response": final(row)} for row in rows], "text")
    kept: list[dict[str, Any]] = []
    rejected: list[tuple[int, str]] = []
    hashes: set[str] = set()
    kinds: dict[str, int] = {}
    for line, (row, reply) in enumerate(zip(rows, replies, strict=True)):
        try:
            if reply.raw is None:
                raise Unfit(f"no reply: {reply.status}")
            made = sample(row, reply.raw["text"], reader)
            if made["text_hash"] in hashes:
                raise Unfit("duplicate: the same text as an earlier row")
        except Unfit as fault:
            rejected.append((line, f"sample {row['sample_id']}: {fault}"))
            kind = str(fault).partition(":")[0]
            kinds[kind] = kinds.get(kind, 0) + 1
            continue
        hashes.add(made["text_hash"])
        kept.append(made)
    if not kept:
        raise TmapError(
            f"No distilled row can be used; the first fault: {rejected[0][1]}. Look at the "
            "teacher's replies, and correct the template `reasoning` of its judge card."
        )
    return Distilled(
        pd.DataFrame(kept),
        pd.DataFrame(rejected, columns=["line", "reason"]),
        {"distilled": len(kept), "distilled_rejected": dict(sorted(kinds.items()))},
    )


def sample(row: Mapping[str, Any], text: str, reader: str) -> dict[str, Any]:
    """A pool row with the teacher's text as its response.

    Raises
    ------
    Unfit : a chat, no closing answer, no reasoning before it, or another answer
    """
    if has_turns(row):
        raise Unfit("chat: it has several turns, and a path leads to one answer")
    text = text.strip()
    reasoning, mark, answer = text.rpartition(MARK)
    if not mark or not answer.strip():
        raise Unfit(f"no answer: nothing after '{MARK}' in {text[-SHOWN:]!r}")
    if not words(reasoning):
        raise Unfit("no reasoning: nothing before the answer")
    gold = final(row)
    if not same(answer, gold, reader):
        raise Unfit(
            f"another answer: {answer.strip()[:SHOWN]!r}, known {gold[:SHOWN]!r}"
        )
    candidate = Candidate(row["instruction"], row["input"], text, None, ())
    return {**row, "response": text, "turns": None, "text_hash": text_hash(candidate)}


def final(row: Mapping[str, Any]) -> str:
    """The known answer of a row: what follows its last mark, or the whole response."""
    return answer_of(row).rpartition(MARK)[2].strip()


def same(answer: str, gold: str, reader: str) -> bool:
    """Whether two final answers agree: equal values, or equal words."""
    if reader == "number":
        value = read_number(f"{MARK} {answer.strip()}").numeric
        return value is not None and value == read_number(f"{MARK} {gold}").numeric
    return words(answer) == words(gold) != []
