"""Cards as files: what YAML cannot read, or reads as nobody means it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from cases import Case, Room
from cases.cards import DATASET, FIX, METHOD, load
from tmap import cards

QUOTES = "Put it in quotes if it is text"
KEYS = "must be a mapping of keys to values"
DEEP = 5000


def raw(text: str):
    """A dataset card with exactly this text."""
    return partial(load, kind="datasets", text=text)


def stored(content: bytes):
    """A dataset card with exactly these bytes."""

    def do(room: Room) -> None:
        room.write("cards/datasets/mine.yaml", content)
        cards.load("datasets", "mine")

    return do


def config(text: str):
    """A config file of `tmap` or of Snakemake."""

    def do(room: Room) -> None:
        cards.read_config([Path(room.write("config.yaml", text))])

    return do


def chain(room: Room) -> None:
    for n in range(40):
        room.write(f"cards/datasets/c{n}.yaml", f"extends: c{n + 1}\n")
    cards.load("datasets", "c0")


def folder_of_long_name(room: Room) -> None:
    room.patch.setenv("TMAP_CARDS", "x" * DEEP)
    cards.names("models")


def unreadable(room: Room) -> None:
    room.write("cards/datasets/mine.yaml", "task: generation\n")
    room.patch.setattr(Path, "open", _refuse)
    cards.load("datasets", "mine")


def _refuse(*args: object, **how: object) -> None:
    raise PermissionError(13, os.strerror(13))


LAUGHS = "\n".join(
    ["l0: &l0 [" + "x, " * 10 + "]"]
    + [f"l{n}: &l{n} [" + f"*l{n - 1}, " * 10 + "]" for n in range(1, 10)]
)
MERGES = "\n".join(
    ["m0: &m0 {a: 1}"]
    + [f"m{n}: &m{n} {{<<: [" + f"*m{n - 1}, " * 10 + "]}" for n in range(1, 10)]
)
LONG = f"a: &a {'x' * 500_000}\nb: [" + "*a, " * 20 + "]"
CASES = [
    Case(
        "a key that appears twice",
        raw("task: generation\npool: {path: a}\n\nfraction: 0.9\nfraction: 0.1\n"),
        "mine.yaml, line 5: the key 'fraction' is already on line 4",
        "only the last would count",
        "Keep one of them",
    ),
    Case(
        "a key of a section that appears twice",
        DATASET("pool: {path: a, path: b}"),
        "line 2: the key 'path' is already on line 2",
        "only the last would count",
        "Keep one of them",
    ),
    Case(
        "a key of a config that appears twice",
        config("seeds: 3\nmethods: [base]\nseeds: 5\n"),
        "config.yaml, line 3: the key 'seeds' is already on line 1",
        "only the last would count",
        "Keep one of them",
    ),
    Case(
        "two merges into one mapping",
        raw("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n"),
        "line 4: the key '<<' is already on line 3",
        "Write one",
        "`<<: [*a, *b]`",
    ),
    Case(
        "a merge of a number",
        raw("<<: 5\n"),
        "found scalar",
        "expected a mapping or list of mappings for merging",
        "Fix the file",
    ),
    Case(
        "a date that does not exist",
        DATASET("description: 2024-13-45"),
        "line 4: '2024-13-45'",
        "is read as a date and is none",
        QUOTES,
    ),
    Case(
        "a date",
        DATASET("pool: {hub: a, revision: 2024-01-01}"),
        "line 2: '2024-01-01'",
        "is read as a date, and no key takes a date",
        QUOTES,
    ),
    Case(
        "a word with the tag of a whole number",
        DATASET("fraction: !!int abc"),
        "line 4: 'abc'",
        "is read as a whole number and is none",
        QUOTES,
    ),
    Case(
        "a word with the tag of a number",
        DATASET("fraction: !!float x"),
        "line 4: 'x' is read as a number",
        "and is none",
        QUOTES,
    ),
    Case(
        "a word with the tag of a truth value",
        DATASET("description: !!bool x"),
        "line 4: 'x' is read as true or false",
        "and is none",
        QUOTES,
    ),
    Case(
        "a word with the tag of a date",
        DATASET("description: !!timestamp x"),
        "line 4: 'x' is read as a date",
        "and is none",
        QUOTES,
    ),
    Case(
        "a number of 5,000 digits",
        DATASET("fraction: " + "1" * 5000),
        "line 4: '1111",
        "is read as a whole number and is none",
        QUOTES,
    ),
    Case(
        "a number of 5,000 hexadecimal digits",
        DATASET("fraction: 0x" + "f" * 5000),
        "line 4: '0xfff",
        "a whole number of more than 64 bits",
        QUOTES,
    ),
    Case(
        "minutes as on a clock",
        DATASET("shards: 12:30"),
        "line 4: '12:30' is read as 750 (base 60)",
        "Write the number itself",
        "in quotes if it is text",
    ),
    Case(
        "a number with a leading zero",
        DATASET("shards: 010"),
        "line 4: '010' is read as 8 (base 8)",
        "Remove the leading 0",
        "in quotes if it is text",
    ),
    Case(
        "an object of Python",
        DATASET("description: !!python/object:os.system x"),
        "the tag '!!python/object:os.system' is unknown here",
        "a value is text, a number, true or false",
        "Remove the tag",
    ),
    Case(
        "a tag of one's own",
        DATASET("description: !mine x"),
        "the tag '!mine' is unknown here",
        "a value is text, a number, true or false",
        "Remove the tag",
    ),
    Case(
        "a bare equals sign",
        DATASET("description: ="),
        "line 4: a bare '='",
        "has a meaning of its own in YAML",
        QUOTES,
    ),
    Case(
        "lists in lists without end",
        DATASET("indicators: " + "[" * DEEP),
        "line 4: values are inside one another",
        "more than 40 times",
        "Remove brackets or indentation",
    ),
    Case(
        "mappings in mappings without end",
        DATASET("description: " + "{a: " * DEEP),
        "line 4: values are inside one another",
        "more than 40 times",
        "Remove brackets or indentation",
    ),
    Case(
        "a billion laughs",
        raw(LAUGHS),
        "line 5: the file has more than 50,000 values",
        "aliases written out",
        "Write less into it",
    ),
    Case(
        "a billion merges",
        raw(MERGES),
        "the file has more than 50,000 values",
        "aliases written out",
        "Write less into it",
    ),
    Case(
        "a long text many times",
        raw(LONG),
        "line 2: the file has more than 4,000,000 characters",
        "written out",
        "Write less into it",
    ),
    Case(
        "a value that contains itself",
        DATASET("pool: &a {path: *a}"),
        "line 2: '*a' is inside the value that it repeats",
        "without end",
        "Write the value out",
    ),
    Case(
        "an alias of nothing",
        DATASET("description: *nope"),
        "line 4: found undefined alias",
        "is not valid YAML",
        "Fix the file",
    ),
    Case(
        "a file of more than a megabyte",
        raw("# " + "x" * 1_000_001),
        "is larger than 1,000,000 bytes",
        "the most that a card or config may have",
        "Put data into files of its own",
    ),
    Case(
        "UTF-16",
        stored("task: generation\n".encode("utf-16")),
        "line 1 has byte 0xff",
        "must be text in UTF-8",
        "Save it as UTF-8",
    ),
    Case(
        "Latin-1",
        stored("task: generation\ndescription: café\n".encode("latin-1")),
        "line 2 has byte 0xe9",
        "must be text in UTF-8",
        "Save it as UTF-8",
    ),
    Case(
        "a control character",
        DATASET("description: a\x07b"),
        "line 4 has the character U+0007",
        "is not valid YAML",
        "Fix the file",
    ),
    Case(
        "a NUL that is written as an escape",
        DATASET('pool: {path: "a\\0b"}'),
        "line 2: 'a\\x00b'",
        "has a character that no text may have",
        "Remove it",
    ),
    Case(
        "half a character that is written as an escape",
        DATASET('description: "\\ud800"'),
        "line 4: '\\ud800'",
        "has a character that no text may have",
        "Remove it",
    ),
    Case(
        "a tab as indentation",
        raw("task: generation\npool:\n\tpath: a\n"),
        "line 3: while scanning",
        "indent with spaces, not tabs",
        "Fix the file",
    ),
    Case(
        "two documents in one file",
        raw("a: 1\n---\nb: 2\n"),
        "found another document",
        "expected a single document",
        "Fix the file",
    ),
    Case("a card that is text", raw("gsm8k\n"), "not text", KEYS, "Write lines"),
    Case("a card that is a number", raw("5\n"), "not a number", KEYS, "Write lines"),
    Case("a card that is yes", raw("yes\n"), "not true or false", KEYS, "Write lines"),
    Case("a config that is a list", config("- 1\n"), "not a list", KEYS, "Write lines"),
    Case(
        "a key that is read as false",
        raw("no: 1\n"),
        "line 1: the key 'no' is read as true or false",
        "keys are text",
        "Put it in quotes",
    ),
    Case(
        "a key that is null",
        raw("~: 1\n"),
        "line 1: the key '~' is read as null",
        "keys are text",
        "Put it in quotes",
    ),
    Case(
        "a key that is a list",
        raw("? [a, b]\n: 1\n"),
        "line 1: a list or mapping",
        "cannot be a key",
        "Put it in quotes",
    ),
    *(
        Case(
            f"a card that extends {what}",
            raw(f"extends: {text}\n"),
            f"{wrong} cannot name a card",
            "takes the name of another card of the same kind",
            "fix it or remove it",
        )
        for what, text, wrong in [
            ("a number", "5", "5"),
            ("no", "no", "False"),
            ("a list", "[a]", "['a']"),
            ("nothing", "''", "''"),
            ("a file elsewhere", "../mine", "'../mine'"),
            ("a very long name", "x" * DEEP, "...xxxxx"[:3] + "x" * 38 + "'"),
        ]
    ),
    Case(
        "a card that extends a date",
        raw("extends: 2020-01-01\n"),
        "line 1: '2020-01-01'",
        "no key takes a date",
        QUOTES,
    ),
    Case(
        "a chain of forty cards",
        chain,
        "more than 30 cards extend one another",
        "into one card",
        "Write their values",
    ),
    Case(
        "a card that may not be read",
        unreadable,
        "cannot be read: Permission denied",
        "a text file that you may read",
        "fix its name or its permissions",
    ),
    Case(
        "a card with a very long name",
        lambda room: cards.load("models", "x" * DEEP),
        "cannot name a card",
        "a card is named by a word, such as gsm8k",
        "name one",
    ),
    Case(
        "a key with a very long name",
        METHOD("y" * 100 + ": 1"),
        "no key ''yyy",
        "Known: description, weights",
        FIX,
    ),
    Case(
        "a card folder with a very long name",
        folder_of_long_name,
        "No card folder 'xxx",
        "Name existing folders under `cards:`",
        "or create it",
    ),
    Case(
        "a config with a very long name",
        lambda room: cards.read_config([Path("x" * DEEP)]),
        "There is no config file 'xxx",
        "Name one that exists",
        "paths are relative to the working directory",
    ),
]
