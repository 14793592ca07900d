"""Scores of a whole pool by one indicator, and what the indicator measures with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap import indicators, tables
from tmap.errors import TmapError
from tmap.shares import WHOLE, Share

logger = logging.getLogger(__name__)


def instrument(
    name: str,
    card: Mapping[str, Any],
    record: dict[str, Any] | None = None,
    columns: Sequence[str] = (),
    embeddings: str = "",
    gradients: Sequence[str] = (),
    share: Share = WHOLE,
) -> Any:
    """What an indicator measures with: nothing, a scorer, a judge, or other files.

    Scorers and judges keep what they measure in the store. They are imported by name, so
    that a column depends on the code of what it looks at only: text on no engine.

    Parameters
    ----------
    name : of the indicator
    card : `settings.score_indicator` of it
    record : of the fetched model, if one computes it
    columns : files of the tables that it is made from
    embeddings : file of the vectors that it reads, if any
    gradients : files of `gradient_features.read`, if it looks at gradients
    share : what this job measures of it
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
        judges = import_module("tmap.judges")
        return judges.load(card["judge"], record, card.get("engine"), share)
    if about.looks_at == "text":
        return _tokenizer(record) if record else None
    if not record:
        return None
    losses, store = import_module("tmap.losses"), import_module("tmap.store")
    how = {"prompt": card["prompt"], "engine": card["engine"], "share": share}
    if embeddings:
        how["embeddings"] = import_module("tmap.embeddings").read(embeddings)
    return losses.load(record, open_store=store.Store, **how)


def _tokenizer(record: dict[str, Any]) -> Any:
    return import_module("tmap.engines.weights").load_tokenizer(record)


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
    parts = [score(rows, name, lm, options) for rows in tables.batches("pool", pool)]
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
