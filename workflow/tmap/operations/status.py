"""Whether results are what today's cards and code would produce.

Everything is read from the files themselves (`tmap.dag.origin`), nothing from Snakemake's
own records, so results copied from elsewhere can be checked, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tmap import dag
from tmap.artifacts import schemas
from tmap.artifacts.provenance import codes, versions
from tmap.artifacts.secrets import hide
from tmap.cards.workflow import WorkflowConfig
from tmap.errors import TmapError

State = Literal["current", "stale", "edited", "broken", "missing", "unknown"]
STYLES = {
    "current": "green",
    "stale": "red",
    "edited": "red",
    "broken": "red",
    "missing": "yellow",
    "unknown": "yellow",
}
#: Most files of a folder that is looked through.
MOST = 200_000
MARKED = ("README.md", dag.comparison.PAGE)  # their origin is in a comment
SHOWN = 60  # characters of a card value


@dataclass(frozen=True)
class Finding:
    """One artifact: whether it is current, and what differs if not.

    Attributes
    ----------
    state : stale: made by another card, code, version or input; edited: not as it was
        written; broken: not readable; unknown: not recorded
    """

    path: str
    state: State
    differences: list[str] = field(default_factory=list)


def look(target: str, config: WorkflowConfig, verify: bool = False) -> list[Finding]:
    """Every artifact behind `target` that can be found, inputs before what reads them.

    The artifacts behind one are those that it records as its inputs. For a missing target,
    the artifacts in its folder are reported; for a folder, all artifacts in it.

    Parameters
    ----------
    verify : also compare the content of tables with their checksums; that of JSON files
        is always compared

    Raises
    ------
    TmapError : there is none, or the folder has more than `MOST` files
    """
    if not Path(target).exists():
        dag.targets.check(target)
    found: dict[str, Finding] = {}
    for path in _starts(Path(target)):
        _visit(str(path), found, config, verify)
    if not found:
        raise TmapError(
            f"There is no result in '{target}'. Name a file or folder below results/, "
            "and run the command in the folder that contains results/."
        )
    return list(found.values())


def _starts(target: Path) -> Iterator[Path]:
    if not target.is_dir():
        yield target
        if dag.origin.witness(target).is_file():
            return
    room = target if target.is_dir() else target.parent
    for folder in reversed(room.parents):
        if folder.parts[:1] == ("results",) and len(folder.parts) > 1:
            yield from _artifacts([*folder.glob("*"), *folder.glob("indicators/*")])
    yield from _artifacts(room.rglob("*"))


def _artifacts(found: Any) -> list[Path]:
    """The files that record what made them; checkpoints and stores do not."""
    apart = {"store", "checkpoints", "logs", "benchmarks", "adapter"}
    chosen = []
    for number, path in enumerate(_walked(found)):
        if number >= MOST:
            raise TmapError(
                f"There are more than {MOST:,} files to look through. Name a folder or "
                "file below results/."
            )
        if path.suffix in (".parquet", ".json") or path.name in MARKED:
            chosen += [path] if not apart & set(path.parts) else []
    return sorted(chosen)


def _walked(found: Any) -> Iterator[Path]:
    try:
        yield from found
    except OSError as fault:
        raise TmapError(
            f"'{fault.filename}' cannot be looked into ({fault.strerror}). Name a folder "
            "or file below results/."
        ) from None


def _visit(
    path: str, found: dict[str, Finding], config: WorkflowConfig, verify: bool
) -> None:
    """Add the findings of an artifact and of all that it was made from."""
    own = str(dag.origin.witness(path))
    if own in found:
        return
    if not Path(own).is_file():
        found[own] = Finding(own, "missing")
        return
    try:
        about = dag.origin.read(own)
        is_table = Path(own).suffix == ".parquet"
        edited = dag.origin.was_edited(own) if verify or not is_table else None
    except (TmapError, OSError) as fault:
        found[own] = Finding(own, "broken", [str(fault)])
        return
    made = about.get("made")
    if made is None:
        text = "it does not record what made it; an earlier version of tmap wrote it"
        found[own] = Finding(own, "unknown", [text])
        return
    inputs = _behind(made)
    for name in inputs:
        _visit(name, found, config, verify)
    differences = compare(about, config) + _beside(Path(own).parent, about)
    if edited:
        text = "its content is not what tmap wrote (checksum): edited or damaged"
        found[own] = Finding(own, "edited", [text, *differences])
        return
    if verify and edited is None and Path(own).suffix != ".md":
        differences.append("no checksum: an earlier version of tmap wrote it")
    differences += [
        f"input {dag.origin.witness(name)}: {found[str(dag.origin.witness(name))].state}"
        for name in inputs
        if found[str(dag.origin.witness(name))].state != "current"
    ]
    found[own] = Finding(own, "stale" if differences else "current", differences)


def _behind(made: dict[str, Any]) -> list[str]:
    """The results that it was made from; for a results table, its data cards too."""
    inputs = [name for name in made["inputs"] if _is_result(name)]
    if made["rule"] != "collect_metrics":
        return inputs
    runs = [Path(name).parents[1] for name in inputs if name.endswith("/train.json")]
    return inputs + list(dict.fromkeys(str(run / "README.md") for run in runs))


def _beside(folder: Path, about: dict[str, Any]) -> list[str]:
    """Files written together with a data card that are missing or have changed."""
    found = []
    for name, digest in (about.get("beside") or {}).items():
        path = folder / name
        if not path.is_file() and path.parent.name == "adapter":
            continue  # `make clean-adapters`: results measured with it stay
        if not path.is_file():
            found.append(f"file {name}: missing")
        elif dag.origin.file_digest(path) != digest:
            found.append(f"file {name}: edited or damaged")
    return found


def _is_result(path: str) -> bool:
    return Path(path).parts[:1] == ("results",)


def compare(about: dict[str, Any], config: WorkflowConfig) -> list[str]:
    """The differences between a file's recorded origin and today, one text each."""
    made = about["made"]
    rule, names = made["rule"], made["names"]
    try:
        card = dag.origin.card(rule, names)
        code = codes(*dag.origin.roots(rule, names))
    except (TmapError, LookupError, TypeError, AttributeError) as fault:
        return [hide(f"card: {fault}")]
    return [
        *_schema(about),
        *(f"card {text}" for text in _changes(flat(made["card"]), flat(card))),
        *_modules(made["modules"], code),
        *_changes(about["versions"], versions()),
        *_inputs(made["inputs"]),
        *_asked(made, config),
        *_planned(about, config),
    ]


def _schema(about: dict[str, Any]) -> list[str]:
    kind = about.get("schema")
    if kind is None:
        return []
    now = schemas.SCHEMAS[kind].version if kind in schemas.SCHEMAS else None
    then = about["schema_version"]
    return [] if now == then else [f"table {kind}: version {then} -> {now}"]


def flat(value: Any, name: str = "") -> dict[str, str]:
    """Nested keys as `a.b`, their values as short JSON; a list is one value."""
    if isinstance(value, dict) and value:
        found: dict[str, str] = {}
        for key, part in value.items():
            found |= flat(part, f"{name}.{key}" if name else key)
        return found
    text = json.dumps(value, ensure_ascii=False)
    return {name: text}


def _changes(then: dict[str, str], now: dict[str, str]) -> list[str]:
    return [
        f"{key}: {_short(then.get(key))} -> {_short(now.get(key))}"
        for key in dict.fromkeys([*then, *now])
        if then.get(key) != now.get(key)
    ]


def _short(text: str | None) -> str:
    if text is None:
        return "absent"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _modules(then: dict[str, str], now: dict[str, str]) -> list[str]:
    found = []
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            what = (
                "gone" if name not in now else "new" if name not in then else "edited"
            )
            found.append(f"code {name}: {what}")
    return found


def _inputs(then: dict[str, str]) -> list[str]:
    """Inputs whose content has changed; missing ones are skipped."""
    return [
        f"input {path}: another file"
        for path, digest in then.items()
        if Path(path).is_file()
        and _digest(path, Path(path).stat().st_mtime_ns) != digest
    ]


@cache
def _digest(path: str, _time: int) -> str:
    """The digest of a file that many artifacts were made from, computed once.

    "" if it cannot be read.
    """
    try:
        return dag.origin.file_digest(path)
    except (TmapError, OSError):
        return ""


def _asked(made: dict[str, Any], config: WorkflowConfig) -> list[str]:
    """Files that the config requires for a results table but it lacks, or the reverse."""
    if made["rule"] != "collect_metrics":
        return []
    runs = [p for p in made["inputs"] if p.endswith("predictions.parquet")]
    if not runs or len(Path(runs[0]).parts) < 4:
        return ["its inputs name no predictions"]
    dataset, model = Path(runs[0]).parts[1:3]
    asked = set(
        dag.comparison.measured(
            dataset,
            model,
            config.methods,
            dag.comparison.seeds(
                config, dag.comparison.last_look(dataset, model, config)
            ),
            config.certify,
        )
    )
    there = {
        path
        for path in made["inputs"]
        if path.count("/") > 3 and Path(path).parts[2] != "anchors"
    }
    found = [f"config asks for {path}" for path in sorted(asked - there)]
    return found + [f"config leaves out {path}" for path in sorted(there - asked)]


def _planned(about: dict[str, Any], config: WorkflowConfig) -> list[str]:
    """The order of claims and the looks that the config has, if a results table differs."""
    then = about.get("statistics", {}).get("plan")
    if then is None:
        return []
    return [
        f"config {x}" for x in _changes(flat(then), flat(dag.comparison.plan(config)))
    ]


def records(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """One row per artifact, for other programs."""
    return [
        {
            "artifact": found.path,
            "is": found.state,
            "what_differs": "; ".join(found.differences),
        }
        for found in findings
    ]


def show(findings: Sequence[Finding], console: Console) -> None:
    """Print one row per artifact, then what to do next."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("artifact", overflow="fold")
    table.add_column("is", no_wrap=True)
    table.add_column("what differs: then -> now", overflow="fold")
    for found in findings:
        state = Text(found.state, STYLES[found.state])
        table.add_row(Text(found.path), state, Text("\n".join(found.differences)))
    console.print(table)
    late = sum(found.state != "current" for found in findings)
    console.print()
    if late:
        text = (
            f"{late} of {len(findings)} artifacts are not current. `snakemake -n` with "
            "your profile and config lists what it would build again; "
            "docs/how-to/upgrades.md explains how to accept a change that alters no number."
        )
    else:
        text = f"All {len(findings)} artifacts are current."
    console.print(text, markup=False, highlight=False)
