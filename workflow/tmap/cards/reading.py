"""Read a YAML file that people write: one sentence with its line for every fault.

The file becomes events first, which needs no recursion. Size, depth and number of values
are checked there, as they are after aliases are expanded. Only then are values made.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tmap.artifacts.secrets import hide
from tmap.errors import TmapError

#: Bounds of a card or config; a real one stays far below all of them.
MOST_BYTES = 1_000_000
MOST_DEPTH = 40
MOST_VALUES = 50_000
MOST_CHARACTERS = 4 * MOST_BYTES

_TAG = "tag:yaml.org,2002:"
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "timestamp": "a date",
}
_PLAIN = ("str", "int", "float", "bool", "null", "seq", "map")
_QUOTE = "Put it in quotes if it is text, or fix it"
#: Values that YAML 1.1 reads as another number than the one that is written.
_OCTAL = re.compile(r"[-+]?0[0-7_]*[1-9][0-7_]*")
_UNREADABLE = re.compile("[\0\ud800-\udfff]")

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 80
_short.maxlevel, _short.maxdict, _short.maxlist = 3, 4, 6


def shown(value: Any) -> str:
    """A value as an error prints it: at most about 80 characters a part, on one line."""
    return _short.repr(value)


def shown_path(path: Path) -> str:
    """A path as an error prints it; only one of more than 300 characters is cut."""
    text = str(path)
    return repr(text) if len(text) <= 300 else shown(text)


class _Size(NamedTuple):
    """Of a value with its aliases expanded."""

    values: int = 0
    depth: int = 0
    characters: int = 0

    def with_inner(self, inner: _Size) -> _Size:
        return _Size(
            self.values + inner.values,
            max(self.depth, inner.depth + 1),
            self.characters + inner.characters,
        )


class _Fault(Exception):
    """A faulty line: its number from 1, what is wrong, and how to fix it."""

    def __init__(self, line: int, wrong: str, fix: str) -> None:
        super().__init__(wrong)
        self.line, self.wrong, self.fix = line, wrong, fix


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping of text keys.

    Raises
    ------
    TmapError
        The file cannot be read, is too large, or is not such a mapping. The sentence
        gives the line.
    """
    text = _text(path)
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return {}
            for each in _walk(node):
                _check_node(loader, each)
            values = loader.construct_document(node)
        finally:
            loader.dispose()
    except _Fault as fault:
        where = f"{path}, line {fault.line}"
        raise TmapError(hide(f"{where}: {fault.wrong}. {fault.fix}.")) from None
    except yaml.YAMLError as fault:
        reason = hide(_reason(text, fault))
        raise TmapError(f"{path} is not valid YAML: {reason}. Fix the file.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        kind = {"list": "a list", "str": "text", "bool": "true or false"}
        raise TmapError(
            f"{path} must be a mapping of keys to values, not "
            f"{kind.get(type(values).__name__, 'a number')}. "
            "Write lines `key: value`."
        )
    return values


def _text(path: Path) -> str:
    """The text of a file in UTF-8 of at most `MOST_BYTES`."""
    try:
        with path.open("rb") as file:
            found = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise TmapError(
            f"{shown_path(path)} cannot be read: {reason}. A card or config is a text "
            "file that you may read; fix its name or its permissions."
        ) from None
    if len(found) > MOST_BYTES:
        raise TmapError(
            f"{path} is larger than {MOST_BYTES:,} bytes, the most that a card or config "
            "may have. Put data into files of its own, and name them in the card."
        )
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = found.count(b"\n", 0, fault.start) + 1
        raise TmapError(
            f"{path} is not valid YAML: line {line} has byte 0x{found[fault.start]:02x}, "
            "and the file must be text in UTF-8. Save it as UTF-8."
        ) from None


def _reason(text: str, fault: yaml.YAMLError) -> str:
    """What PyYAML found, with its line, on one line."""
    if isinstance(fault, yaml.reader.ReaderError):
        line = text.count("\n", 0, int(fault.position)) + 1
        return f"line {line} has the character U+{int(fault.character):04X}"
    parts = [getattr(fault, name, None) for name in ("context", "problem")]
    reason = ", ".join(" ".join(str(part).split())[:160] for part in parts if part)
    mark = getattr(fault, "problem_mark", None) or getattr(fault, "context_mark", None)
    if "\\t" in reason:
        reason += "; indent with spaces, not tabs"
    return f"line {mark.line + 1}: {reason}" if mark else reason


class _Loader(yaml.SafeLoader):
    """Measures what it reads, aliases expanded, before it makes anything of it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._open = [("", _Size())]
        self._sizes: dict[str, _Size | None] = {}

    def get_event(self) -> Any:
        event: Any = super().get_event()  # type: ignore[no-untyped-call]
        self._measure(event, event.start_mark.line + 1)
        return event

    def _measure(self, event: Any, line: int) -> None:
        stack = self._open
        if isinstance(event, yaml.CollectionStartEvent):
            if event.anchor:
                self._sizes[event.anchor] = None
            stack.append((event.anchor or "", _Size(values=1)))
            _check_size(_Size(depth=len(stack) - 1), line)
            return
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, inner = stack.pop()
        elif isinstance(event, yaml.ScalarEvent):
            anchor, inner = event.anchor or "", _Size(1, 0, len(event.value))
        elif isinstance(event, yaml.AliasEvent):
            anchor, inner = "", self._alias(event.anchor or "", line)
        else:
            return
        if anchor:
            self._sizes[anchor] = inner
        name, around = stack[-1]
        stack[-1] = (name, around.with_inner(inner))
        depth = stack[-1][1].depth + len(stack) - 2
        _check_size(stack[-1][1]._replace(depth=depth), line)

    def _alias(self, name: str, line: int) -> _Size:
        found = self._sizes.get(name, _Size())  # unknown: the composer refuses it
        if found is None:
            wrong = f"'*{name[:60]}' is inside the value that it repeats, without end"
            raise _Fault(line, wrong, "Write the value out")
        return found


def _check_size(size: _Size, line: int) -> None:
    fix = "Write less into it; a list of many rows belongs in a file of its own"
    if size.depth > MOST_DEPTH:
        wrong = f"values are inside one another more than {MOST_DEPTH} times"
        raise _Fault(line, wrong, "Remove brackets or indentation")
    if size.values > MOST_VALUES:
        wrong = f"the file has more than {MOST_VALUES:,} values (aliases written out)"
        raise _Fault(line, wrong, fix)
    if size.characters > MOST_CHARACTERS:
        wrong = (
            f"the file has more than {MOST_CHARACTERS:,} characters, aliases (*name) "
            "written out"
        )
        raise _Fault(line, wrong, fix)


def _walk(root: yaml.Node) -> Iterator[yaml.Node]:
    """Every node once, in the order of the file."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in reversed(node.value) for part in pair[::-1]]
        elif isinstance(node, yaml.SequenceNode):
            waiting += reversed(node.value)


def _check_node(loader: yaml.SafeLoader, node: yaml.Node) -> None:
    """Refuse a value that YAML cannot make, or would make into something unexpected."""
    line = node.start_mark.line + 1
    kind = node.tag.removeprefix(_TAG)
    if isinstance(node, yaml.MappingNode):
        _check_keys(loader, node)
    if kind == "merge":  # `<<`, which is no value but a key
        return
    if kind not in _PLAIN or not node.tag.startswith(_TAG):
        _refuse_kind(loader, node, kind, line)
    if isinstance(node, yaml.ScalarNode):
        value = _made(loader, node)
        _check_number(node, value, line)
        if isinstance(value, str) and _UNREADABLE.search(value):
            wrong = (
                f"{shown(value)} has a character that no text may have (NUL, \\uD800)"
            )
            raise _Fault(line, wrong, "Remove it")


def _refuse_kind(
    loader: yaml.SafeLoader, node: yaml.Node, kind: str, line: int
) -> None:
    if kind == "timestamp" and isinstance(node, yaml.ScalarNode):
        _made(loader, node)
        wrong = f"{shown(node.value)} is read as a date, and no key takes a date"
        raise _Fault(line, wrong, _QUOTE)
    if kind == "value":
        raise _Fault(line, "a bare '=' has a meaning of its own in YAML", _QUOTE)
    tag = f"!!{kind}" if node.tag.startswith(_TAG) else node.tag
    wrong = (
        f"the tag '{tag[:60]}' is unknown here; a value is text, a number, true or false, "
        "null, a list or a mapping"
    )
    raise _Fault(line, wrong, "Remove the tag")


def _made(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    """The value of a scalar, whatever PyYAML raises on the way."""
    try:
        return loader.construct_object(node)
    except yaml.YAMLError:
        raise
    except Exception:  # ValueError, KeyError, AttributeError, OverflowError: PyYAML's
        word = _WORDS.get(node.tag.removeprefix(_TAG), "a value")
        wrong = f"{shown(node.value)} is read as {word} and is none"
        raise _Fault(node.start_mark.line + 1, wrong, _QUOTE) from None


def _check_number(node: yaml.ScalarNode, value: Any, line: int) -> None:
    """Refuse numbers beyond 64 bits, and those that YAML reads in base 8 or 60."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    text = node.value
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        wrong = f"{shown(text)} is a whole number of more than 64 bits"
        raise _Fault(line, wrong, _QUOTE)
    if ":" in text:
        base, fix = 60, "Write the number itself, or put it in quotes if it is text"
    elif isinstance(value, int) and _OCTAL.fullmatch(text) and abs(value) > 7:
        base, fix = 8, "Remove the leading 0, or put it in quotes if it is text"
    else:
        return
    raise _Fault(line, f"{shown(text)} is read as {value} (base {base})", fix)


def _check_keys(loader: yaml.SafeLoader, node: yaml.MappingNode) -> None:
    """Refuse keys that appear twice, and keys that are not text or a number."""
    first: dict[Any, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            wrong = "a list or mapping cannot be a key"
            raise _Fault(line, wrong, "Put it in quotes if it is text in braces")
        if key.tag == f"{_TAG}merge":
            if "<<" in first:
                wrong = f"the key '<<' is already on line {first['<<']}"
                raise _Fault(line, wrong, "Write one, `<<: [*a, *b]`")
            first["<<"] = line
            continue
        if key.tag in (f"{_TAG}bool", f"{_TAG}null"):
            word = {"bool": "true or false", "null": "null"}
            read = word[key.tag.removeprefix(_TAG)]
            wrong = f"the key {shown(key.value)} is read as {read}, and keys are text"
            raise _Fault(line, wrong, "Put it in quotes")
        if key.tag.removeprefix(_TAG) not in _PLAIN:
            _refuse_kind(loader, key, key.tag.removeprefix(_TAG), line)
        made = _made(loader, key)
        if made in first:
            wrong = (
                f"the key {shown(made)} is already on line {first[made]}, and only the "
                "last would count"
            )
            raise _Fault(line, wrong, "Keep one of them")
        first[made] = line
