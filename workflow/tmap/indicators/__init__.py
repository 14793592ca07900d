"""The registry: one file here, one function of the same name, one column.

A pool goes in, one score and one status per sample come out::

    @indicator(unit="steps", source="arXiv:2401.04925")
    def reason_steps(pool, lm=None, *, answer_mark="####") -> Scores: ...

Looking a name up imports that one file, so a rule depends on its own indicator only.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from tmap.errors import TmapError, nearest, unknown

LooksAt = Literal["text", "proxy", "judge", "target", "columns", "gradients"]
STATUSES = ("ok", "truncated", "empty", "unparsable", "failed")


class Scores(NamedTuple):
    """Per sample of the pool, in its order: a raw score (NaN unless ok) and a status.

    `notes` travel into the table's metadata; they are what JSON can hold. An indicator
    that may see its pool in parts returns what its notes are made from: by name, one
    number per sample, NaN where there is none (`Indicator.notes`).
    """

    score: np.ndarray
    status: np.ndarray
    notes: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Indicator:
    """What the house knows of an indicator without running it.

    Attributes
    ----------
    form : of the judge card that is asked, if it looks at a judge
    made_from : the columns that it is computed from, if it looks at columns
    embeds : the text whose embeddings it reads besides; its options say whose they are
        (`encoder`: a model card, "" for the target) and how pooled (`pooling`)
    cost : of one row, where it is not what all that look there cost
    notes : makes the notes of a column from the numbers of its samples
    """

    name: str
    function: Callable[..., Scores]
    unit: str
    source: str
    looks_at: LooksAt
    scope: Literal["row", "pool"]
    options: dict[str, Any]
    form: str = ""
    made_from: tuple[str, ...] = ()
    embeds: str = ""
    cost: str = ""
    notes: Callable[[Mapping[str, np.ndarray]], dict[str, Any]] | None = None

    def __call__(self, pool: Any, lm: Any = None, **options: Any) -> Scores:
        """Score a pool: `ifd(pool, lm, variant="loss_ratio")`."""
        return self.noted(self.part(pool, lm, **options))

    def part(self, pool: Any, lm: Any = None, **options: Any) -> Scores:
        """Score some rows of a pool; notes of the column are not made yet."""
        return self.function(pool, lm, **self.check_options(options))

    def noted(self, scores: Scores) -> Scores:
        """The scores of a whole column, with its notes."""
        if self.notes is None:
            return scores
        return scores._replace(notes=self.notes(scores.notes))

    @property
    def per_model(self) -> bool:
        """Whether its table lies under {dataset}/{model}/ rather than {dataset}/."""
        return self.looks_at in ("target", "gradients") or any(
            get(n).per_model for n in self.made_from
        )

    def check_options(self, given: dict[str, Any]) -> dict[str, Any]:
        """Defaults from the signature, overlaid by `given`; unknown names are refused."""
        for name in given:
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise TmapError(
                    f"Indicator '{self.name}' has no option '{name}'."
                    f"{nearest(name, self.options)} It has: {known}. "
                    f"Mend `indicators: {self.name}:` in the dataset card."
                )
        return self.options | given


def indicator(
    *,
    unit: str,
    source: str,
    looks_at: LooksAt = "text",
    scope: Literal["row", "pool"] = "row",
    form: str = "",
    made_from: tuple[str, ...] = (),
    embeds: str = "",
    cost: str = "",
    notes: Callable[[Mapping[str, np.ndarray]], dict[str, Any]] | None = None,
) -> Callable[[Callable[..., Scores]], Indicator]:
    """Declare the decorated function as the indicator of its file."""

    def declare(function: Callable[..., Scores]) -> Indicator:
        name = function.__name__
        if function.__module__.rpartition(".")[2] != name:
            raise TmapError(
                f"Indicator '{name}' stands in {function.__module__}; "
                f"its file must be indicators/{name}.py."
            )
        parameters = inspect.signature(function).parameters.values()
        options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        about = (unit, source, looks_at, scope, options, form, made_from)
        return Indicator(name, function, *about, embeds=embeds, cost=cost, notes=notes)

    return declare


def names() -> list[str]:
    """All indicators, by file name."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.ispkg)


def get(name: str) -> Indicator:
    """The indicator of this name; an unknown one is an error with the nearest name."""
    module = f"{__name__}.{name}"
    if (name == "scoring" or module not in sys.modules) and name not in names():
        fix = f"To add one, write workflow/tmap/indicators/{name}.py."
        raise unknown("indicator", name, names(), fix)
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, Indicator)
    return found
