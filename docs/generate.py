"""Write docs/reference/ from the code (`make docs`)."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import typer
from pydantic_core import PydanticUndefined

from tmap import cards, cli, indicators
from tmap.artifacts import schemas
from tmap.artifacts.rules import CHAPTERS, RULES, Rule
from tmap.cards.base import Section
from tmap.cards.workflow import WorkflowConfig

DOCS = Path(__file__).parent
RULE_FILES = DOCS.parent / "rules"
MADE = "<!-- Made by `make docs`; edit the code it describes. -->\n"
COST = {
    "text": "negligible",
    "proxy": "forward passes of a small proxy model, one or two per row",
    "judge": "one answer of a judge model per row",
    "target": "a forward pass of the target model per row",
    "columns": "none: it is made from other columns",
    "gradients": "a forward and a backward pass of the proxy per row and checkpoint",
}
PLACES = {
    "here": "where Snakemake was started",
    "cpu": "a node without a GPU",
    "gpu": "a GPU node",
}


def row(*cells: object) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |"


def head(*names: str) -> list[str]:
    """The first two lines of a Markdown table."""
    return [row(*names), "|" + "---|" * len(names)]


# --- indicators, methods, tables


def indicator_page() -> str:
    """Registry and module docstrings as one page."""
    found = [indicators.get(name) for name in indicators.names()]
    lines = [
        "# Indicators\n",
        MADE,
        "Each indicator is one file in `workflow/tmap/indicators/`. Scores are stored raw; "
        "a row that cannot be scored is NaN with a status. A method normalises the scores "
        "when it weighs them. Options go under `indicators:` in a dataset card. To add an "
        "indicator, [write one file](../how-to/indicator.md) and name it in a method "
        "card.\n",
        *head("indicator", "unit", "looks at", "scope", "cost"),
    ]
    lines += [
        row(
            f"[{i.name}](#{i.name})",
            i.unit,
            i.looks_at,
            i.scope,
            i.cost or COST[i.looks_at],
        )
        for i in found
    ]
    return "\n".join([*lines, *map(_indicator, found)]) + "\n"


def _indicator(found: indicators.Indicator) -> str:
    module = importlib.import_module(found.function.__module__)
    text = inspect.cleandoc(module.__doc__ or "").replace("::\n", ":\n")
    options = ", ".join(
        f"`{name}: {json.dumps(default)}`" for name, default in found.options.items()
    )
    return f"\n## {found.name}\n\n{text}\n\nOptions: {options or 'none'}."


def table_page() -> str:
    """Every parquet schema as one page."""
    lines = [
        "# Tables\n",
        MADE,
        "Every parquet file under `results/` is one of these. Its metadata (key `tmap`) "
        "holds the schema and its version, the code fingerprint, the seed, package "
        "versions, the number of rows by status, what made it (rule, card values, code by "
        "module, digests of its inputs: `tmap status` reads them), and notes of its own. "
        "Tables are joined by id, never by row order.",
    ]
    for kind, schema in schemas.SCHEMAS.items():
        lines += [f"\n## {kind}\n", f"Version {schema.version}.\n"]
        lines += head("column", "type", "meaning")
        lines += [
            row(name, str(arrow).replace("list<element", "list<item"), meaning)
            for name, (arrow, meaning) in schema.columns.items()
        ]
    return "\n".join(lines) + "\n"


def method_page() -> str:
    """Every shipped method card as one table."""
    lines = [
        "# Methods\n",
        MADE,
        "One card in `config/methods/` is one row of a results table. To add a method, "
        "write a card and list it under `methods:` in your config. Only that method is "
        "then selected, trained and measured. [Cards](cards.md#method-card) lists every "
        "key.\n",
        *head("method", "weights", "what it is"),
    ]
    for path in sorted((DOCS.parent / "config" / "methods").glob("*.yaml")):
        card = cards.load("methods", path.stem)
        weights = card.weights
        if isinstance(weights, dict):
            weights = ", ".join(f"{name} {value:g}" for name, value in weights.items())
        lines.append(row(path.stem, weights, card.description))
    return "\n".join(lines) + "\n"


# --- cards


def card_page() -> str:
    """Every key of every kind of card, from the models that check them."""
    lines = [
        "# Cards\n",
        MADE,
        "A card is a YAML file that describes one dataset, model, judge, method or "
        "experiment. It is found by its name: `datasets/my_data.yaml` in one of your card "
        "folders (`cards:` in the config, `TMAP_CARDS`), else in `config/`. "
        "`extends: NAME` takes another card of the same kind and changes the keys that "
        "are written below it. An unknown key is an error that names the nearest known "
        "one. A key appears once. A key of type *section* has a table of its own.\n",
    ]
    kinds = {
        f"{name[:-1].capitalize()} card": model for name, model in cards.KINDS.items()
    }
    for title, model in {**kinds, "Config": WorkflowConfig}.items():
        lines += [f"\n## {title}\n", *_section(model, "", "")]
    return "\n".join(lines) + "\n"


def _section(model: type[Section], title: str, path: str) -> list[str]:
    """A table of the keys of one section, then those of the sections in it."""
    text = inspect.cleandoc(model.__doc__ or "").replace("::\n", ":\n")
    lines = [f"\n### {title}: `{path}`\n"] if path else []
    lines += [text + "\n", *head("key", "type", "default", "meaning")]
    inner: list[str] = []
    for name, field in model.model_fields.items():
        nested = _nested(field.annotation)
        below = f"{path}.{name}" if path else name
        if nested:
            many = typing.get_origin(field.annotation) is dict
            whole = below + (".NAME" if many else "")
            inner += _section(nested, title or _title(model), whole)
        meaning = field.description or (nested.__doc__ or "" if nested else "")
        lines.append(
            row(
                f"`{name}`",
                _type(field, nested),
                _default(field, nested),
                " ".join(meaning.split("\n\n")[0].split()),
            )
        )
    return lines + inner


def _title(model: type[Section]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", model.__name__).capitalize()


def _nested(annotation: object) -> type[Section] | None:
    """The section that a key holds, or maps names to; None of a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = map(_nested, typing.get_args(annotation))
    return next((model for model in found if model), None)


def _type(field: typing.Any, nested: type[Section] | None) -> str:
    if nested:
        many = typing.get_origin(field.annotation) is dict
        return "sections by name" if many else "section"
    limits = []
    for one in field.metadata:
        for word, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
            if getattr(one, word, None) is not None:
                limit = getattr(one, word)
                plain = f"{limit:g}" if isinstance(limit, float) else str(limit)
                limits.append(f"{sign} {plain}")
    return _words(field.annotation) + (f", {' and '.join(limits)}" if limits else "")


def _words(annotation: object) -> str:
    """A type as a reader of YAML thinks of it."""
    plain = {str: "text", int: "integer", float: "number", bool: "true or false"}
    if annotation in plain:
        return plain[annotation]
    if annotation is types.NoneType:
        return "null"
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin is list:
        return f"list of {_words(inner[0])}"
    if origin is tuple:
        return "[" + ", ".join(map(_words, inner)) + "]"
    if origin is dict:
        return "{" + ": ".join(map(_words, inner)) + "}"
    if origin is typing.Annotated:
        return _words(inner[0])
    return " or ".join(map(_words, inner)) if inner else "any"


def _default(field: typing.Any, nested: type[Section] | None) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if nested and field.default is not None:
        return ""
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{json.dumps(value)}`"


# --- rules


def rule_page() -> str:
    """Every rule by chapter: its files from rules/*.smk, the rest from the registry."""
    lines = [
        "# Rules\n",
        MADE,
        "Every rule of the workflow, by chapter. A chapter is one file in `rules/`. Its "
        "rules ask one package of the library and one module of `tmap.dag`, which have "
        "the same name ([architecture](../explanation/architecture.md)). A name such as "
        "`dag.tiny.history_files` is a function in `workflow/tmap/dag/` that lists the "
        "files, because their number depends on cards. A rule that repeats another one "
        "uses its command on other files. To add a rule, see "
        "[Add a rule](../how-to/rule.md).",
    ]
    written = dict(_written())
    for chapter, about in CHAPTERS.items():
        text = (RULE_FILES / f"{chapter}.smk").read_text(encoding="utf-8")
        doc = re.match(r'"""\n(.*?)\n"""', text, re.S)
        assert doc, f"rules/{chapter}.smk: begin with a docstring"
        _, _, header = doc[1].partition("\n\n")
        lines += [f"\n## {chapter}\n", f"{about}.\n", f"```text\n{header}\n```\n"]
        lines += head("rule", "reads", "writes", "command", "runs on", "repeats")
        lines += [
            _rule(rule, written) for rule in RULES.values() if rule.chapter == chapter
        ]
    return "\n".join(lines) + "\n"


def _rule(rule: Rule, written: dict[str, dict[str, list[str]]]) -> str:
    own, first = written[rule.name], written[rule.base or rule.name]
    command = (rule.base or rule.name).replace("_", "-")
    minutes = f", {rule.minutes} minutes" if rule.minutes else ""
    return row(
        f"`{rule.name}`",
        "<br>".join(own.get("input") or first.get("input") or ["-"]),
        "<br>".join(own.get("output") or first.get("output") or ["-"]),
        f"[{command}](commands.md#{command})",
        PLACES[rule.place] + minutes,
        f"`{rule.base}`" if rule.base else "",
    )


def _written() -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Name of every rule, and the files under its `input:` and `output:`."""
    for path in RULE_FILES.glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        for name, body in re.findall(
            r"^(?:rule|checkpoint|use rule \w+ as) (\w+)(?: with)?:\n(.*?)(?=^\S|\Z)",
            text,
            re.M | re.S,
        ):
            parts = re.findall(r"^    (\w+):\n(.*?)(?=^    \w|\Z)", body, re.M | re.S)
            yield (
                name,
                {k: _files(v) for k, v in parts if k in ("input", "output")},
            )


def _files(block: str) -> list[str]:
    """Paths of an `input:` or `output:`, and the functions of `dag` that list others."""
    call = ast.parse(f"files(\n{block})", mode="eval").body
    assert isinstance(call, ast.Call)
    found = []
    for value in [*call.args, *(keyword.value for keyword in call.keywords)]:
        nodes = list(ast.walk(value))
        paths = [
            n.value
            for n in nodes
            if isinstance(n, ast.Constant) and "results/" in str(n.value)
        ]
        asked = [ast.unparse(n) for n in nodes if isinstance(n, ast.Attribute)]
        asked = [name for name in asked if re.fullmatch(r"dag\.\w+\.\w+", name)]
        found += [f"`{name}`" for name in paths or asked[:1]]
    return list(dict.fromkeys(found))


# --- commands


def command_page() -> str:
    """Every subcommand with its arguments and options."""
    lines = [
        "# Commands\n",
        MADE,
        "`tmap --help` prints this list, `tmap COMMAND --help` one command. People type "
        "the first group; the workflow runs the others, one per rule.\n",
    ]
    group = typer.main.get_command(cli.app)
    context = typer.Context(group, info_name="tmap")
    for heading, names in cli.panels().items():
        lines += [f"\n## {heading}\n", *head("command", "what it does")]
        lines += [row(f"[{n}](#{n})", cli.summaries()[n]) for n in names]
        lines += [_command(group, context, name) for name in names]
    return "\n".join(lines) + "\n"


def _command(group: typing.Any, context: typing.Any, name: str) -> str:
    command = group.get_command(context, name)
    inner = typer.Context(command, info_name=name, parent=context)
    pieces = " ".join(command.collect_usage_pieces(inner))
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    lines = [f"\n### {name}\n", f"```text\ntmap {name} {pieces}\n```\n", text + "\n"]
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(inner)
        if record and parameter.name != "help":
            rows.append(row(f"`{record[0].strip()}`", " ".join(record[1].split())))
    return "\n".join(lines + (head("option", "meaning") + rows if rows else []))


def pages() -> dict[str, str]:
    """File name under docs/ -> text."""
    return {
        "reference/cards.md": card_page(),
        "reference/commands.md": command_page(),
        "reference/indicators.md": indicator_page(),
        "reference/methods.md": method_page(),
        "reference/rules.md": rule_page(),
        "reference/tables.md": table_page(),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
