"""Code blocks of the docs pages: what they say of themselves, and writing them.

A block without a language is typed literally, `python` runs, `text` is what is printed. A
block with a file name (`yaml title="datasets/mine.yaml"`) is that file: a card in the
user's folder, or a file of the clone. If the file exists in the clone, a `python` block is
added at its end, and the `+` lines of a `diff` block after the line above them.
"""

from __future__ import annotations

import re


def blocks(path, until=None):
    """(language, file name or "", text) of every fenced block before this heading."""
    text = path.read_text(encoding="utf-8")
    if until:
        text, heading, _ = text.partition(f"\n{until}\n")
        assert heading, until
    found = re.findall(
        r'^```(\w*)(?: title="([^"\n]*)")?\n(.*?)^```', text, re.M | re.S
    )
    assert text.count("```") == 2 * len(found)
    return found


def write(clone, path, until=None):
    for language, name, text in blocks(path, until):
        if not name:
            continue
        room = clone.path.parent / "mine" if language == "yaml" else clone.path
        file = room / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if language == "diff":
            before, added = re.search(r"^ (.*\n)((?:\+.*\n)+)", text, re.M).groups()
            assert file.read_text().count(before) == 1, before
            text = before + re.sub(r"^\+", "", added, flags=re.M)
            file.write_text(file.read_text().replace(before, text))
        elif language == "python" and file.exists():
            file.write_text(f"{file.read_text()}\n\n{text}")
        else:
            file.write_text(text)
