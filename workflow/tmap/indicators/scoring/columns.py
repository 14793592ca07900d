"""Score a whole pool by one indicator, with the instrument that it needs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tmap import indicators
from tmap.artifacts import tables
from tmap.errors import TmapError
from tmap.store.shards import WHOLE, Share

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
    """The instrument of an indicator: nothing, a scorer, a judge, or other files.

    Scorers and judges keep their measurements in the store. They are imported by name, so
    that a column depends only on the code that it uses: a text column on no engine.

    Parameters
    ----------
    name : of the indicator
    card : its `settings.score_indicator`
    record : of the fetched model, if a model computes it
    columns : files of the tables that it is made from
    embeddings : file of the vectors that it reads, if any
    gradients : files for `tmap.gradients.similarity.read`, if it looks at gradients
    share : the share that this job measures
    """
    about = indicators.get(name)
    if about.looks_at == "gradients":
        # By name, so that other columns do not depend on the code for gradients.
        return import_module("tmap.gradients.similarity").read(gradients)
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
    losses, store = (
        import_module("tmap.indicators.scoring.losses"),
        import_module("tmap.store.measurements"),
    )
    how = {"prompt": card["prompt"], "engine": card["engine"], "share": share}
    if embeddings:
        how["embeddings"] = import_module("tmap.embeddings.embed").read(embeddings)
    return losses.load(record, open_store=store.Store, **how)


def _tokenizer(record: dict[str, Any]) -> Any:
    return import_module("tmap.engines.weights").load_tokenizer(record)


def _columns(
    about: indicators.Indicator, files: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Tables 'indicator' by the name in their metadata."""
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
        f"Indicator '{name}' needs a language model, but none was given. "
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
    lm : its instrument; None for an indicator that looks only at text
    options : of the indicator, by name

    Returns
    -------
    table 'indicator'; `attrs["notes"]` are the indicator's notes on the whole column
    """
    return _table(name, [_part(pool, name, lm, options)])


def score_table(
    pool: str | Path, name: str, lm: Any, options: dict[str, Any]
) -> pd.DataFrame:
    """As `score`, for a pool on disk; indicators of single rows see it in parts.

    A model's measurements are first noted for all parts, then computed in the order of an
    undivided pool, which gives the same bits. Then the parts are scored from the store.
    """
    about = indicators.get(name)
    if not _in_parts(about, lm):
        needed = ["sample_id"] if about.looks_at == "columns" else None
        return score(tables.read("pool", pool, needed), name, lm, options)
    kept = getattr(lm, "kept", None)
    if kept is not None:
        kept.note()
    parts = list(_parts(pool, name, lm, options))
    if kept is not None and kept.measure_noted():
        parts = list(_parts(pool, name, lm, options))
    return _table(name, parts)


def measure_table(
    pool: str | Path, name: str, lm: Any, options: dict[str, Any]
) -> None:
    """Measure and store this job's share of what `score_table` needs.

    Rows that the job does not measure get no score, and the scores are not used.
    """
    about = indicators.get(name)
    if not _in_parts(about, lm) or lm.kept is None:
        about(tables.read("pool", pool), lm, **options)
        return
    lm.kept.note()
    for _ in _parts(pool, name, lm, options):
        pass
    lm.kept.measure_noted()


def _in_parts(about: indicators.Indicator, lm: Any) -> bool:
    """Whether the scores of rows do not depend on the other rows."""
    return about.scope == "row" and (
        about.looks_at == "text" or getattr(lm, "in_parts", False)
    )


class _Part(NamedTuple):
    sample_id: pd.Series
    scores: indicators.Scores


def _parts(
    pool: str | Path, name: str, lm: Any, options: dict[str, Any]
) -> Iterator[_Part]:
    kept = getattr(lm, "kept", None)
    for rows in tables.batches("pool", pool):
        if kept is not None:
            kept.next_part()
        yield _part(rows, name, lm, options)


def _part(pool: pd.DataFrame, name: str, lm: Any, options: dict[str, Any]) -> _Part:
    about = indicators.get(name)
    if about.looks_at in ("proxy", "target") and lm is None:
        raise _without_model(name)
    scores = about.part(pool, lm, **options)
    if not np.array_equal(np.isfinite(scores.score), scores.status == "ok"):
        raise ValueError(f"{name} must be finite where its status is ok, else NaN")
    return _Part(pool["sample_id"], scores)


def _table(name: str, parts: Sequence[_Part]) -> pd.DataFrame:
    """Table 'indicator' with all parts."""
    found = [part.scores for part in parts]
    notes = found[0].notes
    if len(found) > 1:  # the notes are then numbers of samples
        notes = {
            key: np.concatenate([one.notes[key] for one in found]) for key in notes
        }
    score = np.concatenate([one.score for one in found])
    status = np.concatenate([one.status for one in found])
    whole = indicators.get(name).noted(indicators.Scores(score, status, notes))
    ids = pd.concat([part.sample_id for part in parts], ignore_index=True)
    frame = pd.DataFrame(
        {"sample_id": ids.to_numpy(), "score": whole.score, "status": whole.status}
    )
    frame.attrs["notes"] = dict(whole.notes)
    _warn_unscored(name, frame)
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
    """Number of rows of table 'indicator' by status, without the scored ones."""
    status = frame.loc[frame["status"] != "ok", "status"]
    return {str(k): int(n) for k, n in status.value_counts().sort_index().items()}
