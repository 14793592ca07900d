"""Scores of a whole pool, and the losses that model-based indicators are made from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tmap import indicators, tables
from tmap.cards.model import EngineSection, PromptSection
from tmap.errors import TmapError
from tmap.indicators import Scores
from tmap.prompts import Demo, Renderer
from tmap.samples import answer_of, question_of

if TYPE_CHECKING:
    from tmap.engines.base import LanguageModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scorer:
    """What a model-based indicator measures with.

    Attributes
    ----------
    lm : the engine
    renderer : the same that reward, fine-tuning and evaluation use
    max_positions : tokens that prompt and answer may have together; None: no limit
    embeddings : table 'embeddings' of the text that the indicator `embeds`, if any
    """

    lm: LanguageModel
    renderer: Renderer
    max_positions: int | None
    embeddings: pd.DataFrame | None = None


def load(
    record: dict[str, Any],
    *,
    prompt: PromptSection,
    engine: EngineSection,
    embeddings: pd.DataFrame | None = None,
) -> Scorer:
    """A scorer for a fetched model: its record and two sections of its card."""
    from tmap import engines

    lm = engines.load(record, engine)
    renderer = Renderer(lm.tokenizer, prompt)
    return Scorer(lm, renderer, record.get("max_positions"), embeddings)


def instrument(
    name: str,
    card: Mapping[str, Any],
    record: dict[str, Any] | None = None,
    columns: Sequence[str] = (),
    embeddings: str = "",
    gradients: Sequence[str] = (),
) -> Any:
    """What an indicator measures with: nothing, a scorer, a judge, or other files.

    Parameters
    ----------
    name : of the indicator
    card : `settings.score_indicator` of it
    record : of the fetched model, if one computes it
    columns : files of the tables that it is made from
    embeddings : file of the vectors that it reads, if any
    gradients : files of `gradient_features.read`, if it looks at gradients
    """
    about = indicators.get(name)
    if about.looks_at == "gradients":
        # By name: other columns do not depend on how gradients are read.
        return import_module("tmap.gradient_features").read(gradients)
    if about.looks_at == "columns":
        return _columns(about, columns)
    if about.looks_at == "judge":
        if card["judge"].model and not record:
            raise _without_model(name)
        # By name: only columns that a judge computes depend on how judges work.
        judges = import_module("tmap.judges")
        return judges.load(card["judge"], record, card.get("engine"))
    if record:
        # By name as well: columns that compare rows import it themselves.
        vectors = (
            import_module("tmap.embeddings").read(embeddings) if embeddings else None
        )
        return load(
            record, prompt=card["prompt"], engine=card["engine"], embeddings=vectors
        )
    return None


def _columns(
    about: indicators.Indicator, files: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Tables 'indicator' by the name that each says it has."""
    found = {tables.metadata(path)["indicator"]: path for path in files}
    if set(found) != set(about.made_from):
        raise TmapError(
            f"Indicator '{about.name}' is made from {' and '.join(about.made_from)}; "
            f"it was given {' and '.join(found) or 'none'}. "
            "Pass their tables: --columns 'A.parquet B.parquet'."
        )
    return {name: tables.read("indicator", path) for name, path in found.items()}


def _without_model(name: str) -> TmapError:
    return TmapError(
        f"Indicator '{name}' needs a language model and was given none. "
        "Pass --model-file results/models/MODEL.json."
    )


def score(
    pool: pd.DataFrame, name: str, lm: Any, options: dict[str, Any]
) -> pd.DataFrame:
    """Table 'indicator' of one pool; one warning if rows are left unscored.

    Parameters
    ----------
    pool : table 'pool'
    name : of the indicator
    lm : what it measures with; None for an indicator that looks at text only
    options : of the indicator, by name

    Returns
    -------
    table 'indicator'; `attrs["notes"]` is what the indicator says of the whole column
    """
    found = indicators.get(name)
    if found.looks_at in ("proxy", "target") and lm is None:
        raise _without_model(name)
    scores = found(pool, lm, **options)
    if not np.array_equal(np.isfinite(scores.score), scores.status == "ok"):
        raise ValueError(f"{name} must be finite where its status is ok, else NaN")
    frame = pd.DataFrame(
        {
            "sample_id": pool["sample_id"].to_numpy(),
            "score": scores.score,
            "status": scores.status,
        }
    )
    frame.attrs["notes"] = dict(scores.notes)
    _warn_unscored(name, frame)
    return frame


def score_table(
    pool: str | Path, name: str, lm: Any, options: dict[str, Any]
) -> pd.DataFrame:
    """As `score` of a pool on disk; measures of text see it in parts, not at once."""
    about = indicators.get(name)
    if (about.looks_at, about.scope) != ("text", "row"):
        return score(tables.read("pool", pool), name, lm, options)
    parts = [score(rows, name, None, options) for rows in tables.batches("pool", pool)]
    if len(parts) == 1:
        return parts[0]
    frame = pd.concat(parts, ignore_index=True)
    frame.attrs["notes"] = {}
    return frame


def _warn_unscored(name: str, frame: pd.DataFrame) -> None:
    unscored = frame[frame["status"] != "ok"]
    if unscored.empty:
        return
    first = unscored.iloc[0]
    logger.warning(
        "%s: %d of %d rows are unscored and NaN (%s; first: sample '%s', %s).",
        name,
        len(unscored),
        len(frame),
        ", ".join(f"{k} {n}" for k, n in counts(unscored).items()),
        first["sample_id"],
        first["status"],
    )


def counts(frame: pd.DataFrame) -> dict[str, int]:
    """Rows of table 'indicator' by status, without the scored ones."""
    status = frame.loc[frame["status"] != "ok", "status"]
    return {str(k): int(n) for k, n in status.value_counts().sort_index().items()}


def exchange_ids(
    pool: pd.DataFrame,
    renderer: Renderer,
    demos: Sequence[Sequence[Demo]] | None = None,
) -> tuple[list[list[int]], list[list[int]]]:
    """Prompt and answer of each row's first exchange as ids.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    renderer : of the model card
    demos : what each row's prompt shows first; None: nothing
    """
    rows = pool.to_dict("records")
    shown = [()] * len(rows) if demos is None else demos
    prompts = [
        renderer.render(question_of(row), its)
        for row, its in zip(rows, shown, strict=True)
    ]
    answers = [renderer.answer(answer_of(row)) for row in rows]
    return [[*prompt.prefix, *prompt.question] for prompt in prompts], answers


def mean_nll(
    pool: pd.DataFrame,
    scorer: Scorer,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    what: str,
) -> Scores:
    """Mean negative log-likelihood of each row's answer, per scored token.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    scorer : engine and renderer
    prompts, answers : ids of each row; after an empty prompt, the first token of the
        answer is not scored
    what : name for the log

    Returns
    -------
    (n_samples,) nats per token, and statuses: `empty` without a token to score,
    `truncated` if prompt and answer together do not fit the context, `failed` if the
    loss is not finite. The ids decide, not the order of the rows.
    """
    # Without a prompt the first token is context, not a prediction.
    n_scored = [len(a) - (not p) for p, a in zip(prompts, answers, strict=True)]
    lengths = [len(p) + len(a) for p, a in zip(prompts, answers, strict=True)]
    limit = scorer.max_positions or max(lengths, default=0)
    status = np.full(len(pool), "ok", dtype=object)
    status[np.array(lengths) > limit] = "truncated"
    status[np.array(n_scored) < 1] = "empty"
    ids = pool["sample_id"].tolist()
    todo = [i for i in range(len(pool)) if status[i] == "ok"]
    # One order for the engine, whatever the pool's: batches, and so bits, are the same.
    todo.sort(key=lambda i: (-lengths[i], ids[i]))
    logger.info("%s: measuring %d of %d rows", what, len(todo), len(pool))
    total, count = scorer.lm.answer_nll(
        [prompts[i] for i in todo], [answers[i] for i in todo]
    )
    loss = np.full(len(pool), np.nan)
    loss[todo] = total / count
    return finite(loss, status)


def finite(score: np.ndarray, status: np.ndarray) -> Scores:
    """Turn `ok` into `failed` where the score is not finite; NaN wherever not ok."""
    status = np.where((status == "ok") & ~np.isfinite(score), "failed", status)
    return Scores(np.where(status == "ok", score, np.nan), status)
