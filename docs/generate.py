"""Write docs/indicators.md, methods.md and tables.md from the code (`make docs`)."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path

from tmap import cards, indicators
from tmap.artifacts import schemas

DOCS = Path(__file__).parent
MADE = "<!-- Made by `make docs`; edit the code it describes. -->\n"
COST = {
    "text": "none worth counting",
    "proxy": "forward passes of a small proxy model, one or two per row",
    "judge": "one answer of a judge model per row",
    "target": "a forward pass of the target model per row",
    "columns": "none: it is made from other columns",
    "gradients": "a forward and a backward pass of the proxy per row and checkpoint",
}


def indicator_page() -> str:
    """Registry and module docstrings as one page."""
    found = [indicators.get(name) for name in indicators.names()]
    lines = [
        "# Indicators\n",
        MADE,
        "One file in `workflow/tmap/indicators/` each. Scores are stored raw, NaN with a "
        "status where a row cannot be scored; a method normalises them when it weighs "
        "them. Options go under `indicators:` in a dataset card. To add one: one file, "
        "and its name in a method card.\n",
        "| indicator | unit | looks at | scope | cost |\n|---|---|---|---|---|",
    ]
    lines += [
        f"| [{i.name}](#{i.name}) | {i.unit} | {i.looks_at} | {i.scope} "
        f"| {i.cost or COST[i.looks_at]} |"
        for i in found
    ]
    return "\n".join([*lines, *map(_section, found)]) + "\n"


def _section(found: indicators.Indicator) -> str:
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
        "says schema and version, code fingerprint, seed, package versions, rows by "
        "status, what made it (rule, card values, code by module, digests of its inputs: "
        "`tmap status` reads them), and notes of its own. Tables join by id, never by "
        "row order.",
    ]
    for kind, schema in schemas.SCHEMAS.items():
        lines += [f"\n## {kind}\n", f"Version {schema.version}.\n"]
        lines += ["| column | type | meaning |\n|---|---|---|"]
        lines += [
            f"| {name} | {str(arrow).replace('list<element', 'list<item')} "
            f"| {meaning.replace('|', '/')} |"
            for name, (arrow, meaning) in schema.columns.items()
        ]
    return "\n".join(lines) + "\n"


def method_page() -> str:
    """Every shipped method card as one table."""
    lines = [
        "# Methods\n",
        MADE,
        "One card in `config/methods/` is one row of a results table. To add one, write a "
        "card and list it under `methods:` in your config: it alone is selected, trained "
        "and measured.\n",
        "| method | weights | what it is |\n|---|---|---|",
    ]
    for path in sorted((DOCS.parent / "config" / "methods").glob("*.yaml")):
        card = cards.load("methods", path.stem)
        weights = card.weights
        if isinstance(weights, dict):
            weights = ", ".join(f"{name} {value:g}" for name, value in weights.items())
        lines.append(f"| {path.stem} | {weights} | {card.description} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """File name under docs/ -> text."""
    return {
        "indicators.md": indicator_page(),
        "methods.md": method_page(),
        "tables.md": table_page(),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
