"""Cards: YAML files that describe datasets, models, judges, methods, experiments.

A card is found by its name in the folders of `TMAP_CARDS` (the config's `cards:`), the
last first, then among the shipped ones. `extends: other` starts from another card and
changes the keys that are given; a card that extends its own name builds on the card of
that name in the next folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, overload

import yaml
from pydantic import ValidationError

from tmap.artifacts.names import LEGAL, RESERVED
from tmap.artifacts.secrets import hide, published
from tmap.cards.base import Section
from tmap.cards.dataset import DatasetCard
from tmap.cards.experiment import ExperimentCard
from tmap.cards.judge import JudgeCard
from tmap.cards.method import MethodCard
from tmap.cards.model import ModelCard
from tmap.cards.workflow import WorkflowConfig
from tmap.errors import TmapError, nearest, unknown

SHIPPED = Path(__file__).resolve().parents[3] / "config"
KINDS: dict[str, type[Section]] = {
    "datasets": DatasetCard,
    "models": ModelCard,
    "judges": JudgeCard,
    "methods": MethodCard,
    "experiments": ExperimentCard,
}


def folders() -> list[Path]:
    """Folders that are searched for cards, the shipped ones last; the first hit wins."""
    own = [Path(p) for p in os.environ.get("TMAP_CARDS", "").split(os.pathsep) if p]
    for folder in own:
        if not folder.is_dir():
            raise TmapError(
                f"No card folder '{folder}'. Name existing folders under `cards:` in the "
                "config or in TMAP_CARDS, or create it."
            )
    return [*reversed(own), SHIPPED]


def use_folders(own: Sequence[str]) -> None:
    """Look for cards in these folders too, in this process and those it starts.

    They take precedence over the folders that TMAP_CARDS already names.
    """
    known = [p for p in os.environ.get("TMAP_CARDS", "").split(os.pathsep) if p]
    both = [*(folder for folder in known if folder not in own), *own]
    os.environ["TMAP_CARDS"] = os.pathsep.join(both)


def names(kind: str) -> list[str]:
    """Names of all cards of a kind, sorted."""
    return sorted({p.stem for f in folders() for p in (f / kind).glob("*.yaml")})


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
    values, path = _resolve(kind, name, folders(), ())
    if not LEGAL.fullmatch(name) or name in RESERVED:
        raise TmapError(
            f"{path}: '{name}' cannot name a card. Use lower-case letters, digits and "
            f"underscores, and none of {', '.join(RESERVED)}; rename the file."
        )
    card = validate(KINDS[kind], values, str(path))
    if isinstance(card, MethodCard):
        _check_methods(card, path)
    return card


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
    base = values.pop("extends", None)
    if base is None:
        return values, path
    if base in seen:
        raise TmapError(
            f"{path}: 'extends' goes in a circle ({' -> '.join([*seen, name, base])}). "
            "Remove `extends:` from one of them."
        )
    deeper = where[depth + 1 :] if base == name else folders()
    chain = seen if base == name else (*seen, name)
    return _merge(_resolve(kind, base, deeper, chain)[0], values), path


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; an error says where the file is broken."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        for mark in ("context_mark", "problem_mark"):
            if getattr(fault, mark, None):
                getattr(fault, mark).buffer = None  # do not quote the line
        reason = hide(" ".join(str(fault).split()))
        raise TmapError(f"{path} is not valid YAML: {reason}. Fix the file.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise TmapError(
            f"{path} must be a mapping of keys to values, not a {type(values).__name__}. "
            "Write lines `key: value`."
        )
    return values


def validate(model: type[Section], values: dict[str, Any], where: str) -> Any:
    """Check `values` against `model`; one error names all faults, typos with near names."""
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        faults = "; ".join(_sentence(model, error) for error in fault.errors())
        what = "config" if where == "config" else "card"
        raise TmapError(f"{where}: {hide(faults)}. Fix the {what}.") from None


def _sentence(model: type[Section], error: Any) -> str:
    keys = [str(key) for key in error["loc"]]
    where = ".".join(keys)
    if error["type"] == "extra_forbidden":
        known = list(_fields(model, keys[:-1]))
        return f"no key '{where}'.{nearest(keys[-1], known)} Known: {', '.join(known)}"
    if error["type"] == "missing":
        return f"key '{where}' is missing"
    reason = error["msg"].removeprefix("Value error, ")
    got = error["input"]
    if keys:  # a value is hidden by its key, too
        got = published({keys[-1]: got})[keys[-1]]
    got = "" if isinstance(error["input"], dict) else f" (got {got!r})"
    return f"{where + ': ' if where else ''}{reason}{got}"


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


def workflow_config(values: dict[str, Any]) -> WorkflowConfig:
    """Check the workflow's own config (config/config.yaml and what overlays it)."""
    config: WorkflowConfig = validate(WorkflowConfig, values, "config")
    return config


def read_config(files: Sequence[Path]) -> WorkflowConfig:
    """Merge config files as Snakemake does, and use their card folders."""
    values: dict[str, Any] = {}
    for path in [SHIPPED / "config.yaml", *files]:
        if not path.is_file():
            raise TmapError(
                f"There is no config file '{path}'. Name one that exists; paths are "
                "relative to the working directory."
            )
        values = _merge(values, read_yaml(path))
    config = workflow_config(values)
    use_folders(config.cards)
    return config
