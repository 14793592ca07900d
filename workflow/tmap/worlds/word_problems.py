"""Generated arithmetic word problems in GSM8K's shape: question, steps, `#### N`.

Example::

    Nadia starts the day with 12 marbles. A neighbour brings 5 more. Half ... are sold.
    Now there are 12 + 5 = 17 marbles.
    ...
    #### 17
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NAMES = (
    "Amara Bela Chen Dario Elif Farid Greta Hugo Ines Jonas Kofi Lena Mirek Nadia "
    "Oskar Priya Quinn Rosa Samir Tove Ugo Vera Wanda Xenia Yusuf Zora"
).split()
THINGS = (
    "acorns badges buttons candles cherries corks lemons marbles nails olives pears "
    "pebbles ribbons shells spoons stamps tickets tiles walnuts whistles"
).split()


@dataclass(frozen=True)
class Problem:
    """One word problem: text, solution line by line, and an answer of at least 1."""

    question: str
    steps: tuple[str, ...]
    answer: int
    thing: str

    @property
    def solution(self) -> str:
        """Steps, then the answer line."""
        return "\n".join([*self.steps, f"#### {self.answer}"])


def make(rng: np.random.Generator, n_events: int) -> Problem:
    """One problem with `n_events` changes to a count (one or two steps each)."""
    name, thing = str(rng.choice(NAMES)), str(rng.choice(THINGS))
    count = int(rng.integers(3, 40))
    told = [f"{name} starts the day with {count} {thing}."]
    steps: list[str] = []
    for _ in range(n_events):
        sentence, worked, count = _event(rng, name, thing, count)
        told.append(sentence)
        steps += worked
    told.append(f"How many {thing} does {name} have in the end?")
    return Problem(" ".join(told), tuple(steps), count, thing)


def _event(
    rng: np.random.Generator, name: str, thing: str, count: int
) -> tuple[str, list[str], int]:
    """What happens, the equations behind it, and the count after it."""
    k, bags = int(rng.integers(2, 30)), int(rng.integers(2, 7))
    kinds = ["more", "bags", *(["fewer"] if count > k else [])]
    kinds += ["times"] if count < 60 else []
    kinds += ["half"] if count % 2 == 0 else []
    match str(rng.choice(kinds)):
        case "more":
            said = f"A neighbour of {name} brings {k} more {thing}."
            return said, [_now(thing, count, "+", k, count + k)], count + k
        case "fewer":
            said = f"Then {name} gives {k} of the {thing} to a cousin."
            return said, [_now(thing, count, "-", k, count - k)], count - k
        case "times":
            said = f"By noon {name} has {bags} times as many {thing}."
            return said, [_now(thing, count, "*", bags, count * bags)], count * bags
        case "half":
            said = f"Half of the {thing} that {name} has are sold at the market."
            return said, [_now(thing, count, "/", 2, count // 2)], count // 2
    said = f"Next {name} opens {bags} bags with {k} {thing} in each."
    inside = bags * k
    opened = f"The bags hold {bags} * {k} = {inside} {thing}."
    return (
        said,
        [opened, _now(thing, count, "+", inside, count + inside)],
        count + inside,
    )


def _now(thing: str, left: int, sign: str, right: int, result: int) -> str:
    return f"Now there are {left} {sign} {right} = {result} {thing}."
