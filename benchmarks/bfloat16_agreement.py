"""How often engines say the same in bfloat16, where sums are rounded in another order.

Prints JSON: the share of answers of the embedded model `tiny` that are the same text, by
pair of engines and dtypes, on a CPU. float32 is the control: there all must agree.

    OMP_NUM_THREADS=1 python benchmarks/bfloat16_agreement.py
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from tmap import cards, engines
from tmap.cards.model import EngineSection
from tmap.data import models
from tmap.prompts.renderer import Demo, Renderer

ROOT = Path(__file__).resolve().parents[1]
TEXTS = (
    "{who} has {a} {what}. {who} finds {b} more. How many {what} does {who} have now?",
    "{who} has {a} {what}. {who} loses {b}. How many {what} does {who} have now?",
)


def problem(rng: np.random.Generator) -> Demo:
    """A question of one step, and its answer."""
    kind, a, b = (
        int(rng.integers(2)),
        int(rng.integers(10, 50)),
        int(rng.integers(1, 10)),
    )
    who = rng.choice(["Tom", "Sara", "Ben", "Anna"])
    what = rng.choice(["pens", "coins", "books", "apples"])
    worth = a + b if kind == 0 else a - b
    words = f"{who} has {a}{'+-'[kind]}{b}={worth} {what}.\n#### {worth}"
    return Demo(TEXTS[kind].format(who=who, what=what, a=a, b=b), words)


def answers(name: str, dtype: str, n_questions: int, new_tokens: int) -> list[str]:
    """What the engine writes after one and after three examples."""
    card = cards.load("models", "tiny")
    record = models.read("tiny", card.source)
    section = EngineSection.model_validate(
        {"name": name, "dtype": dtype, "device": "cpu"}
    )
    lm = engines.load(record, section)
    renderer = Renderer(lm.tokenizer, card.prompt)
    rng = np.random.default_rng(0)
    demos = [problem(rng) for _ in range(3)]
    asked = [problem(rng).question for _ in range(n_questions)]
    written = lm.generate(
        [renderer.render("", demos[:n]).prefix for n in (1, 3)],
        [renderer.render(question, demos).question for question in asked],
        max_new_tokens=new_tokens,
        stop=renderer.stop,
    )
    return [renderer.read(ids) for group in written for ids in group]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--new-tokens", type=int, default=48)
    args = parser.parse_args()
    os.chdir(ROOT)
    ways = [
        (n, d) for d in ("float32", "bfloat16") for n in ("reference", "transformers")
    ]
    said = [answers(*way, args.questions, args.new_tokens) for way in ways]

    def alike(i: int, j: int) -> float:
        return float(np.mean([a == b for a, b in zip(said[i], said[j], strict=True)]))

    found = {
        "equal_in_float32": alike(0, 1),
        "equal_in_bfloat16": alike(2, 3),
        "reference_equal_across_dtypes": alike(0, 2),
        "n_answers": len(said[0]),
        "n_distinct": len(set(said[2])),
        "device": "cpu",
        "arguments": vars(args),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
