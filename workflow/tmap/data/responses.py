"""The history: other models' past answers to the questions, joined by id or text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from tmap.cards.dataset import ResponseSource
from tmap.data.cells import identity
from tmap.data.sources import leaderboard, rows
from tmap.data.sources.leaderboard import MIN_MATCH, Answers
from tmap.errors import TmapError, several

#: What a table of text has for an answer, and for an empty cell.
TEXTS = {
    **dict.fromkeys(("1", "1.0", "true"), True),
    **dict.fromkeys(("0", "0.0", "false"), False),
    **dict.fromkeys(("", "nan", "null", "none", "na", "<na>")),
}


@dataclass
class Responses:
    """Table 'responses' and notes on it."""

    responses: pd.DataFrame
    notes: dict[str, Any]


def read(source: ResponseSource, questions: pd.DataFrame) -> Responses:
    """Read a history and keep the answers to reward questions.

    Parameters
    ----------
    source : its place and format
    questions : table 'questions' (reward)

    Returns
    -------
    Responses
        Rows sorted by subject, then question. Notes: subjects read, excluded by the
        card's patterns, and dropped because they answer exactly like an earlier one.

    Raises
    ------
    TmapError
        Under 99 % of the reward questions are found, a subject answers a question
        twice, a cell is not right or wrong, or no subject is left.
    """
    if source.format == "leaderboard_v1":
        answers, notes = leaderboard.read(source, questions)
        answers, excluded = _without_named(answers, source.exclude)
    else:
        table = rows.open_source(source)
        read_rows = _long if source.format == "long" else _wide
        answers, excluded = read_rows(table, source, questions)
        notes = table.about()
    if not answers:
        raise TmapError(
            f"The history '{source.place}' has no subject "
            f"left ({len(excluded)} excluded). Loosen `exclude:` in the dataset card, "
            "or name a file with answers."
        )
    kept, duplicates = _distinct(answers)
    notes |= {
        "n_subjects": len(kept),
        "excluded": sorted(excluded),
        "duplicates": duplicates,
    }
    return Responses(_table(kept), notes)


def _long(
    table: rows.Table, source: ResponseSource, questions: pd.DataFrame
) -> tuple[Answers, set[str]]:
    wanted = set(questions["question_id"])
    column = source.correct or "is_correct"
    answers: Answers = {}
    excluded: set[str] = set()
    for row, value in _objects(table, (source.subject, source.question, column)):
        subject = _subject(table, row, value[source.subject])
        others = {k: v for k, v in value.items() if k != source.question}
        if is_excluded(others.values(), source.exclude):
            excluded.add(subject)
            continue
        mine = answers.setdefault(subject, {})
        question = identity(value[source.question])
        if question is None:
            raise TmapError(
                f"'{table.place}' row {row}: the question is "
                f"{value[source.question]!r:.40}, not an id. Fix the file, or name another "
                "column under `responses.question:`."
            )
        if question in mine:
            raise TmapError(
                f"'{table.place}' row {row}: subject '{subject}' answers question "
                f"'{question}' a second time. Keep one answer per question."
            )
        right = _verdict(table, row, column, value[column])
        if question in wanted and right is not None:
            mine[question] = right
    found = set().union(*answers.values()) if answers else wanted
    _check_match(table.place, len(found), len(wanted), f"column '{source.question}'")
    return {s: given for s, given in answers.items() if given}, excluded


def _wide(
    table: rows.Table, source: ResponseSource, questions: pd.DataFrame
) -> tuple[Answers, set[str]]:
    columns = _item_columns(source, questions)
    answers: Answers = {}
    excluded: set[str] = set()
    for row, value in _objects(table, (source.subject,)):
        subject = _subject(table, row, value[source.subject])
        present = columns.keys() & value.keys()
        _check_match(table.place, len(present), len(columns), "columns")
        if is_excluded(value.values(), source.exclude):
            excluded.add(subject)
            continue
        if subject in answers:
            raise TmapError(
                f"'{table.place}' row {row}: subject '{subject}' occurs a second time. "
                "Keep one row per subject, or name another column under `subject:`."
            )
        given = {c: _verdict(table, row, c, value[c]) for c in present}
        answers[subject] = {columns[c]: v for c, v in given.items() if v is not None}
    return answers, excluded


def _item_columns(source: ResponseSource, questions: pd.DataFrame) -> dict[str, str]:
    """Wide column -> question id."""
    ids = questions["question_id"].tolist()
    if source.item_pattern is None:
        return {question: question for question in ids}
    try:
        names = [source.item_pattern.format(row=row) for row in questions["row"]]
    except (KeyError, IndexError, ValueError):
        names = []
    if len(set(names)) < len(ids):
        raise TmapError(
            f"responses.item_pattern '{source.item_pattern}' does not give every row "
            "its own column. Include the row number, for example i{row:05d}."
        )
    return dict(zip(names, ids, strict=True))


def _objects(
    table: rows.Table, needed: Iterable[str]
) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """Rows as mappings that have the needed columns."""
    for row in table:
        if row.fault is not None or not isinstance(row.value, Mapping):
            raise TmapError(
                f"'{table.place}' row {row.number} is not a record "
                f"({row.fault or type(row.value).__name__}). Fix the file."
            )
        for name in needed:
            if name not in row.value:
                raise TmapError(
                    f"'{table.place}' row {row.number} has no column '{name}'; it has "
                    f"{several(row.value)}. Name the columns under "
                    "`responses:` in the dataset card."
                )
        yield row.number, row.value


def _subject(table: rows.Table, row: int, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TmapError(
            f"'{table.place}' row {row}: the subject is {value!r}, not a name. Fix "
            "the file, or name another column under `responses.subject:`."
        )
    return value


def _verdict(table: rows.Table, row: int, column: str, value: Any) -> bool | None:
    """True or False; None for an empty cell."""
    if isinstance(value, str):  # as a table of text has it
        value = TEXTS.get(value.strip().lower(), value)
    if value is None or value != value:
        return None
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return bool(value)
    raise TmapError(
        f"'{table.place}' row {row}, column '{column}': {value!r} is neither right nor "
        "wrong. Write true or false, or 1 or 0; leave unanswered ones empty."
    )


def is_excluded(texts: Iterable[Any], patterns: list[str]) -> bool:
    """Whether any text matches any shell pattern, in any case."""
    lowered = [pattern.lower() for pattern in patterns]
    return any(
        fnmatchcase(text.lower(), pattern)
        for text in texts
        if isinstance(text, str)
        for pattern in lowered
    )


def _without_named(answers: Answers, patterns: list[str]) -> tuple[Answers, set[str]]:
    excluded = {name for name in answers if is_excluded([name], patterns)}
    return {n: a for n, a in answers.items() if n not in excluded}, excluded


def _check_match(place: str, found: int, wanted: int, what: str) -> None:
    if found < MIN_MATCH * wanted:
        raise TmapError(
            f"Only {found} of {wanted} reward questions are found in the {what} of "
            f"'{place}'; at least {MIN_MATCH:.0%} are needed. Give questions and "
            "history the same ids, or set `responses.item_pattern:` in the card."
        )


def _distinct(answers: Answers) -> tuple[Answers, int]:
    """Subjects by name, without those that answer exactly like an earlier one."""
    seen: set[bytes] = set()
    kept: Answers = {}
    for subject in sorted(answers):
        given = sorted(answers[subject].items())
        digest = hashlib.sha256(repr(given).encode("utf-8")).digest()
        if digest not in seen:
            kept[subject] = dict(given)
        seen.add(digest)
    return kept, len(answers) - len(kept)


def _table(answers: Answers) -> pd.DataFrame:
    cells = [
        (subject, question, right)
        for subject, given in answers.items()
        for question, right in given.items()
    ]
    return pd.DataFrame(cells, columns=["subject_id", "question_id", "is_correct"])
