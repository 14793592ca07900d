"""The study of a real model on real data (docs/decisions/0018-real-study.md).

    python benchmarks/real_study.py prepare     # pools and questions, their truth aside
    make real-study                             # the workflow; resumes where it stopped
    python benchmarks/real_study.py report > benchmarks/results/real_study.json

`prepare` writes `.real/made/`. The truth about a row (is its answer right, where does it
come from) is in files that no card names: it judges selections and steers none. `leaks`
prints what the leak check dropped, as JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from tmap import cards, engines
from tmap.artifacts import tables
from tmap.artifacts.files import atomic
from tmap.data.overlap import words
from tmap.evaluation.evaluate import evaluate
from tmap.evaluation.marking import Marking
from tmap.prompts.renderer import Renderer

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ("addsub", "multiarith", "singleeq", "svamp")
#: Rows of the ARC pool by source, and rows of the arithmetic pool.
EASY, CHALLENGE, ASIDE, DISTILLED = 480, 200, 120, 700
#: Share of the ARC rows whose answer the model itself chose.
WEAK = 0.4
#: Questions of ARC-Easy, of which `reward_share` may be asked by a search.
QUESTIONS = 800
#: Earlier trials tested on the questions above this share of all ids' hashes, as
#: `reward_share` splits them. They are left out, so that nobody has seen an answer.
UNTOUCHED = 0.75
#: Registered names: every draw depends on these and the id of a row only.
SEED = "tmap real study 1"


def drawn(frame: pd.DataFrame, n: int, what: str) -> pd.DataFrame:
    """The n rows whose ids have the smallest hashes, in that order."""
    keys = [
        hashlib.sha256(f"{SEED}:{what}:{i}".encode()).hexdigest() for i in frame["id"]
    ]
    return frame.assign(key=keys).sort_values("key").head(n).drop(columns="key")


def place(question_id: str) -> float:
    """Where `reward_share` puts a question, in [0, 1)."""
    digest = hashlib.sha256(question_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def unseen(data: Path) -> pd.DataFrame:
    """Questions of the four benchmarks that the distilled pool lacks, word for word."""
    pool = pd.read_parquet(data / "distilled_arithmetic.parquet")
    known = {tuple(words(text)) for text in pool["instruction"]}
    asked = [pd.read_parquet(data / f"{name}_test.parquet") for name in BENCHMARKS]
    all_four = pd.concat(asked, ignore_index=True)
    return all_four[[tuple(words(q)) not in known for q in all_four["question"]]]


def put(frame: pd.DataFrame, name: str) -> None:
    made = ROOT / ".real/made" / name
    with atomic(made) as temporary:
        frame.to_parquet(temporary, index=False)
    print(f"{made.relative_to(ROOT)}: {len(frame)} rows", file=sys.stderr)


def chosen(row: dict[str, Any], index: int) -> str:
    return str(list(row["choices"])[index])


def gold(row: dict[str, Any]) -> int:
    return list(row["labels"]).index(row["answerKey"])


def weak_labels(frame: pd.DataFrame, record: dict[str, Any]) -> list[int]:
    """The option that the model itself finds likeliest per character, for every row."""
    card = cards.load("models", "smollm2")
    lm = engines.load(record, card.engine)
    asked = pd.DataFrame(
        {
            "question_id": frame["id"],
            "question": frame["question"],
            "gold": [str(gold(row)) for row in frame.to_dict("records")],
            "choices": [list(choices) for choices in frame["choices"]],
        }
    )
    marking = Marking("option", "acc_norm", 8)
    found = evaluate(lm, Renderer(lm.tokenizer, card.prompt), asked, marking)
    return [int(text) for text in found["strict"]]


def prepare_arc(data: Path, challenge: Path, record: dict[str, Any]) -> None:
    """Pool, truth and questions of study 4a."""
    easy = drawn(pd.read_parquet(data / "arc_easy_train.parquet"), EASY, "easy")
    hard = drawn(pd.read_parquet(challenge), CHALLENGE, "challenge")
    arc = pd.concat([easy.assign(source="easy"), hard.assign(source="challenge")])
    weak = set(drawn(arc, round(WEAK * len(arc)), "weak")["id"])
    labelled = arc[arc["id"].isin(weak)]
    labels = dict(zip(labelled["id"], weak_labels(labelled, record), strict=True))
    rows = []
    for row in arc.to_dict("records"):
        index = labels.get(row["id"], gold(row))
        text = {"instruction": row["question"], "response": chosen(row, index)}
        truth = {"source": row["source"], "is_weak": row["id"] in labels}
        rows.append({"id": row["id"], **text, **truth, "is_clean": index == gold(row)})
    aside = drawn(
        pd.read_parquet(data / "distilled_arithmetic.parquet"), ASIDE, "aside"
    )
    for row in aside.to_dict("records"):
        text = {"instruction": row["instruction"], "response": row["output"]}
        truth = {"source": "off_task", "is_weak": False, "is_clean": False}
        rows.append({"id": row["id"], **text, **truth})
    pool = drawn(pd.DataFrame(rows), len(rows), "order")
    put(pool[["id", "instruction", "response"]], "arc_pool.parquet")
    put(pool[["id", "source", "is_weak", "is_clean"]], "arc_truth.parquet")
    test = pd.read_parquet(data / "arc_easy_test.parquet")
    test = test[[place(name) < UNTOUCHED for name in test["id"]]]
    put(drawn(test, QUESTIONS, "questions"), "arc_questions.parquet")


def prepare_arithmetic(data: Path) -> None:
    """Pool, truth and questions of study 4b."""
    every = pd.read_parquet(data / "distilled_arithmetic.parquet")
    pool = drawn(every, DISTILLED, "distilled").rename(columns={"output": "response"})
    put(pool[["id", "instruction", "response"]], "arithmetic_pool.parquet")
    truth = pool[["id"]].assign(is_clean=pool["is_right"])
    put(truth, "arithmetic_truth.parquet")
    put(unseen(data), "arithmetic_questions.parquet")


def leaks() -> dict[str, Any]:
    """What the leak check dropped of the distilled pool, by question files."""
    found: dict[str, Any] = {}
    for name in ("distilled_all", "distilled_unseen"):
        rejected = tables.read(
            "pool_rejected", ROOT / f"results/{name}/pool.rejected.parquet"
        )
        kept = tables.read("pool", ROOT / f"results/{name}/pool.parquet")
        reasons = rejected["reason"].value_counts().to_dict()
        found[name] = {"kept": len(kept), "rejected": reasons}
    return found


def report() -> dict[str, Any]:
    """Accuracy, verdict and clean share of every method of both studies."""
    found: dict[str, Any] = {}
    for dataset, part in (
        ("arc_easy_noisy", "arc"),
        ("distilled_arithmetic", "arithmetic"),
    ):
        room = ROOT / f"results/{dataset}/smollm2"
        truth = pd.read_parquet(ROOT / f".real/made/{part}_truth.parquet").set_index(
            "id"
        )
        shares = {}
        for path in sorted(room.glob("*/s*/subset.parquet")):
            ids = tables.read("subset", path)["sample_id"]
            method = f"{path.parent.parent.name}/{path.parent.name}"
            shares[method] = round(float(truth["is_clean"].loc[ids].mean()), 4)
        metrics = json.loads((room / "metrics.json").read_text(encoding="utf-8"))
        found[dataset] = {
            "clean_share_of_pool": round(float(truth["is_clean"].mean()), 4),
            "clean_share": shares,
            "metrics": metrics,
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=["prepare", "leaks", "report"])
    parser.add_argument("--data", type=Path, default=ROOT / ".real/data")
    parser.add_argument("--challenge", type=Path, help="arc_challenge_train.parquet")
    parser.add_argument(
        "--record", type=Path, default=ROOT / "results/models/smollm2.json"
    )
    given = parser.parse_args()
    if given.step != "prepare":
        print(json.dumps(leaks() if given.step == "leaks" else report(), indent=2))
        return
    cards.use_folders([str(ROOT / "config/real")])
    prepare_arithmetic(given.data)
    challenge = (
        given.challenge or given.data.resolve().parent / "arc_challenge_train.parquet"
    )
    record = json.loads(given.record.read_text(encoding="utf-8"))
    prepare_arc(given.data, challenge, record)


if __name__ == "__main__":
    main()
