"""Caveats for readers of results: faults of the protocol, warnings of all stages."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from tmap.comparison.looks import MIN_SEEDS, UNTOUCHED, YARDSTICK
from tmap.comparison.runs import READINGS, Run, Runs, Search
from tmap.errors import TmapError
from tmap.evaluation.marking import reading_of

UNREAD = 0.05  # share of unreadable answers above which to warn
FEWER = 0.95  # share of the rows of random below which to warn


def refuse_leaks(runs: Runs, seen: Collection[str], protocol: str) -> None:
    """Stop if a search may have asked a held-out test question.

    Parameters
    ----------
    seen : ids of the questions that a search may have asked
    protocol : under which the questions were split; `paper` lets a search see them
    """
    leaked = sorted(set(runs.runs[0].predictions.index) & set(seen))
    if leaked and protocol != "paper":
        raise TmapError(
            f"{len(leaked)} test questions are in the tiny or confirm set (first: "
            f"'{leaked[0]}'), though protocol {protocol} holds them out. These tables "
            "come from different splits: delete the dataset's tables and build again."
        )


def share_one_search(arms: list[Run], searches: list[Search]) -> bool:
    """Whether several runs come from one search."""
    return len(searches) == 1 and len(arms) > 1


def one_search(arms: list[Run], searches: list[Search]) -> str:
    """A note on several runs that share one search."""
    if not share_one_search(arms, searches):
        return ""
    return (
        f" Its {len(arms)} runs share one search, so this is said of what that search "
        "found, not of searching (vary_search_seed)."
    )


def warnings(
    runs: Runs,
    pool: dict[str, Any],
    tiny: dict[str, Any],
    warn_overlap: float,
    metric: str,
) -> list[str]:
    """Warnings of pool, tiny set, searches, trainings and answers, each once.

    Parameters
    ----------
    pool, tiny : metadata of these tables
    warn_overlap : share of the pool dropped for overlap above which to warn
    metric : the reading that defines is_correct
    """
    found = [f"pool: {text}" for text in _texts(pool)]
    share = pool.get("overlap_share")
    if share is not None and share > warn_overlap:
        found.append(
            f"pool: {share:.1%} of the rows contained a benchmark question and were "
            f"dropped; over {warn_overlap:.1%} the source may be contaminated"
        )
    found += [f"tiny set: {text}" for text in _texts(tiny)]
    for search in runs.searches:
        texts = search.weights.get("warnings", [])
        found += [f"search {search.method} s{search.s}: {text}" for text in texts]
    said: dict[tuple[str, str], list[str]] = {}
    for run in runs.runs:
        for text in (run.training or {}).get("warnings", []):
            said.setdefault((run.method, text), []).append(f"s{run.s} t{run.t}")
    found += [
        f"training {m} {', '.join(who)}: {text}" for (m, text), who in said.items()
    ]
    found += _smaller(runs)
    found += _unread(runs, metric)
    for method in runs.methods:
        n = len(runs.of(method))
        if method != UNTOUCHED and n < MIN_SEEDS:
            found.append(f"{method}: {n} of {MIN_SEEDS} runs for a verdict")
    codes = {run.code for run in runs.runs}
    if len(codes) > 1:
        found.append(f"predictions were written by {len(codes)} versions of the code")
    return list(dict.fromkeys(found))


def _smaller(runs: Runs) -> list[str]:
    """Methods that trained on clearly fewer rows than random, such as after a filter."""
    rows = {
        method: [run.training["n_samples"] for run in runs.of(method) if run.training]
        for method in runs.methods
    }
    usual = min(rows.get(YARDSTICK) or [0])
    return [
        f"{method}: trained on {min(sizes)} rows, {YARDSTICK} on {usual}; fewer rows "
        "alone can change what is learned"
        for method, sizes in rows.items()
        if sizes and min(sizes) < FEWER * usual
    ]


def _unread(runs: Runs, metric: str) -> list[str]:
    """Methods with too many answers in which the metric's reader found nothing."""
    found = []
    column = reading_of(metric)
    for method in runs.methods if column in READINGS else []:
        share = np.mean(
            [run.predictions[column].isna().mean() for run in runs.of(method)]
        )
        if share > UNREAD:
            found.append(
                f"{method}: {share:.1%} of the test answers contain nothing that the "
                f"reader ({metric}) can find; they count as wrong"
            )
    return found


def _texts(about: dict[str, Any]) -> list[str]:
    """The notes `warnings`, a list, and `warning`, one text or None."""
    one = about.get("warning")
    return [*about.get("warnings", []), *([one] if one else [])]
