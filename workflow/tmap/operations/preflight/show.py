"""The findings of `tmap check` as text that is safe to print, whatever the data contain."""

from __future__ import annotations

import textwrap
import unicodedata

from rich.console import Console
from rich.text import Text

from tmap.operations.preflight import Findings
from tmap.operations.preflight.asked import AskFindings
from tmap.operations.preflight.columns import ColumnFindings
from tmap.operations.preflight.data import Columns, PoolFindings, QuestionFindings
from tmap.operations.preflight.prompts import Rendered, RowFindings
from tmap.operations.preflight.target import ModelFindings, Needs

OPEN, CLOSE = "⟦", "⟧"
#: Characters of a long prompt that are shown at either end.
ENDS = 1500
Line = tuple[str, str]


def visible(text: str) -> str:
    r"""Text that cannot control a terminal: control and format characters are spelt out.

    >>> visible("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(_spelt(sign) for sign in text)


def _spelt(sign: str) -> str:
    hidden = unicodedata.category(sign)[0] == "C" and sign not in "\n\t"
    if not hidden and sign not in OPEN + CLOSE + "\u2028\u2029":
        return sign
    return sign.encode("unicode_escape").decode("ascii")


def show(found: Findings, console: Console) -> None:
    """Print everything; colours only if `console` is a terminal."""
    if found.pool:
        _section(console, "pool", found.pool.place, _pool(found.pool))
    if found.columns:
        _section(console, "columns that need no model", "", _columns_of(found.columns))
    if found.questions:
        about = _questions(found.questions)
        _section(console, "questions", found.questions.place, about)
    if found.model:
        about = _model(found.model, found.needs)
        _section(console, "model", found.model.place, about)
    if found.rows:
        _section(console, "rows as trained on", "", _rows(found.rows))
        console.print(f"The loss counts between {OPEN} and {CLOSE}.\n")
        for row in found.rows.shown:
            _prompt(console, row)
    if found.asked:
        _section(console, "zero-shot", "", _asked(found.asked))
        if scored := found.asked.columns:
            which = f"{scored[0].n_rows} rows: the shortest, the longest, some others"
            _section(console, "columns of the model", which, _columns_of(scored))
    _list(console, "notes", found.notes, "yellow")
    _list(console, "missing", found.missing, "red")


def _section(console: Console, head: str, place: str, lines: list[Line]) -> None:
    title = Text(head, "bold").append(f"  {visible(place)}" if place else "", "")
    console.print(title, soft_wrap=True)
    wide = max(len(key) for key, _ in lines) + 4
    for key, value in lines:
        _wrapped(console, f"  {key}".ljust(wide), visible(value))
    console.print()


def _list(console: Console, head: str, sentences: list[str], style: str) -> None:
    if sentences:
        console.print(Text(head, f"bold {style}"))
    for line in sentences:
        _wrapped(console, "  - ", visible(line))


def _wrapped(console: Console, key: str, text: str) -> None:
    lines = textwrap.wrap(text, max(20, console.width - len(key))) or [""]
    for number, line in enumerate(lines):
        start = " " * len(key) if number else key
        console.print(Text(start + line), soft_wrap=True)


def _pool(found: PoolFindings) -> list[Line]:
    lines = [
        ("format", found.format),
        ("columns", _columns(found.columns) + _left(found.unread, "rows")),
        (
            "rows",
            f"{found.n_rows:,}, of which {len(found.kept):,} can be used "
            f"and {found.n_chosen:,} would be chosen",
        ),
        ("rejected", _share(found.n_rejected, found.n_rows)),
    ]
    if found.placeholders:
        told = ", ".join(f"{text!r} ({n:,})" for text, n in found.placeholders.items())
        lines.append(("no input", f"read as empty: {told}"))
    for kind, (count, examples) in found.reasons.items():
        lines.append(("", f"{count:,} {kind}: {'; '.join(map(_short, examples))}"))
    overlap = "not checked: there are no questions to compare with"
    if found.overlap is not None:
        overlap = f"{found.overlap:.1%} contain a benchmark question (dropped)"
    return [*lines, ("overlap", overlap)]


def _questions(found: QuestionFindings) -> list[Line]:
    sides = f"{found.n_reward:,} guide the search, {found.n_test:,} test"
    columns = _columns(found.columns) + _left(found.unread, "questions")
    return [("columns", columns), ("rows", sides)]


def _columns_of(found: list[ColumnFindings]) -> list[Line]:
    return [(column.name, _range(column)) for column in found]


def _range(column: ColumnFindings) -> str:
    if column.skipped:
        return f"not measured here: {column.skipped}"
    if not column.quantiles:
        return "no row is scored"
    low, middle, high = (f"{value:,.6g}" for value in column.quantiles)
    text = f"{low} to {high}, median {middle} ({column.unit})"
    if column.n_scored < column.n_rows:
        text += f"; {column.n_rows - column.n_scored:,} rows unscored"
    return text + ("; see the notes" if column.marks else "")


def _asked(found: AskFindings) -> list[Line]:
    right = f"{_share(found.n_right, found.n)}; guessing gives {found.guessed:.1%}"
    lines = [("right", right), ("unread", _share(found.n_unread, found.n))]
    return lines + [("", _short(f"such as {text!r}")) for text in found.unread]


def _left(unread: dict[str, int], what: str) -> str:
    left = ", ".join(f"{name} ({n:,} {what})" for name, n in unread.items())
    return f"; not read: {left}" if left else ""


def _model(found: ModelFindings, needs: Needs | None) -> list[Line]:
    n = found.n_parameters
    size = "unknown" if n is None else f"{_count(n)} parameters"
    if found.size_bytes is not None:
        size += f", {_bytes(found.size_bytes)} on disk"
    context = f"{found.context:,} tokens" if found.context else "not stated"
    lines = [("size", size), ("context", context)]
    return lines if needs is None else [*lines, ("memory", _memory(needs))]


def _memory(needs: Needs) -> str:
    if needs.answering is None or needs.training is None:
        return "unknown: the model does not state its size or shape"
    wants = (
        f"about {_bytes(needs.answering)} to answer and {_bytes(needs.training)} to "
        f"fine-tune, in {needs.dtype}"
    )
    if needs.available is None:
        return f"{wants}; no GPU is visible here, so check again where there is one"
    where = "of the GPU" if needs.device == "gpu" else "that the card requests"
    verdict = "fits" if needs.fits else "does NOT fit"
    return f"{wants}: {verdict} into the {_bytes(needs.available)} {where}"


def _rows(found: RowFindings) -> list[Line]:
    limit, key = found.limit
    of = "" if found.n_rows == found.n_pool else f", a sample of {found.n_pool:,}"
    return [
        ("rendered", f"{found.n_rows:,}{of}"),
        (
            "length",
            f"median {found.median:,.0f} tokens, 90 % up to {found.most:,.0f}, 99 % up to "
            f"{found.nearly_all:,.0f}; {limit:,} at most ({key})",
        ),
        ("truncated", _share(found.truncated, found.n_rows)),
        ("dropped", f"{_share(found.dropped, found.n_rows)}, no answer left"),
    ]


def _prompt(console: Console, row: Rendered) -> None:
    title = Text(f"{row.what}: ", "bold").append(visible(row.sample_id))
    title.append(f", {row.n_tokens:,} tokens, {row.n_loss_tokens:,} in the loss")
    console.print(title, soft_wrap=True)
    shown = Text()
    for piece in row.pieces:
        text = visible(_middle_out(piece.text))
        shown.append(*((f"{OPEN}{text}{CLOSE}", "green") if piece.trained else (text,)))
    console.print(shown, soft_wrap=True)
    console.print()


def _middle_out(text: str) -> str:
    if len(text) <= 2 * ENDS:
        return text
    left = len(text) - 2 * ENDS
    return f"{text[:ENDS]}\n[... {left:,} characters ...]\n{text[-ENDS:]}"


def _columns(columns: Columns) -> str:
    return ", ".join(f"{ours} from '{theirs}'" for ours, theirs in columns)


def _share(count: int, total: int) -> str:
    return f"{count:,} of {total:,} ({count / total if total else 0:.1%})"


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."


def _count(n: int) -> str:
    return f"{n / 1e9:.1f} B" if n >= 1e9 else f"{n / 1e6:.1f} M"


def _bytes(n: int) -> str:
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"
