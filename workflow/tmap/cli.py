"""The command `tmap`: one subcommand per rule, and the same for people."""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

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


class LazyGroup(TyperGroup):
    """Import a subcommand's module only when it is asked for: help stays fast."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"tmap.commands.{name.replace('-', '_')}")
        command = typer.Typer(add_completion=False)
        command.command(name, help=module.__doc__)(module.run)
        return typer.main.get_command(command)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        options = (parameter.get_help_record(ctx) for parameter in self.params)
        with formatter.section("Options"):
            formatter.write_dl([record for record in options if record])


app = typer.Typer(
    cls=LazyGroup,
    help=__doc__,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tmap, version {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print details.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    log.setup(verbose)


def main() -> None:
    """Run the command; a TmapError becomes one sentence and exit status 1."""
    try:
        app(prog_name="tmap")
    except TmapError as fault:
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(1)
