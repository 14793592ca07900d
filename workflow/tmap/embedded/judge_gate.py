"""Check whether a trained judge is good enough, and bad enough, for the embedded world.

It is asked through the library's own engine, with the prompts of its card. The gate
requires that every form is imperfect, that their combination is clearly better than each,
and that no replies are unreadable except those that were trained in.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from tmap.embedded import judge_ratings as ratings
from tmap.embedded.judge_ratings import Form
from tmap.engines.base import LanguageModel
from tmap.errors import TmapError
from tmap.indicators.reason_steps import reason_steps
from tmap.selection.features import normalised
from tmap.selection.ranking import scores

#: Most tokens of a reply for accuracy; the number is in the first line.
NEW_TOKENS = 6
ACCURACY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*")
#: Share of the pool that a selection takes.
FRACTION = 0.3
#: Columns that get weights, and the weights that are tried.
COLUMNS = ("quality", "accuracy", "complexity", "length", "steps")
GRID = (0.0, 0.25, 0.5, 0.75, 1.0)
#: Draws over which ties at the edge of a selection are averaged.
TIE_DRAWS = 20


class Limit(NamedTuple):
    """The limits of a measured number, and the reason."""

    low: float
    high: float
    why: str


LIMITS = {
    "auc_quality": Limit(0.70, 0.92, "a form alone must be useful but not enough"),
    "auc_accuracy": Limit(0.70, 0.92, "a form alone must be useful but not enough"),
    "auc_gain": Limit(0.03, 1.0, "quality + accuracy must beat both forms"),
    "clean_gain": Limit(0.10, 1.0, "the best weights must beat the best column"),
    "uniform_loss": Limit(0.05, 1.0, "equal weights must do worse than the best"),
    "parsable": Limit(0.98, 1.0, "replies must contain a rating"),
    "digit_mass": Limit(0.90, 1.0, "the first token must be a digit"),
    "sd_quality": Limit(0.5, 6.0, "quality must distinguish answers"),
    "complexity_steps": Limit(0.85, 1.0, "complexity must follow the steps"),
}


def ask(lm: LanguageModel, rows: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Raw scores of every form, NaN if a reply cannot be read.

    Parameters
    ----------
    lm : the judge
    rows : columns instruction, response

    Returns
    -------
    Columns quality and complexity (expectation over the digits 1..6) and accuracy
    (0..5, written), and the least total probability of the six digits.
    """
    found, mass = {}, []
    for form in ("quality", "complexity"):
        digits = [lm.tokenizer.convert_tokens_to_ids(str(d)) for d in range(1, 7)]
        log_p = lm.digit_logits(prompts(lm, form, rows), digits)
        share = np.exp(log_p)
        mass.append(share.sum(axis=1).min())
        found[form] = share @ np.arange(1, 7) / share.sum(axis=1)
    (written,) = lm.generate(
        [[]], prompts(lm, "accuracy", rows), max_new_tokens=NEW_TOKENS, stop=("\n",)
    )
    found["accuracy"] = np.array([read(lm.tokenizer.decode(ids)) for ids in written])
    return pd.DataFrame(found), float(min(mass))


def prompts(lm: LanguageModel, form: Form, rows: pd.DataFrame) -> list[list[int]]:
    """Token ids of a form's prompts, each after one BOS."""
    texts = [
        ratings.prompt(form, question, response)
        for question, response in zip(
            rows["instruction"], rows["response"], strict=True
        )
    ]
    ids = lm.tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[lm.tokenizer.bos_token_id, *row] for row in ids]


def read(text: str) -> float:
    """The number in the first line; NaN unless there is exactly one in 0..5."""
    found = ACCURACY.fullmatch(text.split("\n")[0])
    value = float(found[1]) if found else np.nan
    return value if value <= 5 else np.nan


def measure(lm: LanguageModel, rows: pd.DataFrame) -> dict[str, Any]:
    """All numbers of the gate for one pool.

    Parameters
    ----------
    lm : the judge
    rows : columns sample_id, instruction, input, response, turns, style, n_steps; style
        is the known fault and n_steps the equations that the question asks for
    """
    asked, mass = ask(lm, rows)
    asked["length"] = [
        len(ids) for ids in lm.tokenizer(list(rows["response"])).input_ids
    ]
    asked["steps"] = reason_steps(rows).score
    style = rows["style"].to_numpy()
    matrix = np.column_stack(
        [normalised(asked[c].to_numpy(), "minmax") for c in COLUMNS]
    )
    clean = style == "clean"
    both = matrix[:, 0] + matrix[:, 1]
    found: dict[str, Any] = {
        "parsable": float(asked["accuracy"].notna().mean()),
        "digit_mass": mass,
        "sd_quality": float(asked["quality"].std()),
        "complexity_steps": float(asked["complexity"].corr(rows["n_steps"])),
        "auc": {name: by_fault(asked[name].to_numpy(), style) for name in COLUMNS},
        "auc_both": auc(both[clean], both[~clean]),
        "base_share": float(clean.mean()),
        "clean_share": shares(matrix, clean),
        "top_faults": {
            name: top_styles(matrix[:, COLUMNS.index(name)], style)
            for name in ("quality", "accuracy")
        },
    }
    return found | _derived(found)


def _derived(found: Mapping[str, Any]) -> dict[str, float]:
    alone = {name: found["auc"][name]["all"] for name in ("quality", "accuracy")}
    share = found["clean_share"]
    best = max(share[name] for name in COLUMNS)
    return {
        "auc_quality": alone["quality"],
        "auc_accuracy": alone["accuracy"],
        "auc_gain": found["auc_both"] - max(alone.values()),
        "clean_gain": share["best_weights"] - best,
        "uniform_loss": share["best_weights"] - share["uniform"],
    }


def check(measured: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a judge whose mean over the pools is outside a limit.

    Raises
    ------
    TmapError
    """
    faults = []
    for name, limit in LIMITS.items():
        value = float(np.mean([pool[name] for pool in measured]))
        if not limit.low <= value <= limit.high:
            faults.append(
                f"{name} is {value:.3f}, outside {limit.low} to {limit.high} ({limit.why})"
            )
    if faults:
        raise TmapError(
            f"The judge fails its acceptance check: {'; '.join(faults)}. Train longer "
            "(--steps), with another --seed, or from a better solver."
        )


def auc(high: np.ndarray, low: np.ndarray) -> float:
    """Probability that a value of `high` exceeds one of `low`; ties count half."""
    if not len(high) or not len(low):
        return float("nan")
    ranks = rankdata(np.concatenate([high, low]))
    n = len(high)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(low)))


def by_fault(values: np.ndarray, style: np.ndarray) -> dict[str, float]:
    """AUC of clean rows against all others and against each fault, without NaN rows."""
    known = ~np.isnan(values)
    clean = values[known & (style == "clean")]
    found = {"all": auc(clean, values[known & (style != "clean")])}
    for fault in sorted(set(style) - {"clean"}):
        found[fault] = auc(clean, values[known & (style == fault)])
    return {name: round(value, 4) for name, value in found.items()}


def shares(matrix: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """Share of clean rows in the top 30 %: each column, equal weights, best weights.

    The best weights are searched over a grid on one half of the rows and evaluated on the
    other, both ways, so that they are never evaluated on the rows they were fitted to.
    """
    found = {name: top_share(matrix[:, i], clean) for i, name in enumerate(COLUMNS)}
    found["uniform"] = top_share(scores(matrix, np.ones(len(COLUMNS))), clean)
    half = np.arange(len(matrix)) % 2 == 0
    counted = []
    for fitted in (half, ~half):
        best = best_weights(matrix[fitted], clean[fitted])
        counted.append(top_share(scores(matrix[~fitted], best), clean[~fitted]))
    found["best_weights"] = float(np.mean(counted))
    return {name: round(value, 4) for name, value in found.items()}


def best_weights(matrix: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """The first weights of GRID with the most clean rows in the top 30 %."""
    n = round(FRACTION * len(matrix))
    tried = np.array(list(itertools.product(GRID, repeat=matrix.shape[1])))
    order = np.argsort(-(matrix @ tried.T), axis=0, kind="stable")
    return tried[clean[order[:n]].sum(axis=0).argmax()]


def top_share(score: np.ndarray, clean: np.ndarray) -> float:
    """Clean share of the top 30 %, ties broken by chance, mean over draws."""
    return float(np.mean([clean[top].mean() for top in _tops(score)]))


def top_styles(score: np.ndarray, style: np.ndarray) -> dict[str, float]:
    """Share of each style in the top 30 %."""
    tops = _tops(score)
    return {
        name: round(float(np.mean([(style[top] == name).mean() for top in tops])), 4)
        for name in sorted(set(style))
    }


def _tops(score: np.ndarray) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    n = round(FRACTION * len(score))
    found = []
    for _ in range(TIE_DRAWS):
        chance = rng.permutation(len(score))
        found.append(np.lexsort((chance, -score))[:n])
    return found
