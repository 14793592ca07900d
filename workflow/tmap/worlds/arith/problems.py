"""Problems in words whose worked answer is known step by step.

A story starts with a number of things and changes it: things are bought, lost, doubled,
halved, unpacked from boxes, or all sold. Every change is one or two equations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np

NAMES = (
    "Ada Bo Cara Dan Eva Finn Greta Hugo Ida Jon Kira Leon Maya Nils Olga Pia".split()
)
ITEMS = (
    "apples beads cards coins eggs keys lemons nuts pens shells stones tickets".split()
)
CONTAINERS = ("boxes", "bags", "jars")
PEOPLE = ("friend", "sister", "brother", "neighbour")

#: Answers and all intermediate totals are in 1..LARGEST.
LARGEST = 300
MAX_STEPS = 5
#: Share of problems with a sentence about someone else's things.
DISTRACTED = 0.2

Operator = Literal["+", "-", "*", "/"]
OPERATE: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
}
T = TypeVar("T")


class Step(NamedTuple):
    """One equation of a worked answer.

    Attributes
    ----------
    verb : 'has', 'gets' (a side sum: containers times contents) or 'makes' (money)
    left, operator, right, result : the equation, as 6+34=40
    noun : the counted things
    takes : origin of the operands
        'stated': both are in the text; 'total': left is the total so far; 'product':
        left is the total so far and right the result of the step before.
    """

    verb: str
    left: int
    operator: Operator
    right: int
    result: int
    noun: str
    takes: Literal["stated", "total", "product"]


@dataclass(frozen=True)
class Problem:
    """A story, its question and its worked answer.

    Attributes
    ----------
    question : the whole text: story, then question
    start : the number of things at the beginning
    steps : the equations, in order; 1..MAX_STEPS
    answer : result of the last step, 1..LARGEST
    name, item : whose things, which things
    """

    question: str
    start: int
    steps: tuple[Step, ...]
    answer: int
    name: str
    item: str

    @property
    def n_steps(self) -> int:
        """Number of equations."""
        return len(self.steps)


def make(rng: np.random.Generator, n_steps: int) -> Problem:
    """Draw a problem whose worked answer has exactly `n_steps` equations.

    Parameters
    ----------
    rng : where every choice comes from
    n_steps : 1..MAX_STEPS
    """
    if not 1 <= n_steps <= MAX_STEPS:
        raise ValueError(f"n_steps must be 1..{MAX_STEPS}, not {n_steps}")
    while True:
        story = _Story(rng)
        while len(story.steps) < n_steps:
            story.go_on(n_steps - len(story.steps))
        if all(1 <= step.result <= LARGEST for step in story.steps):
            return story.problem()


class _Story:
    """A problem in the making."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.name, self.item = pick(rng, NAMES), pick(rng, ITEMS)
        self.start = self.total = between(rng, 3, 50)
        self.sentences = [f"{self.name} has {self.start} {self.item}."]
        self.steps: list[Step] = []
        self.sold = False

    def go_on(self, n_left: int) -> None:
        """Let one event happen, or nothing if the drawn event does not fit."""
        happen = {
            "gain": self.gain,
            "lose": self.lose,
            "unpack": self.unpack,
            "multiply": self.multiply,
            "halve": self.halve,
            "sell": self.sell,
        }
        happen[weighted(self.rng, EVENTS)](n_left)

    def gain(self, _: int) -> None:
        n = between(self.rng, 2, 40)
        self.say(
            f"{self.name} buys {n} more.",
            f"{self.name} finds {n} more {self.item}.",
            f"A {pick(self.rng, PEOPLE)} gives {self.name} {n} {self.item}.",
        )
        self.count("has", "+", n)

    def lose(self, _: int) -> None:
        if self.total < 4:
            return
        n = between(self.rng, 2, self.total - 1)
        self.say(
            f"{self.name} loses {n}.",
            f"{self.name} gives {n} to a {pick(self.rng, PEOPLE)}.",
            f"{self.name} sells {n} of them.",
        )
        self.count("has", "-", n)

    def unpack(self, n_left: int) -> None:
        if n_left < 2:
            return
        n, each = between(self.rng, 2, 9), between(self.rng, 2, 9)
        packs = pick(self.rng, CONTAINERS)
        self.say(
            f"{self.name} buys {n} {packs} with {each} {self.item} each.",
            f"{self.name} gets {n} {packs} of {each} {self.item}.",
        )
        self.steps.append(Step("gets", n, "*", each, n * each, self.item, "stated"))
        self.count("has", "+", n * each, takes="product")

    def multiply(self, _: int) -> None:
        if self.total > 40:
            return
        n = between(self.rng, 2, 3)
        verb = "doubles" if n == 2 else "triples"
        self.say(f"{self.name} {verb} the number of {self.item}.")
        self.count("has", "*", n)

    def halve(self, _: int) -> None:
        if self.total % 2 or self.total < 4:
            return
        self.say(
            f"{self.name} gives away half of the {self.item}.",
            f"Half of the {self.item} get lost.",
        )
        self.count("has", "/", 2)

    def sell(self, n_left: int) -> None:
        if n_left != 1 or self.total > 30:
            return
        price = between(self.rng, 2, 9)
        self.say(
            f"{self.name} sells all {self.item} for {price} dollars each.",
            f"Each one sells for {price} dollars, and {self.name} sells all.",
        )
        self.count("makes", "*", price, noun="dollars")
        self.sold = True

    def say(self, *wordings: str) -> None:
        self.sentences.append(pick(self.rng, wordings))

    def count(
        self,
        verb: str,
        operator: Operator,
        right: int,
        noun: str = "",
        takes: Literal["total", "product"] = "total",
    ) -> None:
        result = OPERATE[operator](self.total, right)
        noun = noun or self.item
        step = Step(verb, self.total, operator, right, result, noun, takes)
        self.steps.append(step)
        self.total = result

    def problem(self) -> Problem:
        if self.rng.random() < DISTRACTED:
            self.distract()
        asked = (
            [f"How many dollars does {self.name} make?"]
            if self.sold
            else [
                f"How many {self.item} does {self.name} have now?",
                f"How many {self.item} are left with {self.name}?",
            ]
        )
        text = " ".join([*self.sentences, pick(self.rng, asked)])
        steps = tuple(self.steps)
        return Problem(text, self.start, steps, self.total, self.name, self.item)

    def distract(self) -> None:
        """Add a sentence about someone else's things after the first sentence."""
        other = pick(self.rng, [item for item in ITEMS if item != self.item])
        sentence = f"A {pick(self.rng, PEOPLE)} has {between(self.rng, 2, 40)} {other}."
        self.sentences.insert(between(self.rng, 1, len(self.sentences)), sentence)


#: How often each event is drawn, before those that do not fit are left out.
EVENTS = {
    "gain": 3.0,
    "lose": 3.0,
    "unpack": 2.0,
    "multiply": 1.2,
    "halve": 1.0,
    "sell": 1.0,
}


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number, both ends included."""
    return int(rng.integers(low, high + 1))


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """One of `choices`, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def weighted(rng: np.random.Generator, weights: dict[T, float]) -> T:
    """One key, as likely as its weight; `Generator.choice(p=)` is ten times slower."""
    point = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        point -= weight
        if point < 0:
            return key
    return key


def draw_steps(shares: tuple[float, ...], rng: np.random.Generator) -> int:
    """A number of steps, 1..len(shares)."""
    return 1 + weighted(rng, dict(enumerate(shares)))
