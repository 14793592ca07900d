"""A tokenizer for the embedded world: one token for every word and for every digit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tmap.worlds import byte_pair

#: More than the world's words need; training stops when all words are single tokens.
LARGEST = 1024
MAX_POSITIONS = 1024

#: A word or digit with the space before it, `####`, a full stop that ends a line (one
#: token: it comes once per step), line breaks, any other sign. Seams between question
#: and answer, and between examples, are borders here, so that demonstrations, prompts
#: and training rows cut a text alike.
PIECES = r" ?[A-Za-z]+| ?[0-9]| ?#+|\.\n(?!\n)|\n+| ?[^A-Za-z0-9\s]|\s+"


def train(texts: Iterable[str]) -> Any:
    """Byte-level BPE over `texts`; text that they lack falls back to bytes.

    It adds no BOS: the code that builds a prompt does.
    """
    from tokenizers import Regex, pre_tokenizers

    cuts = [
        pre_tokenizers.Split(Regex(PIECES), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    return byte_pair.train(
        texts, cuts, largest=LARGEST, max_positions=MAX_POSITIONS, adds_bos=False
    )
