"""A row of the pool as a conversation, and as one worked example."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd

from tmap.errors import TmapError


class Turn(NamedTuple):
    """One turn.

    Attributes
    ----------
    role : system, user or assistant
    content : its text, with any reasoning as `<think>...</think>` in front
    counts : whether the loss counts on it, if it is an answer
    """

    role: str
    content: str
    counts: bool = True


#: A turn, or its role and content alone.
Spoken = Turn | tuple[str, str]


def turns_of(row: Mapping[str, Any]) -> list[Turn]:
    """The whole conversation of a pool row.

    A row without turns is one question and one answer.
    """
    turns = row["turns"]
    if not has_turns(row):
        return [Turn("user", _asked(row)), Turn("assistant", str(row["response"]))]
    return [
        Turn(str(turn["role"]), str(turn["content"]), turn.get("weight") != 0)
        for turn in turns
    ]


def has_turns(row: Mapping[str, Any]) -> bool:
    """Whether a row is a chat of several turns, not one question and one answer."""
    return not _is_missing(row["turns"])


def question_of(row: Mapping[str, Any]) -> str:
    """The question of a pool row: its instruction, and below it any input.

    For a chat of several turns, the user turn before the first answer that the loss
    counts.
    """
    return _first_exchange(row)[0]


def answer_of(row: Mapping[str, Any]) -> str:
    """The answer to `question_of(row)`: for a chat, the first one that the loss counts.

    (The column `response` is the chat's last turn, which answers another question.)
    """
    return _first_exchange(row)[1]


def chosen(pool: pd.DataFrame, subset: pd.DataFrame) -> pd.DataFrame:
    """The rows of table 'pool' that table 'subset' names, by sample_id.

    They come in the order of their ids, not ranks: training uses them as a set.
    """
    missing = sorted(set(subset["sample_id"]) - set(pool["sample_id"]))
    if missing:
        raise TmapError(
            f"The subset names {len(missing)} samples that the pool lacks, such as "
            f"'{missing[0]}'; it must come from this pool. Build the subset again."
        )
    rows = pool[pool["sample_id"].isin(set(subset["sample_id"]))]
    return rows.sort_values("sample_id", ignore_index=True)


def _first_exchange(row: Mapping[str, Any]) -> tuple[str, str]:
    """The first user turn that an answer in the loss follows, and that answer."""
    for asked, said in pairwise(turns_of(row)):
        if (asked.role, said.role) == ("user", "assistant") and said.counts:
            return asked.content, said.content
    return _asked(row), str(row["response"])


def _asked(row: Mapping[str, Any]) -> str:
    parts = [str(row[key]) for key in ("instruction", "input") if row[key]]
    return "\n\n".join(parts)


def _is_missing(turns: Any) -> bool:
    """Whether a cell has no turns: null, as pandas reads it, or empty."""
    return turns is None or isinstance(turns, float) or len(turns) == 0
