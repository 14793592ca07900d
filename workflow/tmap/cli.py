"""The command `tmap`: one subcommand per rule, and the same for people."""

from __future__ import annotations

import importlib
import sys

import click
import typer

from tmap import __version__, log
from tmap.errors import TmapError

#: Subcommands in the order of the workflow; `fit-irt` lives in commands/fit_irt.py.
COMMANDS = {
    "fetch-questions": "Split and store the benchmark questions.",
    "fetch-pool": "Read, check and store the instruction pool.",
    "fetch-responses": "Store who answered which question before.",
    "fetch-model": "Download a model, or check a local one, and pin its revision.",
    "score-indicator": "Score every candidate with one indicator.",
    "fit-irt": "Fit the M-2PL item response model to the history.",
    "choose-tiny": "Choose the tiny and the confirm question sets.",
    "search-weights": "Search indicator weights by Bayesian optimisation.",
    "select-subset": "Take the top M samples.",
    "train-adapter": "Fine-tune a LoRA adapter on a subset.",
    "evaluate-adapter": "Answer the test questions, with or without an adapter.",
    "collect-metrics": "Compare all methods: intervals, tests, verdicts, plots.",
    "make-world": "Write a small random world to try the workflow on (no network).",
    "show-metrics": "Print the results table of a metrics.json.",
}


class LazyGroup(click.Group):
    """Import a subcommand's module only when it is asked for: help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"tmap.commands.{name.replace('-', '_')}")
        app = typer.Typer(add_completion=False)
        app.command(name, help=module.__doc__)(module.run)
        return typer.main.get_command(app)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, help=__doc__)
@click.version_option(__version__, prog_name="tmap")
@click.option("-v", "--verbose", is_flag=True, help="Also print details.")
def app(verbose: bool) -> None:
    log.setup(verbose)


def main() -> None:
    """Run the command; a TmapError becomes one sentence and exit status 1."""
    try:
        app(prog_name="tmap")
    except TmapError as fault:
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(1)
