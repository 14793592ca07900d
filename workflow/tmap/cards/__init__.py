"""Cards: YAML files that describe datasets, models, judges, methods, experiments.

A card is found by its name in the folders of `TMAP_CARDS` (the config's `cards:`), the
last first, then among the shipped ones. `extends: other` starts from another card and
changes the keys that are given; a card that extends its own name builds on the card of
that name in the next folder.
"""

from __future__ import annotations

import logging
import os
import sysconfig
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, overload

from pydantic import ValidationError

from tmap.artifacts.names import LEGAL, RESERVED
from tmap.artifacts.secrets import hide, published
from tmap.cards.base import MOST_NAME, Section
from tmap.cards.dataset import DatasetCard
from tmap.cards.experiment import ExperimentCard
from tmap.cards.judge import JudgeCard
from tmap.cards.method import MethodCard
from tmap.cards.model import ModelCard
from tmap.cards.reading import read_yaml, shown, shown_path
from tmap.cards.workflow import WorkflowConfig
from tmap.errors import TmapError, nearest, unknown

__all__ = ["RESERVED", "read_yaml"]  # in addition to what is here

logger = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parents[3]
#: Whether tmap was installed from a wheel, which brings rules and cards, not from a clone.
INSTALLED = not (_ROOT / "Snakefile").is_file()
#: Snakefile, rules, profiles and shipped cards: the clone, or what the wheel brought.
HOME = Path(sysconfig.get_path("data")) / "share/tmap" if INSTALLED else _ROOT
SHIPPED = HOME / "config"
KINDS: dict[str, type[Section]] = {
    "datasets": DatasetCard,
    "models": ModelCard,
    "judges": JudgeCard,
    "methods": MethodCard,
    "experiments": ExperimentCard,
}

#: Cards that may extend one another in a chain, and faults that one sentence lists.
MOST_EXTENDED, MOST_FAULTS = 30, 6


def folders() -> list[Path]:
    """Folders that are searched for cards, the shipped ones last; the first hit wins."""
    own = [Path(p) for p in os.environ.get("TMAP_CARDS", "").split(os.pathsep) if p]
    for folder in own:
        if not os.path.isdir(folder):  # False for a name that is too long, too
            raise TmapError(
                f"No card folder {shown_path(folder)}. Name existing folders under "
                "`cards:` in the config or in TMAP_CARDS, or create it."
            )
    return [*reversed(own), SHIPPED]


def use_folders(own: Sequence[str]) -> None:
    """Look for cards in these folders too, in this process and those it starts.

    They take precedence over the folders that TMAP_CARDS already names.
    """
    known = [p for p in os.environ.get("TMAP_CARDS", "").split(os.pathsep) if p]
    both = [*(folder for folder in known if folder not in own), *own]
    os.environ["TMAP_CARDS"] = os.pathsep.join(both)


def names(kind: str, *, own: bool = False) -> list[str]:
    """Names of all cards of a kind, sorted; other files are left out with a warning.

    own : only those in the user's folders, not the shipped ones
    """
    found = {}
    searched = folders()[:-1] if own else folders()
    for path in (p for folder in searched for p in (folder / kind).glob("*.yaml")):
        if can_name(path.stem):
            found[path.stem] = path
        else:
            _warn_of(path)
    return sorted(found)


def can_name(text: str) -> bool:
    """Whether a card may have this name."""
    legal = LEGAL.fullmatch(text) is not None and text not in RESERVED
    return legal and len(text) <= MOST_NAME


@cache
def _warn_of(path: Path) -> None:
    logger.warning(
        "%s is ignored: %s cannot name a card. Use lower-case letters, digits and "
        "underscores, and none of %s; rename or remove the file.",
        *(path, repr(path.stem), ", ".join(RESERVED)),
    )


@overload
def load(kind: Literal["datasets"], name: str) -> DatasetCard: ...
@overload
def load(kind: Literal["models"], name: str) -> ModelCard: ...
@overload
def load(kind: Literal["judges"], name: str) -> JudgeCard: ...
@overload
def load(kind: Literal["methods"], name: str) -> MethodCard: ...
@overload
def load(kind: Literal["experiments"], name: str) -> ExperimentCard: ...


def load(kind: str, name: str) -> Any:
    """Read, extend and check one card; every error names its key."""
    return _load(kind, name, os.environ.get("TMAP_CARDS", ""))


@cache
def _load(kind: str, name: str, _search_path: str) -> Any:
    _check_file_name(name, "a card is named by a word, such as gsm8k; name one")
    if not can_name(name) and any(
        (f / kind / f"{name}.yaml").is_file() for f in folders()
    ):
        raise TmapError(
            f"{kind}/{name}.yaml: '{name}' cannot name a card. Use lower-case letters, "
            f"digits and underscores, and none of {', '.join(RESERVED)}; rename the file."
        )
    values, path = _resolve(kind, name, folders(), ())
    card = validate(KINDS[kind], values, str(path))
    if isinstance(card, MethodCard):
        _check_methods(card, path)
    return card


def _check_file_name(name: Any, fix: str) -> None:
    """Refuse what cannot be the name of a file in a card folder."""
    good = (
        isinstance(name, str)
        and 0 < len(name.encode(errors="replace")) <= MOST_NAME
        and name.isprintable()
    )
    if not good or {"/", "\\"} & set(name) or name.startswith("."):
        raise TmapError(f"{shown(name)} cannot name a card: {fix}.")


def _check_methods(card: MethodCard, path: Path) -> None:
    """Refuse a method card that names a missing or unsuitable other one."""
    safe = card.certificate.safe
    if safe not in names("methods"):
        fix = f"Fix `certificate: safe:` in {path}."
        raise unknown("method card", safe, names("methods"), fix)
    if not card.weights_of:
        return
    lender = card.weights_of
    values, where = _resolve("methods", lender, folders(), ())
    searched = validate(MethodCard, values, str(where))
    if not searched.searches():
        raise TmapError(
            f"{path}: `weights_of: {lender}`: {lender} has no search of its own. Name a "
            "method that searches weights and has no `weights_of:` itself."
        )
    if different := searched.differs(card):
        keys = " and ".join(f"`{key}`" for key in different)
        kept = "it is" if len(different) == 1 else "they are"
        raise TmapError(
            f"{path}: `weights_of: {lender}`: {lender} differs in {keys}. Make this card "
            f"extend {lender}, and leave {keys} as {kept}."
        )


def _resolve(
    kind: str, name: str, where: list[Path], seen: tuple[str, ...]
) -> tuple[dict[str, Any], Path]:
    files = [folder / kind / f"{name}.yaml" for folder in where]
    hits = [depth for depth, file in enumerate(files) if file.is_file()]
    if not hits:
        fix = f"To add one, write {kind}/{name}.yaml in a card folder."
        raise unknown(f"{kind[:-1]} card", name, names(kind), fix)
    depth, path = hits[0], files[hits[0]]
    values = read_yaml(path)
    if INSTALLED and path.is_relative_to(SHIPPED):
        values = _anchored(values)
    base = values.pop("extends", None)
    if base is None:
        return values, path
    _check_file_name(
        base,
        f"`extends:` in {path} takes the name of another card of the same kind, as text "
        "(YAML reads yes, no and dates as something else); fix it or remove it",
    )
    if len(seen) >= MOST_EXTENDED:
        raise TmapError(
            f"{path}: more than {MOST_EXTENDED} cards extend one another. Write their "
            "values into one card."
        )
    if base in seen:
        raise TmapError(
            f"{path}: 'extends' goes in a circle ({' -> '.join([*seen, name, base])}). "
            "Remove `extends:` from one of them."
        )
    deeper = where[depth + 1 :] if base == name else folders()
    chain = seen if base == name else (*seen, name)
    return _merge(_resolve(kind, base, deeper, chain)[0], values), path


def _anchored(value: Any) -> Any:
    """A shipped card's value whose paths to shipped files hold in any working directory."""
    if isinstance(value, dict):
        return {key: _anchored(inner) for key, inner in value.items()}
    if isinstance(value, str) and value.startswith("resources/"):
        return str(HOME / value)
    return value


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def validate(model: type[Section], values: dict[str, Any], where: str) -> Any:
    """Check `values` against `model`; one error names all faults, typos with near names."""
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        found = list(dict.fromkeys(_sentence(model, error) for error in fault.errors()))
        faults = "; ".join(found[:MOST_FAULTS])
        if len(found) > MOST_FAULTS:
            faults += f"; and {len(found) - MOST_FAULTS} more"
        what = "config" if where == "config" else "card"
        raise TmapError(f"{where}: {hide(faults)}. Fix the {what}.") from None


def _sentence(model: type[Section], error: Any) -> str:
    parts = [str(key) for key in error["loc"]]
    keys = [_one_line(key) for key in parts[:1] + list(filter(_is_key, parts[1:]))]
    where = ".".join(keys)
    if error["type"] == "extra_forbidden":
        known = list(_fields(model, keys[:-1]))
        return f"no key '{where}'.{nearest(keys[-1], known)} Known: {', '.join(known)}"
    if error["type"] == "missing":
        return f"key '{where}' is missing"
    reason = error["msg"].removeprefix("Value error, ")
    value = error["input"]
    if keys:  # a value is hidden by its key, too
        value = published({keys[-1]: value})[keys[-1]]
    got = "" if isinstance(value, dict) else f" (got {shown(value)})"
    if (
        isinstance(value, str)
        and "://" in value
        and any(mark in value for mark in "?@")
    ):
        got = ""  # an address may hold a key
    if error["type"] == "string_type" and isinstance(value, bool | int | float):
        reason += "; put it in quotes, because YAML reads it as something else"
    return f"{where + ': ' if where else ''}{reason}{got}"


def _is_key(part: str) -> bool:
    """Whether it is a key or place of a card, not pydantic's word for a type."""
    return "[" not in part and part not in ("bool", "str", "int", "float")


def _one_line(key: str) -> str:
    return key if key.isprintable() and len(key) <= 80 else shown(key)


def _fields(model: type[Section], keys: list[str]) -> Iterator[str]:
    """Field names of the section that `keys` lead to (a union's first match)."""
    for key in keys:
        field = model.model_fields.get(key)
        if field is None:
            continue
        parts = getattr(field.annotation, "__args__", (field.annotation,))
        nested = [p for p in parts if isinstance(p, type) and issubclass(p, Section)]
        if nested:
            model = nested[0]
    yield from model.model_fields


def check_config_file(path: str | Path) -> None:
    """Refuse a config file that YAML reads as nobody means it, such as one key twice.

    Snakemake reads the file itself. It also takes JSON, whose tabs are no YAML.
    """
    if Path(path).suffix != ".json":
        read_yaml(Path(path))


def workflow_config(values: dict[str, Any]) -> WorkflowConfig:
    """Check the workflow's own config (config/config.yaml and what overlays it)."""
    config: WorkflowConfig = validate(WorkflowConfig, values, "config")
    return config


def read_config(files: Sequence[Path]) -> WorkflowConfig:
    """Merge config files as Snakemake does, and use their card folders.

    A folder that is not in the working directory is looked for in the clone, where
    Snakemake runs.
    """
    values: dict[str, Any] = {}
    for path in [SHIPPED / "config.yaml", *files]:
        if not os.path.isfile(path):
            raise TmapError(
                f"There is no config file {shown_path(path)}. Name one that exists; "
                "paths are relative to the working directory."
            )
        values = _merge(values, read_yaml(path))
    config = workflow_config(values)
    use_folders([c if os.path.isdir(c) else str(HOME / c) for c in config.cards])
    return config
