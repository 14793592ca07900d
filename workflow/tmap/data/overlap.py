"""Find pool rows that contain a benchmark question, by 13-gram overlap."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

#: Scripts that do not separate words by spaces, as ranges of characters.
_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf\uaa80-\uaadf"  # Tai
    "\u1b00-\u1b7f\ua980-\ua9df"  # Balinese, Javanese
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u303c"  # parts of Han, its marks
    "\u3040-\u30ff\u31f0-\u31ff\U0001b000-\U0001b16f"  # Japanese
    "\u3100-\u312f\u31a0-\u31bf"  # Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\ua000-\ua48f"  # Yi
)
_HAS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(r"\w+")
#: A word; or one character of those scripts that is a letter, a digit or a mark.
_UNIT = re.compile(rf"[^\W{_UNSPACED}]+|[{_UNSPACED}]")
#: Multiplier of the polynomial hash over words modulo 2**64; any odd number works.
_BASE = np.uint64(0x9E3779B97F4A7C15)


def words(text: str) -> list[str]:
    """Words of `text` without case, punctuation, spacing and compatibility forms.

    Chinese, Japanese, Thai, Lao, Khmer and Burmese do not separate words, so each of
    their characters counts as a word. A vowel sign or tone mark belongs to the letter
    before it.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    if not _HAS_UNSPACED.search(plain):
        return _WORD.findall(plain)
    found: list[str] = []
    for word in _UNIT.findall(plain):
        kind = unicodedata.category(word) if len(word) == 1 else "L"
        if kind[0] == "M" and found:
            found[-1] += word
        elif kind[0] in "LN" or word == "_":
            found.append(word)
    return found


class NgramHasher:
    """64-bit hashes of word n-grams, the same in every process and on every machine.

    Each word is hashed once (BLAKE2b); an n-gram is a polynomial in its word hashes.
    Made for text, not against an adversary: a collision among a million n-grams has a
    probability of about 3e-8.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._known: dict[str, int] = {}

    def _word(self, word: str) -> int:
        found = self._known.get(word)
        if found is None:
            digest = hashlib.blake2b(word.encode("utf-8"), digest_size=8).digest()
            found = self._known[word] = int.from_bytes(digest, "little")
        return found

    def hashes(self, tokens: Sequence[str]) -> np.ndarray:
        """Distinct sorted hashes of all n-grams, or of the whole text if it is shorter.

        Parameters
        ----------
        tokens : words of one text

        Returns
        -------
        (k,) uint64; empty for no words.
        """
        if not tokens:
            return np.empty(0, np.uint64)
        width = min(self.n, len(tokens))
        values = np.array([self._word(word) for word in tokens], np.uint64)
        total = np.zeros(len(tokens) - width + 1, np.uint64)
        for shift in range(width):
            total = total * _BASE + values[shift : shift + len(total)]
        # The width is included, so that a short text never equals part of a long one.
        return np.unique(total * _BASE + np.uint64(width))


def question_ngrams(
    question_ids: Sequence[str], texts: Sequence[str], n: int
) -> pd.DataFrame:
    """Hashes of each question, as table 'question_ngrams'.

    Parameters
    ----------
    question_ids, texts : of equal length; texts without lettered options
    n : words per n-gram
    """
    hasher = NgramHasher(n)
    tokens = [words(text) for text in texts]
    return pd.DataFrame(
        {
            "question_id": list(question_ids),
            "n_words": [len(found) for found in tokens],
            "hashes": [hasher.hashes(found) for found in tokens],
        }
    )


class OverlapIndex:
    """An index that finds the benchmark question that a text contains.

    Parameters
    ----------
    questions : table 'question_ngrams'
    n : words per n-gram, as in that table
    share : share of a question's distinct n-grams that counts as containing it, in (0, 1]
    """

    def __init__(self, questions: pd.DataFrame, n: int, share: float) -> None:
        self.hasher, self.share = NgramHasher(n), share
        self.ids = questions["question_id"].tolist()
        counts = np.array([len(found) for found in questions["hashes"]], np.int64)
        self.needed = np.maximum(1, np.ceil(share * counts - 1e-9)).astype(np.int64)
        flat = [np.asarray(found, np.uint64) for found in questions["hashes"]]
        hashes = np.concatenate([np.empty(0, np.uint64), *flat])
        owners = np.repeat(np.arange(len(counts)), counts)
        order = np.argsort(hashes, kind="stable")
        self.hashes, self.owners = hashes[order], owners[order]

    def find(self, texts: Iterable[str]) -> str | None:
        """Id of the first question that `texts`, taken together, contain, or None.

        A question of n words or more is contained if at least `share` of its n-grams
        occur; a shorter one only if one of the texts has exactly its words.
        """
        found = [self.hasher.hashes(words(text)) for text in texts]
        if not found or not len(self.hashes):
            return None
        mine = np.unique(np.concatenate(found))
        left = np.searchsorted(self.hashes, mine, "left")
        right = np.searchsorted(self.hashes, mine, "right")
        hit = np.flatnonzero(right > left)
        if not len(hit):
            return None
        owners = np.concatenate(
            [self.owners[a:b] for a, b in zip(left[hit], right[hit], strict=True)]
        )
        shared = np.bincount(owners, minlength=len(self.ids))
        enough = np.flatnonzero(shared >= self.needed)
        return self.ids[enough[0]] if len(enough) else None
