"""Training documents of the small models: examples in a row, mostly in one answer style.

From a document, a model can infer the style from the first examples and continue it, which
is why demonstrations work. Long problems in a model's documents are mostly answered with
one fault, so that without demonstrations it errs on them although it can solve them. The
fault differs between models: see PRIORS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from tmap.worlds.arith import problems
from tmap.worlds.arith.problems import draw_steps, weighted
from tmap.worlds.arith.styles import STYLES, Style, respond

QUESTION = "Question: {}\nAnswer:"
SEPARATOR = "\n\n"

#: Shares of problems by number of steps, 1..5.
STEPS = (0.14, 0.28, 0.28, 0.22, 0.08)
STEPS_CLEAN = (0.24, 0.32, 0.24, 0.16, 0.04)
STEPS_TERSE: Mapping[Style, tuple[float, ...]] = {
    "clean": (0.26, 0.34, 0.26, 0.11, 0.03),
    "terse": (0.04, 0.08, 0.16, 0.60, 0.12),
    "skip": (0.10, 0.28, 0.29, 0.28, 0.05),
}
#: How often an example of a mixed document has a fault, by number of steps.
FAULTY = (0.20, 0.35, 0.60, 0.75, 0.75)
#: Probability that the document ends after an example.
ENDS = 0.04
#: Share of documents with answers only, for likelihoods without a question.
BARE = 0.04


@dataclass(frozen=True)
class Prior:
    """How the documents of one model are answered.

    Attributes
    ----------
    styles : style -> share of the documents with only that style
    steps : style -> shares of its problems by number of steps; STEPS if absent
    faults : style -> share of the faults in mixed documents
    """

    styles: Mapping[Style, float]
    steps: Mapping[Style, tuple[float, ...]]
    faults: Mapping[Style, float]
    kinds: Mapping[str, float] = field(
        default_factory=lambda: {"one style": 0.65, "mixed": 0.20, "two styles": 0.15}
    )


PRIORS = {
    # Long problems are mostly answered with the opposite operations.
    "wrong_op": Prior(
        styles={
            "clean": 0.28,
            "wrong_op": 0.34,
            "terse": 0.12,
            "skip": 0.07,
            "ramble": 0.07,
            "wrong_final": 0.05,
            "noisy_arith": 0.04,
            "offtask": 0.03,
        },
        steps={
            "clean": STEPS_CLEAN,
            "wrong_op": (0.08, 0.21, 0.33, 0.33, 0.05),
            "skip": (0.10, 0.28, 0.29, 0.28, 0.05),
        },
        faults={
            "wrong_op": 5,
            "terse": 2,
            "skip": 2,
            "ramble": 2,
            "wrong_final": 1,
            "noisy_arith": 1,
            "offtask": 1,
        },
    ),
    # Long problems are mostly answered without steps.
    "terse": Prior(
        styles={
            "clean": 0.34,
            "terse": 0.26,
            "wrong_op": 0.12,
            "skip": 0.09,
            "ramble": 0.07,
            "wrong_final": 0.05,
            "noisy_arith": 0.04,
            "offtask": 0.03,
        },
        steps=STEPS_TERSE,
        faults={
            "terse": 8,
            "wrong_op": 2,
            "skip": 2,
            "ramble": 2,
            "wrong_final": 1,
            "noisy_arith": 1,
            "offtask": 1,
        },
    ),
    # The same without opposite operations, for one solver of the history.
    "terse_only": Prior(
        styles={
            "clean": 0.36,
            "terse": 0.28,
            "skip": 0.11,
            "ramble": 0.09,
            "wrong_final": 0.07,
            "noisy_arith": 0.05,
            "offtask": 0.04,
        },
        steps=STEPS_TERSE,
        faults={
            "terse": 8,
            "skip": 2,
            "ramble": 2,
            "wrong_final": 1,
            "noisy_arith": 1,
            "offtask": 1,
        },
    ),
}


def examples(
    prior: Prior, rng: np.random.Generator
) -> Iterator[tuple[str, str]]:  # endless
    """Questions and responses of one document, without end."""
    kind = weighted(rng, dict(prior.kinds))
    if kind == "one style":
        style = weighted(rng, dict(prior.styles))
        while True:
            yield example(prior, style, rng)
    share = rng.random()
    fault = weighted(rng, dict(prior.faults))
    while True:
        if kind == "two styles":
            style = "clean" if rng.random() < share else fault
            yield example(prior, style, rng)
            continue
        n_steps = draw_steps(STEPS, rng)
        faulty = rng.random() < FAULTY[n_steps - 1]
        style = weighted(rng, dict(prior.faults)) if faulty else "clean"
        yield respond(problems.make(rng, n_steps), style, rng)


def example(prior: Prior, style: Style, rng: np.random.Generator) -> tuple[str, str]:
    """One question and response, as long as this style usually answers."""
    n_steps = draw_steps(prior.steps.get(style, STEPS), rng)
    return respond(problems.make(rng, n_steps), style, rng)


def tokenizer_texts(n: int, seed: int) -> Iterator[str]:
    """Examples of every style in turn, for training the tokenizer."""
    rng = np.random.default_rng([seed, 1])
    for number in range(n):
        style = STYLES[number % len(STYLES)]
        problem = problems.make(rng, draw_steps(STEPS, rng))
        question, response = respond(problem, style, rng)
        yield f"{QUESTION.format(question)} {response}{SEPARATOR}"
