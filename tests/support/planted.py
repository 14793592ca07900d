"""A script that acts as a model: what it knows depends on its examples.

The chance of a right answer is `FLOOR` plus the worth of the examples, a planted
weighting of known columns. Which questions it answers is fixed: those whose own number,
drawn from the text, is below that chance.
"""

from __future__ import annotations

import hashlib
import re

import numpy as np

#: Columns that are computed from a row's text, and what each is worth.
PLANTED = {"planted_a": 1.0, "planted_b": 0.5, "planted_c": 0.0, "planted_d": -0.8}
#: Chance without examples; what is added by examples drawn from the best 30 %, whose
#: mean is 0.335 |w| above that of all rows.
FLOOR, SLOPE = 0.25, 0.6

#: The file that a user would write for a column of their own.
INDICATOR = '''"""A planted column: a number drawn from the question's text."""

import hashlib

import numpy as np

from tmap.indicators import Scores, indicator


@indicator(unit="none", source="none")
def NAME(pool, lm=None):
    """Draw them."""
    texts = [f"NAME:{text.strip()}".encode() for text in pool["instruction"]]
    digests = [hashlib.sha256(text).digest()[:6] for text in texts]
    score = np.array([int.from_bytes(digest, "big") / 2**48 for digest in digests])
    return Scores(score, np.full(len(pool), "ok", dtype=object))
'''


def drawn(name: str, text: str) -> float:
    """A number in [0, 1) that is this text's own."""
    found = hashlib.sha256(f"{name}:{text.strip()}".encode()).digest()
    return int.from_bytes(found[:6], "big") / 2**48


class Script:
    """`script(number, body)` of a server of completions.

    Parameters
    ----------
    gold : question -> answer
    worth : planted weights; none: examples change nothing
    """

    def __init__(self, gold: dict[str, str], worth: dict[str, float]) -> None:
        self.gold, self.worth = gold, worth

    def __call__(self, number: int, body: dict) -> tuple:
        prompts = body["prompt"]
        prompts = [prompts] if isinstance(prompts, str) else prompts
        texts = [self.answer(prompt) for prompt in prompts]
        choices = [{"index": i, "text": text} for i, text in enumerate(texts)]
        return 200, {}, {"choices": choices}

    def answer(self, prompt: str) -> str:
        *shown, asked = re.findall(r"Question:(.*?)\nAnswer:", prompt, re.S)
        known = self.knows(asked.strip(), [text.strip() for text in shown])
        right = self.gold[asked.strip()]
        return f" #### {right}" if known else f" #### {int(float(right)) + 1}"

    def knows(self, asked: str, shown: list[str]) -> bool:
        return drawn("question", asked) < self.chance(shown)

    def chance(self, shown: list[str]) -> float:
        if not shown or not any(self.worth.values()):
            return FLOOR
        worth = [
            sum(w * (drawn(name, text) - 0.5) for name, w in self.worth.items())
            for text in shown
        ]
        most = 0.335 * sum(w**2 for w in self.worth.values()) ** 0.5
        return FLOOR + SLOPE * max(0.0, float(np.mean(worth)) / most)
