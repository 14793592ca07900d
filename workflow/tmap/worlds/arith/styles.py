"""Eight ways to answer a problem: one clean, seven with a known fault.

clean        every step, then `#### answer`
terse        the right answer without a step
wrong_op     always the opposite operation, but without an arithmetic error
skip         the last step is left out
noisy_arith  the right operations, every result off by a little
wrong_final  the right steps, another number after `####`
ramble       friendly sentences, no sum, the first number of the story as answer
offtask      another question and an answer to it; no number
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np

from tmap.worlds.arith.problems import OPERATE, Operator, Problem, Step, between, pick

Style = Literal[
    "clean",
    "terse",
    "wrong_op",
    "skip",
    "noisy_arith",
    "wrong_final",
    "ramble",
    "offtask",
]
STYLES: tuple[Style, ...] = get_args(Style)

#: What `wrong_op` writes instead.
OPPOSITE: dict[Operator, Operator] = {"+": "-", "-": "+", "*": "+", "/": "*"}
#: What `noisy_arith` adds to a result.
SLIPS = (-10, -7, -3, -2, -1, 1, 2, 3, 7, 10)

OPENER = "Let us think about {item} and {name}."
RAMBLINGS = (
    "What a nice question about {item}.",
    "{name} likes {item} very much.",
    "Many people like {item}.",
    "One can count {item} in many ways.",
    "{name} is happy with the {item}.",
    "It is good to count slowly.",
    "The {item} lie on the table.",
)
CHAT: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Write a short line about {item}.",
        ("The {item} are nice and red.", "{name} likes {item} very much."),
    ),
    (
        "Name a colour for the {item}.",
        ("Blue is a nice colour for {item}.", "The {item} are nice and red."),
    ),
    (
        "Tell me about {name}.",
        ("{name} likes {item} very much.", "{name} is happy with the {item}."),
    ),
    (
        "Say hello to {name}.",
        ("Hello {name}, have a nice day.",),
    ),
    (
        "What do people do with {item}?",
        ("People like {item} and keep {item} on the table.",),
    ),
)


class Line(NamedTuple):
    """A line of a response.

    Attributes
    ----------
    text : without the line break
    is_right : whether it is correct given the story and the lines before it: right
        operation, operands and arithmetic, and the right answer after `####`. None if
        there is nothing to check.
    """

    text: str
    is_right: bool | None


def respond(
    problem: Problem,
    style: Style,
    rng: np.random.Generator,
    ramble: tuple[int, int] = (3, 5),
) -> tuple[str, str]:
    """Answer a problem in one style.

    Parameters
    ----------
    problem : what is asked
    style : one of STYLES
    rng : where the random faults come from
    ramble : fewest and most sentences of a rambling answer, 1..8

    Returns
    -------
    tuple of str
        Question and response. `offtask` asks something else; every other style returns
        the problem's own question.
    """
    question, lines = respond_lines(problem, style, rng, ramble)
    return question, "\n".join(line.text for line in lines)


def respond_lines(
    problem: Problem,
    style: Style,
    rng: np.random.Generator,
    ramble: tuple[int, int] = (3, 5),
) -> tuple[str, tuple[Line, ...]]:
    """The same as `respond`, line by line, each with whether it is correct."""
    if style == "offtask":
        question, text = _chat(problem, rng)
        return question, (Line(text, None),)
    if style == "ramble":
        texts = _ramble(problem, rng, between(rng, *ramble))
        return problem.question, tuple(Line(text, None) for text in texts)
    lines, final = _work(problem, style, rng)
    last = Line(f"#### {final}", final == problem.answer)
    return problem.question, (*lines, last)


def _work(
    problem: Problem, style: Style, rng: np.random.Generator
) -> tuple[list[Line], int]:
    """Lines with equations, and the number after `####`."""
    right = [Line(write(problem.name, step), True) for step in problem.steps]
    if style == "clean":
        return right, problem.answer
    if style == "terse":
        return [], problem.answer
    if style == "skip":
        if problem.n_steps == 1:
            text = f"{problem.name} has {problem.start} {problem.item}."
            return [Line(text, True)], problem.start
        return right[:-1], problem.steps[-2].result
    if style == "wrong_final":
        return right, _other_number(problem.answer, rng)
    if style == "wrong_op":
        steps = _wrong_operations(problem)
    elif style == "noisy_arith":
        steps = _noisy(problem, rng)
    else:
        raise ValueError(f"no style '{style}'; known: {', '.join(STYLES)}")
    return [Line(write(problem.name, step), False) for step in steps], steps[-1].result


def write(name: str, step: Step) -> str:
    """Write a step as a line, like 'Ada has 6+34=40 coins.', with its own stop."""
    sum_ = f"{step.left}{step.operator}{step.right}={step.result}"
    return f"{name} {step.verb} {sum_} {step.noun}."


def _wrong_operations(problem: Problem) -> list[Step]:
    steps: list[Step] = []
    total, product = problem.start, 0
    for step in problem.steps:
        left, right = _operands(step, total, product)
        operator = OPPOSITE[step.operator]
        if operator == "-" and left < right:  # no negative numbers
            left, right = right, left
        result = OPERATE[operator](left, right)
        total, product = _carry(step, result, total)
        steps.append(
            step._replace(left=left, operator=operator, right=right, result=result)
        )
    return steps


def _noisy(problem: Problem, rng: np.random.Generator) -> list[Step]:
    steps: list[Step] = []
    total, product = problem.start, 0
    for step in problem.steps:
        left, right = _operands(step, total, product)
        true = OPERATE[step.operator](left, right)
        possible = [true + slip for slip in SLIPS if true + slip >= 1]
        # If the total has become smaller than the number taken away, none is near it.
        result = pick(rng, possible or [1])
        total, product = _carry(step, result, total)
        steps.append(step._replace(left=left, right=right, result=result))
    return steps


def _operands(step: Step, total: int, product: int) -> tuple[int, int]:
    """The operands of a step when earlier results have changed."""
    left = step.left if step.takes == "stated" else total
    return left, product if step.takes == "product" else step.right


def _carry(step: Step, result: int, total: int) -> tuple[int, int]:
    """Total so far and side product after a step."""
    return (total, result) if step.takes == "stated" else (result, 0)


def _other_number(answer: int, rng: np.random.Generator) -> int:
    while (number := between(rng, 2, 99)) == answer:
        pass
    return number


def _ramble(problem: Problem, rng: np.random.Generator, n: int) -> list[str]:
    order = rng.permutation(len(RAMBLINGS))[: n - 1]
    chosen = [OPENER, *(RAMBLINGS[i] for i in order)]
    words = {"name": problem.name, "item": problem.item}
    return [*(text.format(**words) for text in chosen), f"#### {problem.start}"]


def _chat(problem: Problem, rng: np.random.Generator) -> tuple[str, str]:
    question, answers = pick(rng, CHAT)
    words = {"name": problem.name, "item": problem.item}
    return question.format(**words), pick(rng, answers).format(**words)
