"""How a sentence-transformers folder pools, cuts and prepares texts: its own settings.

Such a folder lists its steps in `modules.json`: a transformer, a pooling, and often a
normalisation, which changes no cosine. Other steps, such as a dense layer, are refused,
because vectors without them would not be the model's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tmap.errors import TmapError

if TYPE_CHECKING:
    from tmap.embeddings.embed import Pooling

#: Ours by the names of sentence-transformers: its newer key, then its older flags.
POOLINGS: dict[str, Pooling] = {
    "cls": "first",
    "mean": "mean",
    "lasttoken": "last",
    "pooling_mode_cls_token": "first",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
}


class Own(NamedTuple):
    """The settings of a sentence-transformers folder.

    Attributes
    ----------
    pooling : first | last | mean
    max_tokens : most tokens of a text, with the special ones; None: as many as the model
    lower : texts are put in lower case
    prompt : text before every text
    """

    pooling: Pooling
    max_tokens: int | None
    lower: bool
    prompt: str


def read(folder: str, place: str) -> Own:
    """The settings that make a folder's vectors its own.

    Parameters
    ----------
    folder : of a fetched model
    place : its name in messages

    Raises
    ------
    TmapError
        The folder is not of sentence-transformers, or has a step that tmap does not know.
    """
    room = Path(folder)
    steps = _json(room / "modules.json", place)
    if not isinstance(steps, list):
        raise TmapError(
            f"pooling: own takes the pooling from modules.json, and '{place}' has none: it "
            "is not a sentence-transformers model. Set `pooling:` to first, last or mean."
        )
    kinds = {str(step.get("type", "")).rpartition(".")[2]: step for step in steps}
    others = sorted(set(kinds) - {"Transformer", "Pooling", "Normalize"})
    if others or "Pooling" not in kinds:
        raise TmapError(
            f"'{place}' makes its vectors with {', '.join(others) or 'no pooling'}, and "
            "tmap knows Transformer, Pooling and Normalize. Name another encoder, or set "
            "`pooling:` to first, last or mean, which gives vectors of its transformer."
        )
    how = (
        _json(room / str(kinds["Pooling"].get("path", "")) / "config.json", place) or {}
    )
    about = _json(room / "sentence_bert_config.json", place) or {}
    prompts = _json(room / "config_sentence_transformers.json", place) or {}
    return Own(
        _pooling(how, place),
        about.get("max_seq_length"),
        bool(about.get("do_lower_case")),
        _prompt(prompts, how, place),
    )


def _pooling(how: dict[str, Any], place: str) -> Pooling:
    stated = how.get("pooling_mode")
    modes = (
        [stated]
        if isinstance(stated, str)
        else [
            key
            for key, on in how.items()
            if key.startswith("pooling_mode") and on is True
        ]
    )
    if len(modes) == 1 and modes[0] in POOLINGS:
        return POOLINGS[modes[0]]
    raise TmapError(
        f"'{place}' pools by {', '.join(map(str, modes)) or 'nothing'}, and tmap knows the "
        "first token, the last, or the mean, one of them. Name another encoder, or set "
        "`pooling:` to first, last or mean."
    )


def _prompt(prompts: dict[str, Any], how: dict[str, Any], place: str) -> str:
    named = (prompts.get("prompts") or {}).get(prompts.get("default_prompt_name"))
    if named and how.get("include_prompt") is False:
        raise TmapError(
            f"'{place}' leaves its prompt out of the pooling, which tmap does not. Name "
            "another encoder, or set `pooling:` to first, last or mean."
        )
    return str(named or "")


def _json(path: Path, place: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as fault:
        raise TmapError(
            f"'{place}/{path.name}' is not valid JSON ({fault}). Copy or download the "
            "folder again."
        ) from None
