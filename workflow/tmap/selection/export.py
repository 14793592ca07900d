"""Write a chosen subset as files for people and trainers, with a data card.

A separate rule makes these files, so that a change of their format retrains nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pandas as pd

from tmap.artifacts.secrets import hide, public_address
from tmap.prompts.conversation import has_turns, turns_of

ALPACA, MESSAGES = "subset.jsonl", "subset.messages.jsonl"

CARD = """\
---
{about}
---

# {name}

{chosen} samples, best first, chosen from {total} for dataset card `{dataset}` and model
card `{model}`. Another task or model may need other samples.

| | |
|---|---|
| source | {source}, revision {revision} |
| licence | {licence} (of the source, as the dataset card states it) |
| method | `{method}`: {how} |
| share of the pool | {fraction} |
| seed | {seed} |
| code | {code} |

## Weights

{weights}

## Files

| file | content |
|---|---|
| `{alpaca}` | Alpaca form: instruction, input, output; of chats system, history, weights |
| `{messages}` | the same samples as messages, role and content: what `tmap` trains on |
| `dataset_info.json` | LLaMA-Factory: `dataset_dir:` this folder, `dataset: {name}` |
| `subset.parquet` | `sample_id`, rank, score, and the contribution of each indicator |

`id` in both files is `sample_id` in `subset.parquet` and in
`results/{dataset}/pool.parquet`, which has the texts and their hashes (for a method with
rounds, see `chosen.parquet` next to this file).
"""
#: Licences by the hub's own names; any other is `other` there, with its text.
LICENCES = (
    "apache-2.0 mit unknown cc0-1.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 "
    "cc-by-nc-4.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-nc-nd-4.0 odc-by odbl pddl "
    "bsd-2-clause bsd-3-clause gpl-3.0 lgpl-3.0 agpl-3.0 mpl-2.0 openrail llama2 llama3 "
    "gemma"
).split()
#: The hub's classes of size: rows below which each ends.
CLASSES = {"n<1K": 1e3, "1K<n<10K": 1e4, "10K<n<100K": 1e5, "100K<n<1M": 1e6}
HOW = {
    "random": "drawn at random",
    "oracle": "rows that are known to be clean first",
    "uniform": "highest sum of its indicators ({normalise}), all with the same weight",
    "learned": "highest weighted sum of its indicators ({normalise}), weights searched "
    "with few-shot accuracy as the reward",
    "product": "highest product of its indicators ({normalise})",
    "value": "highest value, which trees predict from its indicators ({normalise}) after "
    "few-shot answers to groups of rows",
    "drawn": "highest weighted sum of its indicators ({normalise}), weights drawn at "
    "random",
    "best_single": "highest by the one indicator ({normalise}) with the best few-shot "
    "accuracy",
    "consensus": "highest weighted sum of its indicators ({normalise}), weights searched "
    "with the mean few-shot accuracy of several models as the reward",
    "fixed": "highest weighted sum of its indicators ({normalise}), with the weights of "
    "its card",
}


def in_order(pool: pd.DataFrame, subset: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of table 'pool' that table 'subset' names, best first."""
    texts = pool.set_index("sample_id").loc[subset["sample_id"]].reset_index()
    return texts.to_dict("records")


def with_chats(rows: list[dict[str, Any]]) -> bool:
    """Whether any row is a chat of several turns."""
    return any(map(has_turns, rows))


def alpaca_lines(rows: list[dict[str, Any]]) -> str:
    """Alpaca form, one JSON object per line.

    For a chat of several turns, instruction and output are the last exchange and
    `history` contains those before it. If the loss leaves out some answer, `weights` has 1
    or 0 for each. All lines have the same keys.
    """
    chats = with_chats(rows)
    weighed = not all(turn.counts for row in rows for turn in turns_of(row))
    return _lines(_alpaca(row, chats, weighed) for row in rows)


def message_lines(rows: list[dict[str, Any]]) -> str:
    """Messages form: {id, messages: [{role, content}, ...]} per line.

    An answer that the loss does not count has `weight: 0`, too.
    """
    return _lines(
        {
            "id": row["sample_id"],
            "messages": [
                {"role": turn.role, "content": turn.content}
                | ({} if turn.counts else {"weight": 0})
                for turn in turns_of(row)
            ],
        }
        for row in rows
    )


def dataset_info(name: str, chats: bool) -> dict[str, Any]:
    """The entries for both files in LLaMA-Factory's dataset_info.json.

    Parameters
    ----------
    name : of the Alpaca form; the other is called `name`_messages
    chats : whether its lines have system and history
    """
    columns = {"prompt": "instruction", "query": "input", "response": "output"}
    if chats:
        columns |= {"system": "system", "history": "history"}
    tags = {"role_tag": "role", "content_tag": "content"}
    tags |= {f"{role}_tag": role for role in ("user", "assistant", "system")}
    return {
        name: {"file_name": ALPACA, "columns": columns},
        f"{name}_messages": {
            "file_name": MESSAGES,
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": tags,
        },
    }


def card(
    names: dict[str, str],
    how: dict[str, Any],
    pool: dict[str, Any],
    subset: dict[str, Any],
    learned: dict[str, Any] | None,
) -> str:
    """The data card, as Markdown.

    Parameters
    ----------
    names : dataset, model and method
    how : settings of `export_subset`: weights and normalise
    pool, subset : metadata of both tables
    learned : content of weights.json, for learned weights
    """
    kind = how["weights"] if isinstance(how["weights"], str) else "fixed"
    seed = f"{subset['seed']}, of the {'search' if learned else 'draw'}"
    return CARD.format(
        **names,
        about=_about(title(seed=subset["seed"], **names), pool, subset),
        name=title(seed=subset["seed"], **names),
        chosen=f"{subset['rows']['total']:,}",
        total=f"{pool.get('n_candidates', pool['rows']['total']):,}",
        source=_cell(public_address(pool["source"])),
        revision=_cell(pool["revision"] or "unknown (a local file)"),
        licence=_cell(hide(pool["licence"])),
        how=HOW[kind].format(normalise=how["normalise"]),
        fraction=f"{subset['fraction']:.0%}",
        seed=seed
        if learned or kind in ("random", "drawn")
        else "none: nothing is drawn",
        code=f"{subset['code']} (fingerprint)",
        weights=_weights(subset, learned),
        alpaca=ALPACA,
        messages=MESSAGES,
    )


def _about(name: str, pool: dict[str, Any], subset: dict[str, Any]) -> str:
    """What the hub reads about the dataset, as YAML: licence, size, how to show it."""
    from huggingface_hub import DatasetCardData

    licence = hide(pool["licence"])
    known = "-".join(licence.lower().split())
    about: dict[str, Any] = {"license": known}
    if known not in LICENCES:
        about = {"license": "other", "license_name": " ".join(licence.split())}
    n = subset["rows"]["total"]
    files = {"default": ALPACA, "messages": MESSAGES, "scores": "subset.parquet"}
    data = DatasetCardData(
        pretty_name=name,
        size_categories=next((c for c, end in CLASSES.items() if n < end), "n>1M"),
        task_categories="text-generation",
        tags=["instruction-tuning", "data-selection", "tmap"],
        configs=[{"config_name": c, "data_files": file} for c, file in files.items()],
        **about,
    )
    return str(data.to_yaml()).rstrip("\n")


def title(dataset: str, model: str, method: str, seed: int) -> str:
    """The name of the exported subset: dataset_model_method_s0."""
    return f"{dataset}_{model}_{method}_s{seed}"


def _weights(subset: dict[str, Any], learned: dict[str, Any] | None) -> str:
    if subset["weights"] is None and subset["indicators"]:
        columns = ", ".join(subset["indicators"])
        lines = [f"None: trees give each row a value by {columns}."]
        lines += [f"\nWarning: {_cell(text)}" for text in subset["warnings"]]
        return "\n".join(lines)
    if subset["weights"] is None:
        return "None: no indicator was used."
    spread = ", 90 % interval" if learned else ""
    lines = [f"| indicator | weight | relative{spread} |", "|---|---|---|"]
    largest = max(map(abs, subset["weights"])) or 1.0
    bounds = (learned or {}).get("interval") or [None] * len(subset["weights"])
    for name, weight, bound in zip(
        subset["indicators"], subset["weights"], bounds, strict=True
    ):
        spread = f" [{bound[0]:.2f}, {bound[1]:.2f}]" if bound else ""
        lines.append(f"| {name} | {weight:.3f} | {weight / largest:.2f}{spread} |")
    if learned:
        lines += ["", "Correlated indicators trade weight: do not read single weights."]
    lines += [f"\nWarning: {_cell(text)}" for text in subset["warnings"]]
    return "\n".join(lines)


def _alpaca(row: dict[str, Any], chats: bool, weighed: bool) -> dict[str, Any]:
    told = {"id": row["sample_id"], "instruction": row["instruction"]}
    told |= {"input": row["input"], "output": row["response"]}
    if not chats:
        return told
    turns = turns_of(row)
    system = turns[0].content if turns[0].role == "system" else ""
    texts = [turn.content for turn in turns if turn.role != "system"]
    pairs = [list(pair) for pair in zip(texts[::2], texts[1::2], strict=True)]
    if has_turns(row):
        told["instruction"] = pairs[-1][0]
    told |= {"system": system, "history": pairs[:-1]}
    if weighed:
        told["weights"] = [int(t.counts) for t in turns if t.role == "assistant"]
    return told


def _lines(values: Iterable[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(value, ensure_ascii=False)}\n" for value in values)


def _cell(text: Any) -> str:
    """The text as one cell of a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")
