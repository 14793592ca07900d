"""Select instruction data for your task and model: one subcommand per workflow rule."""

from __future__ import annotations

import ast
import importlib
import os
import sys
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tmap import __version__
from tmap.artifacts import machine
from tmap.artifacts.rules import CHAPTERS, RULES
from tmap.artifacts.secrets import hide
from tmap.errors import BudgetSpent, OutOfMemory, TmapError, lacking, nearest
from tmap.jobs import attempts, log
from tmap.jobs.failures import ERROR

#: Commands that people type, in the order of use. The others are jobs of the workflow, or
#: make the worlds that it is tried on.
PEOPLE = (
    *("init", "check", "plan", "run", "status", "show-metrics", "open", "compare"),
    *("push-subset", "store-gc"),
)
FOLDER = Path(__file__).parent / "commands"


@cache
def summaries() -> dict[str, str]:
    """Every subcommand and the first line of its help, read without importing it."""
    return {
        path.stem.replace("_", "-"): _summary(path)
        for path in sorted(FOLDER.glob("[!_]*.py"))
    }


def _summary(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n\n")[0].replace("\n", " ")


def panels() -> dict[str, list[str]]:
    """Heading -> subcommands: for people, for the workflow by chapter, for worlds."""
    found = {"Commands": list(PEOPLE)}
    for chapter, about in CHAPTERS.items():
        names = [r.name for r in RULES.values() if r.chapter == chapter and not r.base]
        heading = f"Jobs of the workflow: {chapter} ({about[0].lower()}{about[1:]})"
        found[heading] = [name.replace("_", "-") for name in names]
    told = {name for names in found.values() for name in names}
    found["Worlds to try it on"] = [n for n in summaries() if n not in told]
    return {heading: names for heading, names in found.items() if names}


class LazyGroup(TyperGroup):
    """Import a subcommand's module only when it is called, so that help stays fast."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return [name for names in panels().values() for name in names]

    def get_command(self, ctx: typer.Context, name: str) -> Any:  # type: ignore[override]
        if not (FOLDER / f"{name.replace('-', '_')}.py").is_file() or "_" in name:
            return None
        module = importlib.import_module(f"tmap.commands.{name.replace('-', '_')}")
        single = typer.Typer(add_completion=False)
        settings = getattr(module, "CONTEXT", None)
        single.command(name, help=module.__doc__, context_settings=settings)(module.run)
        return typer.main.get_command(single)

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        name = args[0]
        if not name.startswith("-") and name not in summaries():
            ctx.fail(f"No such command '{name}'.{nearest(name, summaries())}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        for heading, names in panels().items():
            with formatter.section(heading):
                formatter.write_dl([(name, summaries()[name]) for name in names])


app = typer.Typer(
    cls=LazyGroup,
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
        bool, typer.Option("--version", help="Print the version and exit.")
    ] = False,
    job: Annotated[
        tuple[str, int, float],
        typer.Option(
            metavar="LOG ATTEMPT MINUTES",
            help="Under a scheduler: the log, the attempt, and the minutes that it has.",
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
    """Run the command; an error ends in one sentence and exit status 1.

    A traceback above that sentence is shown only if the error is not the user's.
    """
    # One thread by default: other thread counts round differently.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        app(prog_name="tmap")
    except TmapError as fault:
        final = isinstance(fault, BudgetSpent)
        _end(str(fault), isinstance(fault, OutOfMemory), final)
    except Exception as fault:
        if isinstance(fault, ImportError) and "tmap" not in (fault.name or ""):
            _end(str(lacking(fault)))
        if told := machine.sentence(fault):
            _end(told)
        print(hide(traceback.format_exc()), end="", file=sys.stderr)
        words = " ".join(str(fault).split())
        # torch's message for a CPU; for a GPU, more memory of the host would not help.
        starved = isinstance(fault, MemoryError) or "DefaultCPUAllocator" in words
        _end(
            f"{type(fault).__name__}: {words}. This is unexpected. If the traceback "
            "above names nothing that you can fix, report it with this log.",
            starved,
        )


def _end(sentence: str, starved: bool = False, final: bool = False) -> None:
    """Print the last line of a log, which `tmap.jobs.failures` looks for."""
    sentence = hide(sentence)
    # On a full disk, neither the record nor the log may take another word.
    with suppress(OSError, TmapError):
        attempts.ended(sentence, out_of_memory=starved, final=final)
    with suppress(OSError):
        print(f"{ERROR}{sentence}", file=sys.stderr, flush=True)
    sys.exit(1)
