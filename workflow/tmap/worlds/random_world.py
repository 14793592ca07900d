"""A self-contained world to try the workflow on: no network, no GPU, no meaning.

Real word problems, a simulated history and a model of random numbers. It shows that
every stage runs; the resulting accuracies and weights mean nothing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap.worlds import random_cards, random_llama, word_problems

N_POOL, N_QUESTIONS, N_SUBJECTS = 240, 160, 60
Row = dict[str, Any]


def write(folder: Path, seed: int = 0) -> None:
    """Write pool, questions, history, model, cards and config under `folder`.

    Files that already have the same bytes are not touched, so a second call makes no
    stage run again. The same seed and package versions give the same bytes.

    Parameters
    ----------
    folder : made if absent; the cards name it as given here
    seed : of problems, history and model weights
    """
    questions = _problems(np.random.default_rng([seed, 0]), N_QUESTIONS)
    problems = _problems(np.random.default_rng([seed, 1]), N_POOL)
    pool = _pool(np.random.default_rng([seed, 2]), problems, questions)
    asked = [
        {"id": f"q{i:03d}", "question": p.question, "answer": p.solution}
        for i, p in enumerate(questions)
    ]
    options = _options(np.random.default_rng([seed, 3]), questions)
    history = _history(np.random.default_rng([seed, 4]), [str(q["id"]) for q in asked])
    texts = {
        **random_cards.render(folder),
        "pool.jsonl": _lines(pool),
        "questions.jsonl": _lines(json.dumps(row) for row in asked),
        "questions_mc.jsonl": _lines(json.dumps(row) for row in options),
    }
    for name, text in texts.items():
        _keep_or_write(folder / name, text.encode())
    _via_scratch(folder, lambda to: history.to_parquet(to / "responses.parquet"))
    corpus = [f"Question: {p.question}\nAnswer: {p.solution}\n\n" for p in problems]
    _via_scratch(
        folder / "models" / "random_llama",
        lambda to: random_llama.write(to, corpus, seed),
    )


def _problems(rng: np.random.Generator, n: int) -> list[word_problems.Problem]:
    """`n` different problems of 1-4 events."""
    found: dict[str, word_problems.Problem] = {}
    while len(found) < n:
        problem = word_problems.make(rng, int(rng.integers(1, 5)))
        found.setdefault(problem.question, problem)
    return list(found.values())


def _pool(
    rng: np.random.Generator,
    problems: list[word_problems.Problem],
    questions: list[word_problems.Problem],
) -> list[str]:
    """JSON lines: solutions full, terse or wordy, and rows that must be rejected."""
    rows = []
    for i, problem in enumerate(problems):
        style = rng.choice(["full", "terse", "wordy"], p=[0.75, 0.15, 0.1])
        answer = {
            "full": problem.solution,
            "terse": f"#### {problem.answer}",
            "wordy": f"Let us go through the day.\n\n{problem.solution}",
        }[str(style)]
        rows.append({"id": f"p{i:03d}", "question": problem.question, "answer": answer})
    broken = [
        {"id": "no_answer", "question": rows[0]["question"]},
        {"id": "empty_answer", "question": rows[1]["question"], "answer": " "},
        {**rows[2], "id": "duplicate_1"},
        {**rows[3], "id": "duplicate_2"},
        *(
            {"id": f"leaked_{i}", "question": q.question, "answer": q.solution}
            for i, q in enumerate(questions[:2])
        ),
    ]
    lines = [json.dumps(row) for row in [*rows, *broken]]
    return [*lines, '{"id": "cut_off", "question": "How many']


def _options(
    rng: np.random.Generator, problems: list[word_problems.Problem]
) -> list[Row]:
    """The questions with four options each, the right one in any position."""
    rows = []
    for i, problem in enumerate(problems):
        near = [n for n in range(1, problem.answer + 10) if n != problem.answer][-18:]
        wrong = rng.choice(near, size=3, replace=False)
        numbers = rng.permutation([problem.answer, *wrong])
        labels = ["A", "B", "C", "D"]
        choices = {"text": [f"{n} {problem.thing}" for n in numbers], "label": labels}
        gold = labels[int(np.flatnonzero(numbers == problem.answer)[0])]
        row = {"id": f"q{i:03d}", "question": problem.question}
        rows.append({**row, "choices": choices, "gold": gold})
    return rows


def _history(rng: np.random.Generator, question_ids: list[str]) -> pd.DataFrame:
    """Answers simulated from a 2PL model: P(right) = logistic(a (theta - b))."""
    ability = np.sort(rng.normal(0.0, 1.2, N_SUBJECTS))
    slope = rng.lognormal(0.2, 0.4, len(question_ids))
    difficulty = rng.normal(0.0, 1.0, len(question_ids))
    logit = slope * (ability[:, None] - difficulty)
    is_correct = rng.random(logit.shape) < 1 / (1 + np.exp(-logit))
    subjects = [f"simulated_{i:02d}" for i in range(N_SUBJECTS)]
    return pd.DataFrame(
        {
            "subject_id": np.repeat(subjects, len(question_ids)),
            "question_id": np.tile(question_ids, N_SUBJECTS),
            "is_correct": is_correct.ravel(),
        }
    )


def _lines(rows: Iterable[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


def _keep_or_write(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _via_scratch(folder: Path, save: Callable[[Path], Any]) -> None:
    """Let `save` write into an empty folder, then copy the files that changed."""
    with tempfile.TemporaryDirectory() as scratch:
        save(Path(scratch))
        for path in sorted(Path(scratch).iterdir()):
            _keep_or_write(folder / path.name, path.read_bytes())
