"""A row of the pool as a conversation, and as one worked example."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pandas as pd

from tmap.errors import TmapError

Turn = tuple[str, str]


def turns_of(row: Mapping[str, Any]) -> list[Turn]:
    """The whole conversation of a pool row: [(role, content), ...].

    Roles are "system", "user" and "assistant", as stored. A row without turns is one
    question and one answer.
    """
    turns = row["turns"]
    if not has_turns(row):
        return [("user", _asked(row)), ("assistant", str(row["response"]))]
    return [(str(turn["role"]), str(turn["content"])) for turn in turns]


def has_turns(row: Mapping[str, Any]) -> bool:
    """Whether a row is a chat of several turns, not one question and one answer."""
    return not _is_missing(row["turns"])


def question_of(row: Mapping[str, Any]) -> str:
    """The question of a pool row: its instruction, and below it any input.

    For a chat of several turns, the first user turn.
    """
    return _first_exchange(row)[0]


def answer_of(row: Mapping[str, Any]) -> str:
    """The answer to `question_of(row)`: for a chat, the first assistant turn.

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
    """The first user turn that an assistant turn follows, and that turn."""
    turns = turns_of(row)
    for (role, asked), (next_role, said) in pairwise(turns):
        if (role, next_role) == ("user", "assistant"):
            return asked, said
    return _asked(row), str(row["response"])


def _asked(row: Mapping[str, Any]) -> str:
    parts = [str(row[key]) for key in ("instruction", "input") if row[key]]
    return "\n\n".join(parts)


def _is_missing(turns: Any) -> bool:
    """Whether a cell has no turns: null, as pandas reads it, or empty."""
    return turns is None or isinstance(turns, float) or len(turns) == 0
