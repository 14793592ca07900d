"""Which probes see wrong answers on a real model, and which columns know them.

    python benchmarks/real_probes.py prepare    # two pools, their truth and readings aside
    tmap run config/real/probes.yaml            # the searches; they resume
    python benchmarks/real_probes.py report > benchmarks/results/real_probes.json

SmolLM2 on ARC-Easy. In both pools, half of the answers are wrong: in `rule` a random wrong
option, in `model` the wrong option that the model itself finds likeliest. Both have the
same rows, questions and columns. One column rates an answer by the model's own probability
of it among the options: it sees random errors, and can not see its own. In `known`, the
rows are those of `rule`, and the rating is one that knows: right or wrong, with an error in
one row of ten. Which answers are wrong is in a file that no card names
(docs/decisions/0019-probes.md).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from real_study import ROOT, UNTOUCHED, chosen, drawn, gold, place, put
from scipy import stats
from sklearn.metrics import roc_auc_score

from tmap import cards, engines
from tmap.artifacts import tables
from tmap.artifacts.files import write_text
from tmap.cards.judge import FormSection
from tmap.evaluation.marking import Marking, option_ids
from tmap.judges import wire
from tmap.judges.forms import fill
from tmap.prompts.renderer import Renderer

#: Rows of a pool, half of them wrong, and questions, half of which a search may ask.
ROWS, QUESTIONS = 400, 300
KINDS = ("rule", "model")
METHODS = ("icl", "icl_logprob", "sft")


def readings(frame: pd.DataFrame, record: dict[str, Any]) -> list[np.ndarray]:
    """The model's probabilities of each row's options, by likelihood per character."""
    card = cards.load("models", "smollm2")
    lm = engines.load(record, card.engine)
    renderer, marking = (
        Renderer(lm.tokenizer, card.prompt),
        Marking("option", "acc_norm", 8),
    )
    found = []
    for row in frame.to_dict("records"):
        prompt = renderer.render(row["question"], [])
        options = option_ids(renderer, row, marking)
        asked = [[*prompt.prefix, *prompt.question]] * len(options)
        nll, _ = lm.answer_nll(asked, options)
        letters = np.array([len(text) for text in row["choices"]])
        weights = -nll * letters.mean() / letters
        weights = np.exp(weights - weights.max())
        found.append(weights / weights.sum())
    return found


def prepare(data: Path, record: dict[str, Any]) -> None:
    """Pools, truth, questions, and a recorded rating of every row."""
    rows = drawn(pd.read_parquet(data / "arc_easy_train.parquet"), ROWS, "probes")
    shares = readings(rows, record)
    wrong = set(drawn(rows, ROWS // 2, "wrong")["id"])
    form = cards.load("judges", "reading_rule").forms["quality"]
    rng = np.random.default_rng(0)
    for kind in KINDS:
        made, recorded = [], []
        for row, share in zip(rows.to_dict("records"), shares, strict=True):
            right = gold(row)
            others = [i for i in range(len(share)) if i != right]
            likeliest = max(others, key=lambda i: share[i])
            false = likeliest if kind == "model" else int(rng.choice(others))
            index = false if row["id"] in wrong else right
            text = {"instruction": row["question"], "response": chosen(row, index)}
            made.append({"id": row["id"], **text, "is_clean": index == right})
            # Its expected digit is 1 + 5 times the probability.
            p = float(np.clip(share[index], 1e-6, 1 - 1e-6))
            digits = [["1", np.log1p(-p)], ["6", np.log(p)]]
            digits += [[digit, -30.0] for digit in "2345"]
            recorded.append(recording(form, text, digits))
        frame = pd.DataFrame(made)
        put(frame[["id", "instruction", "response"]], f"probes_{kind}_pool.parquet")
        put(frame[["id", "is_clean"]], f"probes_{kind}_truth.parquet")
        put_replies(kind, recorded)
        if kind == "rule":
            judge(frame, rows, form)
    test = pd.read_parquet(data / "arc_easy_test.parquet")
    # Those that the study of a real model leaves out, so that it meets none of these.
    test = test[[place(name) >= UNTOUCHED for name in test["id"]]]
    put(drawn(test, QUESTIONS, "probes"), "probes_questions.parquet")


def judge(frame: pd.DataFrame, rows: pd.DataFrame, form: FormSection) -> None:
    """Ratings of 6 and 1 by a judge that takes one answer in ten for its opposite."""
    errs = set(drawn(rows, ROWS // 10, "judge errs")["id"])
    recorded = []
    for row in frame.to_dict("records"):
        says_right = row["is_clean"] != (row["id"] in errs)
        text = {key: row[key] for key in ("instruction", "response")}
        digit = "6" if says_right else "1"
        digits = [[d, 0.0 if d == digit else -30.0] for d in "123456"]
        recorded.append(recording(form, text, digits))
    put_replies("known", recorded)


def recording(
    form: FormSection, text: dict[str, str], digits: list[Any]
) -> dict[str, Any]:
    """A judge's request about a row, and its digits with their log-probabilities."""
    question = fill(form, {**text, "input": "", "turns": None})
    return {"request": wire.request(question, "chat"), "reply": {"tokens": digits}}


def put_replies(kind: str, recorded: list[dict[str, Any]]) -> None:
    """Write the replies of a judge where its card looks for them."""
    path = ROOT / f".real/made/probes_{kind}_readings.jsonl"
    write_text(path, "\n".join(map(json.dumps, recorded)))


def report() -> dict[str, Any]:
    """What each probe found in each pool, and what the truth says of it."""
    found: dict[str, Any] = {}
    for kind in (*KINDS, "known"):
        dataset = ROOT / f"results/arc_half_{kind}"
        rows = "rule" if kind == "known" else kind
        truth = pd.read_parquet(ROOT / f".real/made/probes_{rows}_truth.parquet")
        clean = truth.set_index("id")["is_clean"]
        found[kind] = {"columns": columns(dataset, clean)}
        for probe in METHODS if kind in KINDS else ("icl", "sft"):
            room = dataset / f"smollm2/probe_{probe}/s0"
            about = json.loads((room / "weights.json").read_text(encoding="utf-8"))
            ids = tables.read("subset", room / "subset.parquet")["sample_id"]
            times = pd.read_parquet(room / "timings.parquet")
            found[kind][probe] = {
                "clean_share": float(clean.loc[ids].mean()),
                "abstains": about["abstains"],
                "weights": about["weights"],
                "skill": (about.get("groups") or {}).get("r2"),
                "seconds": float(times["reward_seconds"].sum()),
                "reaction": reaction(room / "groups.parquet", clean),
            }
    probes = ROOT / "results/arc_half_rule/smollm2/probe_auto/s0/probes.json"
    found["planted"] = json.loads(probes.read_text(encoding="utf-8"))
    return found


def columns(dataset: Path, clean: pd.Series) -> dict[str, float]:
    """How well each column tells right answers from wrong ones: area under the curve."""
    found = {}
    for name in cards.load("methods", "probe_icl").indicators:
        (path,) = dataset.glob(f"**/indicators/{name}.parquet")
        scores = tables.read("indicator", path).set_index("sample_id")["score"].dropna()
        found[name] = float(roc_auc_score(clean.loc[scores.index], scores))
    return found


def reaction(path: Path, clean: pd.Series) -> dict[str, float]:
    """What a group was measured by, against its share of right answers."""
    groups = pd.read_parquet(path)
    share = [float(clean.loc[list(ids)].mean()) for ids in groups["sample_ids"]]
    found = stats.linregress(share, [float(np.mean(one)) for one in groups["answers"]])
    return {
        "n_groups": len(groups),
        "r": float(found.rvalue),
        "from_none_to_all": float(found.slope),
        "error": float(found.stderr),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=["prepare", "report"])
    parser.add_argument("--data", type=Path, default=ROOT / ".real/data")
    parser.add_argument(
        "--record", type=Path, default=ROOT / "results/models/smollm2.json"
    )
    given = parser.parse_args()
    cards.use_folders([str(ROOT / "config/real")])
    if given.step == "report":
        print(json.dumps(report(), indent=2))
        return
    prepare(given.data, json.loads(given.record.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
