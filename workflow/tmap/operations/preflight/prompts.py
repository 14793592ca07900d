"""Pool rows as the trainer will get them, token by token, and what is cut off."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tmap.evaluation.marking import Marking
from tmap.operations.preflight.data import spread
from tmap.prompts.conversation import answer_of, question_of, turns_of
from tmap.prompts.renderer import Demo, Renderer
from tmap.search.demonstrations import short_enough
from tmap.search.reward import room
from tmap.training.rows import IGNORED, WARN_ABOVE, Row

#: The most rows that are rendered; in a larger pool they are evenly spread.
SAMPLE = 2000
#: The most rows that the template itself renders, too.
COMPARED = 200


class Piece(NamedTuple):
    """A stretch of a row: its text, its number of tokens, and whether the loss counts."""

    text: str
    n_tokens: int
    trained: bool


@dataclass
class Rendered:
    """One row as it is trained on, after cutting."""

    what: str
    sample_id: str
    n_tokens: int
    n_loss_tokens: int
    pieces: list[Piece]


@dataclass
class RowFindings:
    """Lengths of the rows that were rendered, and three of them.

    Attributes
    ----------
    limit : most tokens of a row, and what sets the limit
    truncated : rows that lose their end but keep something to learn
    dropped : rows with nothing left to learn
    median, longest : tokens; the median before cutting, the longest after it
    most, nearly_all : tokens that 90 % and 99 % of the rows have at most, before cutting
    compared, rewritten : rows that were compared with what the template itself writes, and
        sample ids of those that it writes otherwise
    """

    limit: tuple[int, str]
    n_rows: int
    n_pool: int
    truncated: int
    dropped: int
    median: float
    longest: int
    most: float
    nearly_all: float
    compared: int
    rewritten: list[str]
    shown: list[Rendered]


def look(renderer: Renderer, pool: pd.DataFrame, limit: tuple[int, str]) -> RowFindings:
    """Render the pool, or an even sample of a large one.

    Parameters
    ----------
    renderer : of the target model
    pool : table 'pool', at least one row
    limit : most tokens of a row, and what sets the limit
    """
    records = spread(pool, SAMPLE).to_dict("records")
    whole = [renderer.training(turns_of(record)) for record in records]
    rows = [
        Row(
            row.ids[: limit[0]],
            [i if n else IGNORED for i, n in zip(*row, strict=True)][: limit[0]],
        )
        for row in whole
    ]
    lengths = np.array([len(row.ids) for row in whole])
    empty = np.array([row.n_loss_tokens == 0 for row in rows])
    order = np.argsort(lengths, kind="stable")
    some = spread(pd.DataFrame(records), COMPARED)
    odd = renderer.rewritten([turns_of(record) for record in some.to_dict("records")])
    names = {"shortest": order[0], "middle": order[len(order) // 2]}
    return RowFindings(
        limit=limit,
        n_rows=len(rows),
        n_pool=len(pool),
        truncated=int(((lengths > limit[0]) & ~empty).sum()),
        dropped=int(empty.sum()),
        median=float(np.median(lengths)),
        longest=int(min(lengths.max(), limit[0])),
        most=float(np.quantile(lengths, 0.9)),
        nearly_all=float(np.quantile(lengths, 0.99)),
        compared=len(some),
        rewritten=some["sample_id"][odd].astype(str).tolist(),
        shown=[
            _rendered(what, str(records[at]["sample_id"]), rows[at], renderer.tokenizer)
            for what, at in (names | {"longest": order[-1]}).items()
        ],
    )


def never_shown(
    renderer: Renderer,
    pool: pd.DataFrame,
    questions: pd.DataFrame,
    marking: Marking,
    context: int,
    n_shots: int,
) -> list[str]:
    """A sentence if the search could not show some rows, which their length decides.

    Parameters
    ----------
    renderer : of the target model, which reads `context` tokens
    pool, questions : tables 'pool' and 'questions' (those that guide the search)
    """
    space = room(renderer, questions, marking, context, n_shots)
    rows = spread(pool, SAMPLE).to_dict("records")
    texts = [Demo(question_of(row), answer_of(row)) for row in rows]
    n_long = int((~short_enough(texts, renderer, space)).sum())
    if not n_long:
        return []
    return [
        f"{n_long / len(rows):.1%} of the rows have more than {space} tokens, too long for "
        f"{n_shots} demonstrations and a question in a context of {context:,}: they can be "
        "selected, but a search never shows them. Lower `search.n_shots`, or remove them."
    ]


def notes(found: RowFindings | None) -> list[str]:
    """Sentences if many rows are cut, or if the template writes some otherwise."""
    if found is None:
        return []
    told = []
    cut = found.truncated + found.dropped
    if cut > WARN_ABOVE * found.n_rows:  # training will warn of it, too
        limit, key = found.limit
        told.append(
            f"{cut / found.n_rows:.1%} of the rows do not fit into {limit:,} tokens "
            f"({key}): raise it, or remove long rows from the pool."
        )
    if found.rewritten:
        told.append(
            f"The chat template writes {len(found.rewritten)} of {found.compared} rows "
            f"otherwise than they are trained, such as '{found.rewritten[0]}': it changes "
            "texts, or looks for words in them, such as /no_think. Remove what it looks "
            "for, or set `prompt: {template: plain}` (or urial) in the model card."
        )
    return told


def pieces(row: Row, tokenizer: Any) -> list[Piece]:
    """A row cut where the loss begins and ends, each stretch as text."""
    found = []
    pairs = zip(row.input_ids, row.labels, strict=True)
    for trained, group in groupby(pairs, lambda pair: pair[1] != IGNORED):
        ids = [number for number, _ in group]
        text = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        found.append(Piece(text, len(ids), trained))
    return found


def _rendered(what: str, sample_id: str, row: Row, tokenizer: Any) -> Rendered:
    stretches = pieces(row, tokenizer)
    return Rendered(what, sample_id, len(row.input_ids), row.n_loss_tokens, stretches)
