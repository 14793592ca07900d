"""The base model's choices against a plain loop over options with transformers.

    python benchmarks/real_base.py --record results/models/smollm2.json \
        --source ../shared/data/real/arc_easy_test.parquet \
        --questions results/arc_easy/questions_test.parquet \
        --predictions results/arc_easy/smollm2/base/s0/t0/predictions.parquet

The loop knows nothing of tmap: the benchmark's own file, the tokenizer's chat template,
one forward pass per option in float32, the sum of the log-probabilities of the option's
tokens, divided by its characters (acc_norm). Prints JSON: both accuracies, and every
question where the choices differ, with the margin between the two options.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def load(record: dict[str, Any]) -> tuple[Any, Any]:
    """Model and tokenizer of a fetched model, in float32."""
    path = record["path"]
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(path)


@torch.inference_mode()
def likelihoods(
    model: Any, tokenizer: Any, question: str, options: list[str]
) -> list[float]:
    """Log-likelihood in nats of each option after the question."""
    turn = [{"role": "user", "content": question.strip()}]
    prompt = tokenizer.apply_chat_template(
        turn, add_generation_prompt=True, tokenize=False
    )
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    found = []
    for option in options:
        after = tokenizer(option.strip(), add_special_tokens=False)["input_ids"]
        scores = model(torch.tensor([before + after])).logits[0].float()
        logs = scores.log_softmax(-1)[len(before) - 1 : -1]
        found.append(float(logs.gather(1, torch.tensor(after)[:, None]).sum()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("record", "source", "questions", "predictions"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("--first", type=int, help="only so many questions")
    given = parser.parse_args()
    record = json.loads(given.record.read_text(encoding="utf-8"))
    model, tokenizer = load(record)
    asked = pd.read_parquet(given.questions).head(given.first)
    source = pd.read_parquet(given.source).set_index("id")
    ours = pd.read_parquet(given.predictions).set_index("question_id")
    right, same, apart = [], [], []
    for name in asked["question_id"]:
        row = source.loc[name]
        options = [str(choice) for choice in row["choices"]]
        sums = likelihoods(model, tokenizer, row["question"], options)
        each = [value / len(text) for value, text in zip(sums, options, strict=True)]
        choice = max(range(len(each)), key=each.__getitem__)
        right.append(choice == list(row["labels"]).index(row["answerKey"]))
        tmaps = options.index(ours.loc[name, "text"])  # tmap may ask in another order
        same.append(choice == tmaps)
        if choice != tmaps:
            margin = each[choice] - each[tmaps]
            apart.append(
                {"question": name, "loop": choice, "tmap": tmaps, "margin": margin}
            )
    theirs = float(ours.loc[asked["question_id"], "is_correct"].mean())
    accuracy = sum(right) / len(right)
    error = (accuracy * (1 - accuracy) / len(right)) ** 0.5
    report = {
        "model": record["source"],
        "revision": record["revision"],
        "questions": len(right),
        "accuracy_of_the_loop": round(accuracy, 4),
        "accuracy_of_tmap": round(theirs, 4),
        "standard_error": round(error, 4),
        "same_choice": sum(same),
        "different": apart,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
