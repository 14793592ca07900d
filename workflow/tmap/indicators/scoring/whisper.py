"""Data Whisperer's batches: deal, ask and read them, and weight them by attention."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tmap.evaluation.readers import mark, read_number
from tmap.indicators.scoring.losses import Scorer
from tmap.prompts.renderer import Demo, Prompt, Renderer

#: The beginning of an answer in a reply to several questions.
ANSWER = re.compile(r"^[\s#*_>-]*answer\s*([0-9]+)\s*[*_]*[:.)][*_]*", re.I | re.M)


class Batch(NamedTuple):
    """Positions of the samples that a batch shows, in order, and of those that it asks."""

    demos: np.ndarray
    queries: np.ndarray


@dataclass(frozen=True)
class Asking:
    """How batches are asked and marked: options of the indicator."""

    metric: str
    layer: int
    max_new_tokens: int


def deal_paper(
    n: int, *, n_demos: int, n_queries: int, rounds: int, seed: int
) -> list[Batch]:
    """Show every sample at least `rounds` times, in batches of one size."""
    if n < 2:
        return []
    rng = np.random.default_rng(seed)
    size = min(n_demos, n - 1)
    batches = []
    for _ in range(rounds):
        order = rng.permutation(n)
        for start in range(0, n, size):
            demos = order[start : start + size]
            if len(demos) < size:  # the first ones were in other batches
                demos = np.append(demos, order[: size - len(demos)])
            drawn = rng.choice(n, min(n, size + n_queries), replace=False)
            queries = drawn[~np.isin(drawn, demos)][:n_queries]
            batches.append(Batch(demos, queries))
    return batches


def deal_original(
    n: int, *, n_demos: int, n_queries: int, rounds: int, seed: int
) -> list[Batch]:
    """Two halves, each shown once in order; queries cycle through the other half.

    The last queries of a half may be fewer; then it starts again.
    """
    from sklearn.model_selection import KFold

    if n < 2:
        return []
    batches = []
    halves = KFold(2, shuffle=True, random_state=seed).split(np.arange(n))
    for shown, asked in halves:
        starts = itertools.cycle(range(0, len(asked), n_queries))
        for start, first in zip(range(0, len(shown), n_demos), starts, strict=False):
            queries = asked[first : first + n_queries]
            batches.append(Batch(shown[start : start + n_demos], queries))
    return batches


def room(lm: Scorer, n_demos: int, n_queries: int, max_new_tokens: int) -> float:
    """Tokens that one sample's prompt may have, so that any batch fits into the context.

    The context less the bare prompt and the answers, in equal parts.
    """
    if lm.max_positions is None:
        return np.inf
    bare = len(lm.renderer.render("").prefix)
    frame = len(lm.renderer.render(_question([""] * n_queries)).question)
    left = lm.max_positions - max_new_tokens - bare - frame
    return bare + left // (n_demos + n_queries)


def shares(
    demos: Sequence[Demo], batches: Sequence[Batch], how: Asking, lm: Scorer
) -> list[np.ndarray | None]:
    """The scores of each batch's examples; None for a batch whose answers are not read.

    Parameters
    ----------
    demos : the samples
    batches : positions in `demos`
    how : metric, layer and length of the answers
    lm : the target model and its renderer
    """
    shown = [[demos[i] for i in batch.demos] for batch in batches]
    asked = [[demos[i] for i in batch.queries] for batch in batches]
    prompts = [
        lm.renderer.render(_question([q.question for q in queries]), examples)
        for examples, queries in zip(shown, asked, strict=True)
    ]
    replies = _replies(prompts, how, lm)
    # For every batch, even those that are not read, so that other reading rules need no
    # new measurements.
    before, after = [p.prefix for p in prompts], [p.question for p in prompts]
    attention = lm.lm.attention(before, after, how.layer)
    metric = METRICS[how.metric]
    found: list[np.ndarray | None] = []
    for examples, queries, paid, reply in zip(
        shown, asked, attention, replies, strict=True
    ):
        answers = parse(reply, len(queries))
        if answers is None:
            found.append(None)
            continue
        golds = [query.answer for query in queries]
        mean = np.mean(
            [metric(a, gold) for a, gold in zip(answers, golds, strict=True)]
        )
        found.append(float(mean) * weights(paid, edges(examples, lm.renderer)))
    return found


def _replies(prompts: Sequence[Prompt], how: Asking, lm: Scorer) -> list[str]:
    # No two batches share a prefix, so whole prompts are rows of one call.
    (written,) = lm.lm.generate(
        [[]],
        [[*prompt.prefix, *prompt.question] for prompt in prompts],
        max_new_tokens=how.max_new_tokens,
        stop=lm.renderer.stop,
    )
    return [lm.renderer.read(ids) for ids in written]


def _question(questions: Sequence[str]) -> str:
    """One text that asks all questions; a single question is asked as it is."""
    if len(questions) == 1:
        return questions[0]
    listed = "\n\n".join(f"Question {i}: {q}" for i, q in enumerate(questions, 1))
    return (
        f"Here are {len(questions)} questions. Answer all of them in this order, and "
        'begin each answer on a new line with its number, as in "Answer 1:".'
        f"\n\n{listed}"
    )


def parse(reply: str, n: int) -> list[str] | None:
    """The n answers in a reply; None unless each of 1..n is marked once, in order."""
    if n == 1:
        return [reply.strip()]
    marks = list(ANSWER.finditer(reply))
    if [int(found[1]) for found in marks] != list(range(1, n + 1)):
        return None
    ends = [found.start() for found in marks[1:]] + [len(reply)]
    return [
        reply[found.end() : end].strip() for found, end in zip(marks, ends, strict=True)
    ]


def edges(examples: Sequence[Demo], renderer: Renderer) -> list[int]:
    """Where each example's tokens begin in the prefix with all examples, and the end.

    An example begins where the prompt first differs from the prompt without it and those
    after it; a token that spans the border belongs to the later example.
    """
    whole = renderer.render("", examples).prefix
    found = []
    for n in range(len(examples)):
        part = renderer.render("", examples[:n]).prefix
        same = [a == b for a, b in zip(part, whole, strict=False)]
        found.append(same.index(False) if False in same else len(same))
    return [*found, len(whole)]


def weights(paid: np.ndarray, borders: Sequence[int]) -> np.ndarray:
    """(n_examples,) mean attention to each example's tokens, divided by their sum."""
    means = np.array([paid[start:end].mean() for start, end in pairwise(borders)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return means / means.sum()


def rouge_l(answer: str, gold: str) -> float:
    """F1 of the longest common subsequence of lower-case words, in [0, 1]."""
    said, wanted = (re.findall(r"\w+", text.lower()) for text in (answer, gold))
    row = [0] * (len(wanted) + 1)
    for word in said:
        corner = 0
        for i, other in enumerate(wanted, 1):
            above = row[i]
            row[i] = corner + 1 if word == other else max(above, row[i - 1])
            corner = above
    total = len(said) + len(wanted)
    return 2 * row[-1] / total if total else 0.0


def _number(answer: str, gold: str) -> float:
    return float(mark(read_number(answer), gold, "flexible"))


METRICS: dict[str, Callable[[str, str], float]] = {
    "number": _number,
    "rouge_l": rouge_l,
}
