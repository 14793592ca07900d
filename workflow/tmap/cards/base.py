"""What all card sections share: kinds of values, and how lists are checked."""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

#: What files and hosts may have; longer names fail in the operating system.
MOST_NAME, MOST_PATH, MOST_HOST = 200, 4000, 253
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _name(text: str) -> str:
    if not text.strip():
        raise ValueError("a name must not be empty")
    if _CONTROL.search(text):
        raise ValueError("a name must be on one line, without control characters")
    if len(text.encode("utf-8", "replace")) > MOST_NAME:
        raise ValueError(f"a name has at most {MOST_NAME} bytes")
    return text


def _or_nothing(text: str) -> str:
    return _name(text) if text else text


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("it must not be empty")
    return text


def _path(text: str) -> str:
    if text and not text.strip():
        raise ValueError("a path must not be only spaces")
    if _CONTROL.search(text):
        raise ValueError("a path must be on one line, without control characters")
    size = len(text.encode("utf-8", "replace"))
    longest = max(len(p.encode("utf-8", "replace")) for p in text.split("/"))
    if size > MOST_PATH or longest > 255:
        raise ValueError(
            f"a path has at most {MOST_PATH} bytes, and 255 between two slashes"
        )
    return text


def _filled_path(text: str) -> str:
    if not text.strip():
        raise ValueError("a path must not be empty")
    return _path(text)


def _ending(text: str) -> str:
    if not text.strip(" \t"):
        raise ValueError(
            "a text that ends answers must not be empty or only spaces, which end every "
            'answer before its first word; "\\n\\n" is an empty line'
        )
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a field of a request must be a finite number")
    for part in value.values() if isinstance(value, dict) else ():
        _plain(part)
    for part in value if isinstance(value, list) else ():
        _plain(part)
    return value


#: The name of a card, a column or a model: one line, not empty.
Name = Annotated[str, AfterValidator(_name)]
#: The same, or "" for none.
NameOrNothing = Annotated[str, AfterValidator(_or_nothing)]
#: A path that the operating system can open; "" is left to the section.
PathText = Annotated[str, AfterValidator(_path)]
FilledPath = Annotated[str, AfterValidator(_filled_path)]
#: A text that is not empty, such as the name of a column or several.
Filled = Annotated[str, AfterValidator(_filled)]
#: A text that ends an answer.
Ending = Annotated[str, AfterValidator(_ending)]
#: A field of a request to a server.
JsonValue = Annotated[Any, AfterValidator(_plain)]
#: What every generator of random numbers takes.
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Weight = Annotated[float, Field(ge=-1e6, le=1e6)]


def no_twice(key: str, values: Iterable[Any]) -> None:
    """Refuse a list that names something twice."""
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"`{key}:` names {value!r} twice; keep one of them")
        seen.add(value)


def no_foreign(key: str, named: Iterable[str], methods: Iterable[str]) -> None:
    """Refuse a name that is not among the methods of the same file."""
    foreign = set(named) - set(methods)
    if foreign:
        raise ValueError(
            f"`{key}:` names {min(foreign)}, which is not among `methods:`"
        )


class Section(BaseModel):
    """A part of a card: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_as_number(cls, values: Any) -> Any:
        """Refuse true and false where a number belongs; pydantic reads them as 1 and 0."""
        for key, value in values.items() if isinstance(values, dict) else ():
            field = cls.model_fields.get(key) if isinstance(key, str) else None
            if field and _has_truth(value) and not _takes_truth(field.annotation):
                raise ValueError(
                    f"`{key}:` has true or false where none belongs; YAML reads yes, no, "
                    "on and off so, too; write the number, or put the text in quotes"
                )
        return values


def _has_truth(value: Any) -> bool:
    """Whether a value, a list of values or a mapping to values holds a truth value."""
    if isinstance(value, dict):
        return any(isinstance(part, bool) for part in value.values())
    if isinstance(value, list | tuple):
        return any(isinstance(part, bool) for part in value)
    return isinstance(value, bool)


def _takes_truth(annotation: Any) -> bool:
    """Whether a key takes true or false; a section inside it checks its own keys."""
    if annotation in (bool, Any):
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(map(_takes_truth, typing.get_args(annotation)))
