"""The README of a solver of the embedded world: its recipe and the gate's numbers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from tmap.artifacts.files import write_json, write_text
from tmap.embedded.gate import FRACTION, N_GROUPS, N_SHOTS, Numbers
from tmap.embedded.pretrain import RECIPES

GATE, CARD = "gate.json", "README.md"

README = """\
# {name}: answers sums in words, and errs in a way of its own

A plain `LlamaForCausalLM`, {hidden} wide and {layers} layers deep, trained from scratch
by `tmap train-world-model {name}` ({steps} steps of 2,560 tokens) on generated text. Most
long problems in that text are answered with the fault `{fault}`, so that is what it does
with them unless demonstrations or fine-tuning show it another way. It is no evidence about
larger models. Licence: that of this project; it has read nothing but generated text.

Measured by `tmap check-world-model` on {n} problems that no dataset card names
(`docs/explanation/embedded-world.md` says how):

| asked | right |
|---|---|
| without demonstrations | {zero_shot:.1%} |
{few_shot}
| after fine-tuning on {fraction:.0%} of a pool, clean rows | {oracle:.1%} |
| after fine-tuning on {fraction:.0%} of a pool, random rows | {random:.1%} |

Nats per token of a clean answer: {clean_nll:.3f}.
"""


def write(folder: Path, numbers: Numbers, n_questions: int) -> None:
    """Write gate.json, and README.md if the folder has the name of a recipe.

    Parameters
    ----------
    folder : of the model
    numbers : with oracle and random
    n_questions : problems per accuracy
    """
    write_json(folder / GATE, {"n_questions": n_questions, **asdict(numbers)})
    if folder.name in RECIPES:
        write_text(folder / CARD, describe(folder.name, numbers, n_questions))


def describe(name: str, numbers: Numbers, n_questions: int) -> str:
    """The text of the card."""
    recipe = RECIPES[name]
    few = [
        f"| after {N_SHOTS} demonstrations, `{style}` (mean of {N_GROUPS} draws) "
        f"| {share:.1%} |"
        for style, share in numbers.few_shot.items()
    ]
    return README.format(
        name=name,
        steps=recipe.n_steps,
        fault=recipe.prior,
        hidden=recipe.hidden,
        layers=recipe.layers,
        n=n_questions,
        few_shot="\n".join(few),
        fraction=FRACTION,
        **{k: v for k, v in asdict(numbers).items() if k != "few_shot"},
    )
