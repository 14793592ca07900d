"""Read ratings from a judge's raw replies."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tmap.indicators import Scores
from tmap.judges.base import DIGITS

if TYPE_CHECKING:
    from tmap.judges import Judge

logger = logging.getLogger(__name__)
#: The end of a judge's thoughts, and their beginning, as the known models write them.
_THOUGHT = r"(?:\w+:)?(?:think|thinking|thought|thoughts|reasoning|analysis|reflection)"
THOUGHT_ENDS = re.compile(
    rf"</{_THOUGHT}>|\[/THINK\]|<\|channel\|>final<\|message\|>|\u25c1/think\u25b7"
    r"|<\|end_of_thought\|>|<\|/think\|>|\.\.\.done thinking\."
)
THOUGHT_BEGINS = re.compile(
    rf"\s*(?:<{_THOUGHT}>|\[THINK\]|<\|channel\|>analysis|\u25c1think\u25b7"
    r"|<\|begin_of_thought\|>|<\|think\|>|Thinking\.\.\.\s)"
)
#: Least share of the probability that a server's listed digits must have.
MASS = 0.99


def expected_digit(pool: pd.DataFrame, judge: Judge) -> Scores:
    """The mean digit, 1 to 6, under the judge's probabilities of its first token.

    Returns
    -------
    (n_samples,) in [1, 6]. `unparsable` if a server lists some of the digits only, and
    they have less than MASS in total. Notes: the mass of the digits, and the largest
    error of each score.
    """
    replies = judge.ask(pool.to_dict("records"), "digits")
    score, mass, error = np.full((3, len(replies)), np.nan)
    status = np.array([reply.status for reply in replies], dtype=object)
    for i, reply in enumerate(replies):
        if reply.raw is None:
            continue
        log_p, is_whole = digits_of(reply.raw)
        mass[i] = float(np.exp(log_p).sum())
        if not is_whole and mass[i] < MASS:
            status[i] = "unparsable"
            continue
        score[i] = expectation(log_p)
        error[i] = 0.0 if is_whole else largest_error(log_p)
    return Scores(score, status, {"mass": mass, "error": error})


def digit_notes(rows: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The least and mean mass of the digits, and the largest error of a score.

    A server lists only its likeliest tokens; the rest may be on other digits.
    """
    mass, error = (rows[name][~np.isnan(rows[name])] for name in ("mass", "error"))
    notes = {
        "digit_mass_min": float(mass.min(initial=1.0)),
        "digit_mass_mean": float(mass.mean()) if len(mass) else 1.0,
        "largest_error": float(error.max(initial=0.0)),
    }
    if notes["digit_mass_mean"] < 0.5:
        logger.warning(
            "The digits 1 to 6 have %.3f of the judge's probability on average: its "
            "prompt should end where a digit is the next token.",
            notes["digit_mass_mean"],
        )
    return notes


def digits_of(raw: Mapping[str, Any]) -> tuple[np.ndarray, bool]:
    """(6,) natural log-probabilities of 1 to 6, and whether none of them is hidden.

    A local model measures all six. A server lists its likeliest tokens: unlisted digits
    are -inf, and tokens that differ only in white space (" 4", "4") are one digit.
    """
    if "digits" in raw:
        return np.array(raw["digits"], dtype=np.float64), True
    found: list[list[float]] = [[] for _ in DIGITS]
    for token, log_p in raw["tokens"]:
        if len(digit := token.strip()) == 1 and digit in DIGITS:
            found[DIGITS.index(digit)].append(log_p)
    log_p = np.array([_log_sum(listed) for listed in found])
    return log_p, bool(np.isfinite(log_p).all())


def expectation(log_p: np.ndarray) -> float:
    """Sum of k p_k over 1..6, with p the softmax over the digits only."""
    p = np.exp(log_p - log_p.max())
    return float(p @ np.arange(1, len(p) + 1) / p.sum())


def largest_error(log_p: np.ndarray) -> float:
    """How far hidden probability could move the expectation of listed digits.

    With mass m listed and 1 - m hidden on unlisted digits: at most their distance from
    the expectation, times (1 - m). If all six are listed, 0.
    """
    hidden = np.flatnonzero(np.isneginf(log_p)) + 1
    if not len(hidden):
        return 0.0
    rest = max(0.0, 1 - float(np.exp(log_p).sum()))
    return rest * float(np.abs(hidden - expectation(log_p)).max())


def written_number(
    pool: pd.DataFrame, judge: Judge, parse: Callable[[str], float | None]
) -> Scores:
    """The number that `parse` reads in each written reply; `unparsable` if None."""
    replies = judge.ask(pool.to_dict("records"), "text")
    score = np.full(len(replies), np.nan)
    status = np.array([reply.status for reply in replies], dtype=object)
    unread = []
    for i, reply in enumerate(replies):
        if reply.raw is None:
            continue
        value = parse(reply.raw["text"])
        if value is None:
            status[i] = "unparsable"
            unread.append(reply.raw["text"])
        else:
            score[i] = value
    _show(unread)
    return Scores(score, status)


def said(reply: str) -> str:
    """A reply without the thoughts before it; empty if they have no end.

    The template may have opened them, so that the reply has only their end.
    """
    *thoughts, rest = THOUGHT_ENDS.split(reply)
    return "" if not thoughts and THOUGHT_BEGINS.match(reply) else rest


def _log_sum(values: Sequence[float]) -> float:
    return float(np.logaddexp.reduce(values)) if len(values) else -np.inf


def _show(texts: list[str]) -> None:
    if texts:
        logger.warning("No number in %d replies, as in %.80r", len(texts), texts[0])
