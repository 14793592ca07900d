"""Fill a judge's form with a row of the pool.

Replacement is literal and in one pass: braces in data stay braces, and a response with
the text "{instruction}" is not filled in again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tmap.cards.judge import FIELDS
from tmap.judges.base import Question
from tmap.prompts.conversation import answer_of, has_turns, question_of
from tmap.prompts.encoding import Text

if TYPE_CHECKING:
    from tmap.cards.judge import FormSection

_FIELD = re.compile(rf"\{{({'|'.join(FIELDS)})\}}")


def fill(form: FormSection, row: Mapping[str, Any]) -> Question | None:
    """The question about one row, or None if instruction or response is blank.

    For a chat of several turns, the first exchange is rated. If the template has no
    {input}, {instruction} is the instruction with the input below it.
    """
    texts = _texts(row, "{input}" in form.template)
    if not texts["instruction"].strip() or not texts["response"].strip():
        return None
    parts = _FIELD.split(form.template)
    pieces = [
        Text(_sound(texts[part]), False) if at % 2 else Text(part, True)
        for at, part in enumerate(parts)
        if at % 2 or part
    ]
    return Question(form.system, tuple(pieces))


def _texts(row: Mapping[str, Any], apart: bool) -> dict[str, str]:
    asked = question_of(row)
    given = ""
    if apart and not has_turns(row):
        asked, given = str(row["instruction"]), str(row["input"] or "")
    return {"instruction": asked, "input": given, "response": answer_of(row)}


def _sound(text: str) -> str:
    """Lone surrogates, which neither tokenizer nor JSON accepts, become `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")
