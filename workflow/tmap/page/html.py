"""Each page as one HTML file: its data, its style and its script are inside.

Nothing that a pool contains is ever markup. Data is JSON in a script element of a type that
no browser runs, with every `<`, `>` and `&` escaped, and the script puts texts on the page
as text nodes only. The content security policy allows this script and this style, by their
digests, and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Kind:
    """A kind of page.

    Attributes
    ----------
    template : in `ASSETS`
    scripts : names without .js, in the order in which they run
    sections : anchor -> heading, after the verdict
    """

    template: str
    scripts: tuple[str, ...]
    sections: dict[str, str]


#: The page of a run, from `document.build`.
RESULT = Kind(
    "page.html",
    (
        *("dom", "frame", "packed", "charts", "methods", "search", "indicators"),
        *("samples", "row", "subsets", "questions", "provenance", "page"),
    ),
    {
        "methods": "Methods",
        "search": "Search",
        "indicators": "Indicators",
        "samples": "Samples",
        "subsets": "Subsets",
        "questions": "Questions",
        "rejected": "Rejected rows",
        "provenance": "Cost and provenance",
    },
)
#: Two runs, from `compared.build`.
COMPARISON = Kind(
    "compared.html",
    ("dom", "frame", "packed", "charts", "subsets", "questions", "compared"),
    {
        "methods": "Methods",
        "settings": "Settings that differ",
        "subsets": "Subsets",
        "questions": "Questions",
    },
)


def render(document: dict[str, Any], kind: Kind = RESULT) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (ASSETS / "page.css").read_text(encoding="utf-8")
    parts = [
        (ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in kind.scripts
    ]
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"
    return environment.get_template(kind.template).render(
        title=document["title"],
        document=document,
        verdict=document["verdict"],
        chips=chips,
        sections=list(kind.sections.items()),
        policy=policy(script, style),
        style=Markup(style),
        script=Markup(script),
        data=Markup(as_data(document)),
    )


def chips(document: dict[str, Any]) -> list[tuple[str, str]]:
    """The sizes of the comparison, for the top of the page."""
    method = document["verdict"]["method"]
    found = next(m for m in document["methods"]["methods"] if m["name"] == method)
    chosen = [
        s["size"] for s in document["samples"]["subsets"] if s["method"] == method
    ]
    sizes = [("rows", f"{document['samples']['n_pool']:,}")]
    sizes += [("chosen", f"{chosen[0]:,}")] if chosen else []
    sizes += [("test questions", f"{document['n_questions']:,}")]
    sizes += [("runs", str(found["n_seeds"]))]
    sizes += [("accuracy", f"{100 * found['accuracy']:.1f} %")]
    return [*sizes, ("read", document["metric"])]


def as_data(value: Any) -> str:
    """JSON in ASCII that ends no script element and opens no comment in one."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def policy(script: str, style: str) -> str:
    """The content security policy: this script, this style, nothing else."""
    return (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    found = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(found).decode('ascii')}'"
