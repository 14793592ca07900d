"""Open LLM Leaderboard v1 details: a Parquet file per model and benchmark.

The harness shuffled questions before asking, so row n of a details file is *not*
question n of the benchmark. Rows are therefore joined by the question's text, never by
position. A row has `example` (the question) or `full_prompt` (shots, then the question),
and its score under `metrics` or in a column of its own (datasets
open-llm-leaderboard-old/details_ORG__MODEL on the hub).
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from tmap.cards.dataset import ResponseSource
from tmap.data import options
from tmap.data.sources import hub, rows
from tmap.errors import TmapError
from tmap.jobs.log import Progress

logger = logging.getLogger(__name__)
#: Share of reward questions that must be found; below it the join itself is wrong.
MIN_MATCH = 0.99
#: Share of the named subjects that may be missing on the hub.
MAX_MISSING = 0.10
CUE = "Question:"
Answers = dict[str, dict[str, bool]]


def read(
    source: ResponseSource, questions: pd.DataFrame
) -> tuple[Answers, dict[str, Any]]:
    """Answers by subject and question id, and notes on where they come from.

    Raises
    ------
    TmapError
        A subject's file has under 99 % of the reward questions, a folder has no details,
        or over 10 % of the subjects are not on the hub.
    """
    known = _by_text(questions)
    metric = source.correct or "acc"
    answers = {}
    files, notes = _on_hub(source) if source.hub else _in_folder(source)
    progress = Progress("history", len(files), "subjects")
    for subject, open_rows in files:
        answers[subject] = _answers(subject, open_rows(), known, metric)
        progress.advance()
    return answers, notes


def normal(text: str) -> str:
    """Text with normalised white space."""
    return " ".join(text.split())


def _by_text(questions: pd.DataFrame) -> dict[str, str]:
    """Normalised question -> id; a text that two questions share is left out."""
    texts = [
        normal(_without_options(question, choices))
        for question, choices in zip(
            questions["question"], questions["choices"], strict=True
        )
    ]
    counts = Counter(texts)
    pairs = zip(texts, questions["question_id"], strict=True)
    return {text: name for text, name in pairs if counts[text] == 1}


def _without_options(question: str, choices: Any) -> str:
    return (
        question
        if choices is None
        else question.removesuffix(options.lettered(list(choices)))
    )


def _answers(
    subject: str, found: Iterable[Mapping[str, Any]], known: dict[str, str], metric: str
) -> dict[str, bool]:
    given: dict[str, bool] = {}
    for row in found:
        question = _match(row, known)
        if question is not None:
            given[question] = _score(subject, row, metric)
    if len(given) < MIN_MATCH * len(known):
        raise TmapError(
            f"Only {len(given)} of {len(known)} reward questions are found by their "
            f"text in the details of '{subject}'; at least {MIN_MATCH:.0%} are needed. "
            "Check that `responses.subset:` is this benchmark, or exclude the subject."
        )
    return given


def _match(row: Mapping[str, Any], known: dict[str, str]) -> str | None:
    """The question a row is about: its example, or what its prompt ends with."""
    return next((known[text] for text in _asked(row) if text in known), None)


def _asked(row: Mapping[str, Any]) -> Iterator[str]:
    for name in ("example", "full_prompt"):
        text = row.get(name)
        if not isinstance(text, str):
            continue
        body = re.sub(r"\s*Answer:\s*$", "", text)
        yield normal(body)
        # A question may itself contain "Question:", so the last cue is tried first.
        starts = [found.end() for found in re.finditer(CUE, body)]
        for start in reversed(starts[-3:]):
            yield normal(body[start:])


def _score(subject: str, row: Mapping[str, Any], metric: str) -> bool:
    metrics = row.get("metrics")
    value = metrics.get(metric) if isinstance(metrics, Mapping) else row.get(metric)
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return bool(value)
    raise TmapError(
        f"The details of '{subject}' have {value!r} as '{metric}', neither right nor "
        "wrong. Name the benchmark's metric under `responses.correct:` in the card, such "
        "as acc or acc_norm."
    )


Opened = list[tuple[str, Callable[[], Iterable[Mapping[str, Any]]]]]


def _on_hub(source: ResponseSource) -> tuple[Opened, dict[str, Any]]:
    found: Opened = []
    commits: dict[str, str] = {}
    missing = []
    for subject in source.subjects:
        name = f"{source.hub}/details_{subject.replace('/', '__')}"
        try:
            commit = hub.dataset_commit(name, source.revision)
            loaded = rows.load_hub(name, source.subset, source.split, commit)
        except (
            hub.Missing
        ) as fault:  # any other error may be temporary, so it stops here
            logger.warning("history without '%s': %s", subject, fault)
            missing.append(subject)
            continue
        commits[subject] = commit
        found.append((subject, partial(iter, loaded)))
    if len(missing) > MAX_MISSING * len(source.subjects):
        raise TmapError(
            f"{len(missing)} of {len(source.subjects)} subjects of the history cannot "
            f"be read from '{source.hub}' ({', '.join(missing[:3])}, ...). Take them "
            "out of `responses.subjects:` in the dataset card, or name others."
        )
    notes = {"source": source.hub, "revision": commits, "missing": missing}
    return found, notes | {"licence": source.licence}


def _in_folder(source: ResponseSource) -> tuple[Opened, dict[str, Any]]:
    """Details below a folder: the newest file of each subject for this benchmark."""
    place = source.place
    folder = Path(place)
    wanted = _plain(source.subset or "")
    newest: dict[str, Path] = {}
    paths = folder.rglob("*.parquet") if folder.is_dir() else [folder]
    for path in sorted(paths, key=lambda found: found.name):
        if wanted in _plain(path.name) and path.is_file():
            newest[_name(folder, path)] = path
    if not newest:
        raise TmapError(
            f"'{place}' has no Parquet file for '{source.subset or '*'}'. Put one "
            "folder details_ORG__MODEL per subject there, or fix `responses.subset:`."
        )
    found: Opened = [
        (subject, partial(_frame_rows, path)) for subject, path in newest.items()
    ]
    return found, {"source": place, "revision": None, "licence": source.licence}


def _plain(name: str) -> str:
    """One form for file and configuration names: 'harness|gsm8k|5' -> 'harness_gsm8k_5'."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def _name(folder: Path, path: Path) -> str:
    """Subject of a details file: its details_ORG__MODEL folder, else its own name."""
    for part in path.relative_to(folder).parts if folder.is_dir() else ():
        if part.startswith("details_") and "__" in part and part != path.name:
            return part.removeprefix("details_").replace("__", "/", 1)
    return path.stem.removeprefix("details_").replace("__", "/", 1)


def _frame_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    source = ResponseSource(path=str(path))
    for row in rows.open_source(source):
        if isinstance(row.value, Mapping):
            yield row.value
