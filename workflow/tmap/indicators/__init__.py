"""The registry of indicators: one file here, one function of the same name, one column.

An indicator takes a pool and returns one score and one status per sample::

    @indicator(unit="steps", source="arXiv:2401.04925")
    def reason_steps(pool, lm=None, *, answer_mark="####") -> Scores: ...

Looking up a name imports only that file, so a rule depends on its own indicator only.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import reprlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from tmap.errors import TmapError, nearest, unknown

LooksAt = Literal["text", "proxy", "judge", "target", "columns", "gradients"]
#: How the types of options are called in a card, and the largest number that one takes.
KINDS: Mapping[type, str] = MappingProxyType(
    {
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        type(None): "null",
    }
)
MOST = 1e12
#: Options that name the card of the model that computes a column.
NAMED = ("judge", "proxy")
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
STATUSES = ("ok", "truncated", "empty", "unparsable", "failed")


class Scores(NamedTuple):
    """For each sample of the pool, in order: a raw score (NaN unless ok) and a status.

    `notes` are JSON values that go into the table's metadata. An indicator that may see
    its pool in parts returns the numbers that its notes are made from instead: by name,
    one number per sample, NaN if there is none (`Indicator.notes`).
    """

    score: np.ndarray
    status: np.ndarray
    notes: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Indicator:
    """The declared properties of an indicator, known without running it.

    Attributes
    ----------
    form : form of the judge card, if it looks at a judge
    made_from : the columns that it is computed from, if it looks at columns
    embeds : the text whose embeddings it also reads; its options give the model
        (`encoder`: a model card, "" for the target) and the pooling (`pooling`)
    cost : of one row, if it differs from the usual cost for what the indicator looks at
    notes : makes the notes of a column from the numbers of its samples
    kinds : the types that each option takes
    choices : the values of an option that takes few
    least : the smallest value of an option that is a number
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
    kinds: Mapping[str, tuple[type, ...]] = field(default_factory=dict)
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, pool: Any, lm: Any = None, **options: Any) -> Scores:
        """Score a pool: `ifd(pool, lm, variant="loss_ratio")`."""
        return self.noted(self.part(pool, lm, **options))

    def part(self, pool: Any, lm: Any = None, **options: Any) -> Scores:
        """Score some rows of a pool, without making the notes of the column."""
        return self.function(pool, lm, **self.check_options(options))

    def noted(self, scores: Scores) -> Scores:
        """The scores of a whole column, with its notes."""
        if self.notes is None:
            return scores
        return scores._replace(notes=self.notes(scores.notes))

    @property
    def per_model(self) -> bool:
        """Whether its table is under {dataset}/{model}/ rather than {dataset}/."""
        return self.looks_at in ("target", "gradients") or any(
            get(n).per_model for n in self.made_from
        )

    def check_options(self, given: dict[str, Any]) -> dict[str, Any]:
        """Defaults from the signature, updated with `given`.

        Raises
        ------
        TmapError
            A name is unknown, or a value is not of the option's type, not one of its
            choices or too small.
        """
        for name in given:
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise TmapError(
                    f"Indicator '{self.name}' has no option '{name}'."
                    f"{nearest(name, self.options)} It has: {known}. "
                    f"Fix `indicators: {self.name}:` in the dataset card."
                )
            self._check_value(name, given[name])
        return self.options | given

    def _check_value(self, option: str, value: Any) -> None:
        fix = f"Set it under `indicators: {self.name}:` in the dataset card."
        kinds = self.kinds.get(option, ())
        if kinds and not _is_one_of(value, kinds):
            right = " or ".join(KINDS[kind] for kind in kinds)
            hint = " (write 1e-3 as 1.0e-3)" if float in kinds else ""
            raise TmapError(
                f"Option '{option}' of indicator '{self.name}' is {_SHORT.repr(value)}; "
                f"it must be {right}{hint}. {fix}"
            )
        if option in NAMED and not value.strip():
            raise TmapError(
                f"Option '{option}' of indicator '{self.name}' is empty; it must name a "
                f"card. {fix}"
            )
        if option in self.choices and value not in self.choices[option]:
            kind = f"{option} of {self.name}"
            raise unknown(kind, value[:80], self.choices[option], fix)
        least = self.least.get(option)
        if least is not None and value is not None and value < least:
            raise TmapError(
                f"`{option}: {value}` of {self.name} must be at least {least:g}. {fix}"
            )


def _is_one_of(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a value from a card has one of these types; an integer is a number, too."""
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, str) and "\0" in value:
        return False
    if isinstance(value, int | float) and not abs(value) <= MOST:
        return False
    wider = (*kinds, int) if float in kinds else kinds
    return isinstance(value, wider)


def _kinds(parameter: inspect.Parameter) -> tuple[type, ...]:
    """The types in an annotation such as `int | None`; none if it has others."""
    named = [part.strip() for part in str(parameter.annotation).split("|")]
    found: dict[str, type] = {kind.__name__: kind for kind in (str, int, float, bool)}
    found["None"] = type(None)
    return tuple(found[n] for n in named) if set(named) <= set(found) else ()


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
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
    least: Mapping[str, float] = MappingProxyType({}),
) -> Callable[[Callable[..., Scores]], Indicator]:
    """Declare the decorated function as the indicator of its file."""

    def declare(function: Callable[..., Scores]) -> Indicator:
        name = function.__name__
        if function.__module__.rpartition(".")[2] != name:
            raise TmapError(
                f"Indicator '{name}' is in {function.__module__}; "
                f"its file must be indicators/{name}.py."
            )
        parameters = inspect.signature(function).parameters.values()
        given = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
        options = {p.name: p.default for p in given}
        about = (unit, source, looks_at, scope, options, form, made_from)
        kinds = {p.name: _kinds(p) for p in given}
        return Indicator(
            name, function, *about, embeds, cost, notes, kinds, choices, least
        )

    return declare


def names() -> list[str]:
    """The names of all indicators, from the file names."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.ispkg)


def get(name: str) -> Indicator:
    """The indicator with this name.

    Raises
    ------
    TmapError : no such file (the nearest name is given), or one without its indicator
    """
    module = f"{__name__}.{name}"
    if (name == "scoring" or module not in sys.modules) and name not in names():
        fix = f"To add one, write workflow/tmap/indicators/{name}.py."
        raise unknown("indicator", name, names(), fix)
    found = getattr(importlib.import_module(module), name, None)
    if not isinstance(found, Indicator):
        raise TmapError(
            f"workflow/tmap/indicators/{name}.py has no indicator '{name}'. Every module "
            "of that folder defines one, a function with the module's name under "
            "`@indicator(...)`. Write it, or move the module to indicators/scoring/ or to "
            "the package that does the work."
        )
    return found
