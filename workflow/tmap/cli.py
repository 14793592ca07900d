"""Instruction-data selection, stage by stage: one subcommand per workflow rule."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tmap import __version__, attempts, log
from tmap.errors import BudgetSpent, OutOfMemory, TmapError
from tmap.failures import ERROR

#: Subcommands in the order of use; `fit-irt` lives in commands/fit_irt.py.
COMMANDS = {
    "init": "Write cards, a config and profiles of your own, outside the clone.",
    "check": "Show what a dataset and a model card come to, before any job.",
    "fetch-questions": "Split and store the benchmark questions.",
    "fetch-pool": "Read, check and store the instruction pool.",
    "distil-pool": "Let a teacher write the reasoning to each known answer.",
    "label-pool": "Store what is known of a generated pool's faults.",
    "fetch-responses": "Store who answered which question before.",
    "fetch-model": "Download a model, or check a local one, and pin its revision.",
    "fetch-targets": "Store reward questions with a right answer: what gradients aim at.",
    "warm-up-proxy": "Train a proxy briefly and keep a checkpoint per epoch.",
    "measure-gradients": "Measure one job's share of the gradients, into the store.",
    "gradients": "Measure the gradient of every candidate and target question.",
    "generate-candidates": "Let a generator write candidates after worked examples.",
    "select-round": "Take a round's best candidates, and keep those of the rounds before.",
    "embed-pool": "Turn every candidate's text into a vector.",
    "measure-shard": "Measure one job's share of what an indicator needs.",
    "score-indicator": "Score every candidate with one indicator.",
    "fit-irt": "Fit the M-2PL item response model to the history.",
    "choose-tiny": "Choose the tiny and the confirm question sets.",
    "search-weights": "Search indicator weights by Bayesian optimisation.",
    "search-consensus": "Search the weights that several models agree on.",
    "select-subset": "Take the top M samples.",
    "export-subset": "Write a subset for trainers, with its data card.",
    "train-adapter": "Fine-tune a LoRA adapter on a subset.",
    "evaluate-adapter": "Answer the test questions, with or without an adapter.",
    "collect-metrics": "Compare all methods: intervals, tests, verdicts, plots.",
    "explain-weights": "Say what each indicator gives to the reward.",
    "choose-sentinels": "Choose the selections that a certificate trains on.",
    "certify-proxy": "Say whether the reward ranks subsets as fine-tuning does.",
    "make-table": "Build the table of an experiment card.",
    "make-world": "Write a small random world to try the workflow on (no network).",
    "train-world-judge": "Train the embedded world's judge and test it.",
    "make-world-history": "Let small models answer the embedded world's questions.",
    "train-world-model": "Train a model of the embedded world from scratch.",
    "check-world-model": "Measure such a model and refuse one that teaches nothing.",
    "plan": "Say what a target will cost before anything runs.",
    "status": "Say which results are current, and what differs where they are not.",
    "store-gc": "Remove from the store what no card refers to any more.",
    "show-metrics": "Print the results table of a metrics.json.",
}


class LazyGroup(TyperGroup):
    """Import a subcommand's module only when it is asked for: help stays fast."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, name: str) -> Any:  # type: ignore[override]
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"tmap.commands.{name.replace('-', '_')}")
        single = typer.Typer(add_completion=False)
        single.command(name, help=module.__doc__)(module.run)
        return typer.main.get_command(single)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # plain tracebacks in logs, without local values
)


@app.callback(help=__doc__, invoke_without_command=True)
def start(
    ctx: typer.Context,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print details.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.")
    ] = False,
    job: Annotated[
        tuple[str, int, float],
        typer.Option(
            metavar="LOG ATTEMPT MINUTES",
            help="Under a scheduler: which attempt this is, and when it is ended.",
        ),
    ] = ("", 0, 0),
) -> None:
    log.setup(verbose)
    path, attempt, minutes = job
    if attempt:
        attempts.begin(attempts.record_of(path), attempt, minutes)
    if version:
        print(f"tmap {__version__}")
    elif ctx.invoked_subcommand is None:
        print(ctx.get_help())


def main() -> None:
    """Run the command; a fault ends in one sentence and exit status 1.

    Only a fault that is not the user's shows a traceback, above that sentence.
    """
    # One thread unless told otherwise: other thread counts round differently.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        app(prog_name="tmap")
    except TmapError as fault:
        final = isinstance(fault, BudgetSpent)
        _end(str(fault), isinstance(fault, OutOfMemory), final)
    except Exception as fault:
        traceback.print_exc()
        words = " ".join(str(fault).split())
        # So says torch of a CPU; of a GPU more memory of the host is no cure.
        starved = isinstance(fault, MemoryError) or "DefaultCPUAllocator" in words
        _end(
            f"{type(fault).__name__}: {words}. This is not foreseen; if the traceback "
            "above names nothing that you can mend, report it with this log.",
            starved,
        )


def _end(sentence: str, starved: bool = False, final: bool = False) -> None:
    """The last line of a log, which `tmap.failures` looks for."""
    attempts.ended(sentence, out_of_memory=starved, final=final)
    print(f"{ERROR}{sentence}", file=sys.stderr)
    sys.exit(1)
