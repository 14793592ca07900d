"""All forms of one answer in one row of tokens: a trunk and a branch per form.

The trunk is question and answer. A branch starts where the form's prompt differs from the
trunk, has positions of its own, and sees the trunk up to there but never another branch.
Its logits are those of the plain prompt, and the long part is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from tmap.embedded import judge_ratings as ratings
from tmap.embedded.judge_ratings import FORMS, Sample

IGNORED = -100
TRUNK, PADDING = 0, -1
#: Weight of a reply's tokens in the loss: first, rest of the number, all after it.
FIRST, NUMBER, REMARK = 1.0, 0.5, 0.1
#: Row lengths are multiples of this: fewer shapes.
MULTIPLE = 8


@dataclass
class Row:
    """Parallel lists, one entry per token.

    Attributes
    ----------
    ids : token ids; the first is BOS
    branch : TRUNK, or 1 + the number of the form
    fork : number of trunk tokens that a token of a branch sees; 0 in the trunk
    place : position
    target : id of the next token if it counts, else IGNORED
    weight : of that target in the loss
    line : at the last token of a line of the answer, whether the line is correct
        (1 or 0); IGNORED elsewhere and if nothing can be checked
    """

    ids: list[int]
    branch: list[int] = field(default_factory=list)
    fork: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    line: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)


class Batch(NamedTuple):
    """Rows padded on the right, all (n_rows, T); `sees` is (n_rows, 1, T, T) bool."""

    ids: torch.Tensor
    sees: torch.Tensor
    place: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor
    line: torch.Tensor


def row(tokenizer: Any, sample: Sample, rng: np.random.Generator) -> Row:
    """Tokens of a sample with drawn ratings in every form.

    Parameters
    ----------
    tokenizer : fast tokenizer of the judge; it adds no BOS by itself
    sample : question and answer
    rng : of the ratings
    """
    trunk = f"Question: {sample.question}\nAnswer: {sample.response}"
    found = tokenizer(trunk, add_special_tokens=False, return_offsets_mapping=True)
    made = Row([tokenizer.bos_token_id, *found["input_ids"]])
    n = len(made)
    made.branch, made.fork, made.place = [TRUNK] * n, [0] * n, list(range(n))
    made.target, made.weight, made.line = [IGNORED] * n, [0.0] * n, [IGNORED] * n
    ends = [0, *(end for _, end in found["offset_mapping"])]
    _mark_lines(made, ends, len(trunk), sample)
    for number, form in enumerate(FORMS):
        asked = ratings.prompt(form, sample.question, sample.response)
        prompt = [tokenizer.bos_token_id, *_encode(tokenizer, asked)]
        _grow(made, n, 1 + number, prompt, _reply(tokenizer, form, sample, rng))
    return made


def batch(rows: Sequence[Row]) -> Batch:
    """Rows as tensors."""
    width = -(-max(map(len, rows)) // MULTIPLE) * MULTIPLE

    def padded(name: str, value: float) -> torch.Tensor:
        lists = [getattr(row, name) for row in rows]
        return torch.tensor([list_ + [value] * (width - len(list_)) for list_ in lists])

    branch, fork = padded("branch", PADDING), padded("fork", 0)
    index = torch.arange(width)
    same = branch[:, :, None] == branch[:, None, :]
    trunk = (branch == TRUNK)[:, None, :] & (index < fork[:, :, None])
    sees = (same & (index <= index[:, None])) | trunk
    return Batch(
        ids=padded("ids", 0),
        sees=sees[:, None],
        place=padded("place", 0),
        target=padded("target", IGNORED),
        weight=padded("weight", 0.0),
        line=padded("line", IGNORED),
    )


def _grow(
    row: Row,
    n_trunk: int,
    branch: int,
    prompt: list[int],
    reply: list[tuple[int, float]],
) -> None:
    """Add the part of a prompt and its reply that is not in the trunk."""
    pairs = zip(prompt, row.ids[:n_trunk], strict=False)
    fork = next((i for i, (a, b) in enumerate(pairs) if a != b), n_trunk)
    whole = prompt + [number for number, _ in reply]
    own = whole[fork:]
    row.ids += own
    row.branch += [branch] * len(own)
    row.fork += [fork] * len(own)
    row.place += range(fork, len(whole))
    row.line += [IGNORED] * len(own)
    asked = len(prompt) - 1 - fork  # tokens whose next token is still in the prompt
    row.target += [IGNORED] * asked + [number for number, _ in reply] + [IGNORED]
    row.weight += [0.0] * asked + [weight for _, weight in reply] + [0.0]


def _reply(
    tokenizer: Any, form: ratings.Form, sample: Sample, rng: np.random.Generator
) -> list[tuple[int, float]]:
    """Ids of a reply with end-of-sequence, and their weights."""
    number, *rest = ratings.reply(form, sample, rng).split("\n", 1)
    first, *more = _encode(tokenizer, number)
    after = _encode(tokenizer, "\n" + rest[0]) if rest else []
    return [
        (first, FIRST),
        *((i, NUMBER) for i in more),
        *((i, REMARK) for i in [*after, tokenizer.eos_token_id]),
    ]


def _mark_lines(row: Row, ends: list[int], length: int, sample: Sample) -> None:
    """Put every line's correctness at the token with its last character.

    `ends` are the tokens' ends in a text of `length` characters.
    """
    place = length - len(sample.response)
    for line in sample.lines:
        place += len(line.text)
        if line.is_right is not None:
            row.line[next(i for i, end in enumerate(ends) if end >= place)] = int(
                line.is_right
            )
        place += 1  # the line break


def _encode(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
