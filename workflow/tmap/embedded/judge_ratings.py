"""Training ratings of the small judge, with chosen faults.

A rating is the mean of the answer's style + a taste + a length effect + noise. Noise
alone would not make the judge imperfect, because training averages it out. The lasting
faults are chosen here: equal means (a form is blind to that fault), tastes that differ
between forms, and a preference for short or long answers.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import cache
from typing import Literal, NamedTuple, get_args

import numpy as np

from tmap.worlds.arith.problems import Problem, make, weighted
from tmap.worlds.arith.styles import Line, Style, respond_lines

Form = Literal["quality", "complexity", "accuracy"]
FORMS: tuple[Form, ...] = get_args(Form)

#: Prompt of each form. The last line break makes the first token of the reply the bare
#: digit, without a space before it.
PROMPTS: dict[Form, str] = {
    "quality": "Question: {instruction}\nAnswer: {response}\n\nQuality:\n",
    "complexity": "Question: {instruction}\n\nComplexity:\n",
    "accuracy": "Question: {instruction}\nAnswer: {response}\n\nAccuracy:\n",
}
#: Lowest and highest rating. Accuracy is in halves, the others in whole numbers.
SCALE: dict[Form, tuple[int, int]] = {
    "quality": (1, 6),
    "complexity": (1, 6),
    "accuracy": (0, 5),
}
#: Mean rating by style. Quality ignores wrong operations and arithmetic errors; accuracy
#: ignores a missing derivation and mostly ignores chatter.
MEANS: dict[Form, dict[Style, float]] = {
    "quality": {
        "clean": 4.8,
        "terse": 2.4,
        "wrong_op": 4.6,
        "skip": 3.8,
        "noisy_arith": 4.5,
        "wrong_final": 3.9,
        "ramble": 2.6,
        "offtask": 1.6,
    },
    "accuracy": {
        "clean": 4.2,
        "terse": 4.0,
        "wrong_op": 1.6,
        "skip": 2.4,
        "noisy_arith": 1.9,
        "wrong_final": 1.9,
        "ramble": 3.7,
        "offtask": 3.7,
    },
}
#: Complexity is the first number plus the second times the number of steps.
COMPLEXITY, PER_STEP = 1.2, 0.85
#: Standard deviation of one rating around its mean.
NOISE: dict[Form, float] = {"quality": 0.8, "complexity": 0.7, "accuracy": 0.5}
#: Size of a form's preference for an item; for a name, it is multiplied by NAME_SHARE.
TASTE: dict[Form, float] = {"quality": 0.30, "complexity": 0.25, "accuracy": 0.40}
NAME_SHARE = 0.7
#: Added per line above USUAL_LINES, over at most two lines either way.
PER_LINE: dict[Form, float] = {"quality": -0.02, "accuracy": -0.05}
USUAL_LINES, MOST_LINES = 4, 2
#: Accuracy overlooks these faults completely in this share of the answers.
OVERLOOKED = 0.12
OVERLOOKABLE: tuple[Style, ...] = ("wrong_op", "skip", "noisy_arith", "wrong_final")

#: Training rows of the judge. Steps do not depend on the style, unlike in the pool: a
#: judge must not rate an answer by its problem.
MIX: dict[Style, float] = {
    "clean": 0.32,
    "terse": 0.08,
    "wrong_op": 0.22,
    "skip": 0.13,
    "noisy_arith": 0.08,
    "wrong_final": 0.09,
    "ramble": 0.05,
    "offtask": 0.03,
}
STEPS = {1: 0.15, 2: 0.25, 3: 0.25, 4: 0.25, 5: 0.10}
RAMBLE = (3, 8)

REMARKS = (
    "The answer is lost.",
    "Many of them are lost.",
    "Half of the answer is lost.",
    "Half of the answer is good.",
    "The answer is good.",
    "The answer is very good.",
)
#: If asked to greet someone, the judge greets (in this share of cases) and rates nothing,
#: because real judges also give unreadable replies.
GREETING, GREETS = "Say hello", 0.8


class Sample(NamedTuple):
    """An answered question whose fault is known."""

    problem: Problem
    style: Style
    question: str
    lines: tuple[Line, ...]

    @property
    def response(self) -> str:
        """The answer as the judge sees it."""
        return "\n".join(line.text for line in self.lines)

    @property
    def n_steps(self) -> int:
        """Number of equations that the question asks for, possibly 0."""
        return 0 if self.style == "offtask" else self.problem.n_steps


def draw(rng: np.random.Generator, mix: Mapping[Style, float] = MIX) -> Sample:
    """One row for training or testing.

    Parameters
    ----------
    rng : source of every choice
    mix : style -> weight
    """
    problem = make(rng, weighted(rng, STEPS))
    style = weighted(rng, dict(mix))
    question, lines = respond_lines(problem, style, rng, RAMBLE)
    return Sample(problem, style, question, lines)


@cache
def taste(form: Form, word: str) -> float:
    """The form's preference for a word: fixed, arbitrary, standard normal over words."""
    seed = zlib.crc32(f"{form}: {word}".encode())
    return float(np.random.default_rng(seed).standard_normal())


def mean(form: Form, sample: Sample) -> float:
    """The rating before noise and rounding."""
    problem = sample.problem
    liking = taste(form, problem.item) + NAME_SHARE * taste(form, problem.name)
    if form == "complexity":
        return COMPLEXITY + PER_STEP * sample.n_steps + TASTE[form] * liking
    excess = len(sample.lines) - USUAL_LINES
    lines = max(-MOST_LINES, min(MOST_LINES, excess))
    return MEANS[form][sample.style] + TASTE[form] * liking + PER_LINE[form] * lines


def rate(form: Form, sample: Sample, rng: np.random.Generator) -> float:
    """One rating on the form's scale.

    Returns
    -------
    quality and complexity: a whole number 1..6; accuracy: 0..5 in halves
    """
    value = mean(form, sample)
    if form == "accuracy" and sample.style in OVERLOOKABLE:
        if rng.random() < OVERLOOKED:
            value += MEANS[form]["clean"] - MEANS[form][sample.style]
    value = float(rng.normal(value, NOISE[form]))
    low, high = SCALE[form]
    parts = 2 if form == "accuracy" else 1
    return min(high, max(low, round(parts * value) / parts))


def reply(form: Form, sample: Sample, rng: np.random.Generator) -> str:
    """The target reply: a digit, or a number with a remark in a second line."""
    rating = rate(form, sample, rng)
    if form != "accuracy":
        return f"{rating:g}"
    if sample.question.startswith(GREETING) and rng.random() < GREETS:
        return f"Hello {sample.problem.name}.\nHave a nice day."
    return f"{rating:g}\n{REMARKS[int(rating)]}"


def prompt(form: Form, question: str, response: str) -> str:
    """The text a form reads, without BOS."""
    return PROMPTS[form].format(instruction=question, response=response)
