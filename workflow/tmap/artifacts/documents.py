"""The keys that readers of JSON artifacts rely on, with their types and meanings."""

from __future__ import annotations

from typing import Any

NUMBER = (int, float)

#: Kind of document -> key -> (types, meaning). Documents have more keys than these.
DOCUMENTS: dict[str, dict[str, tuple[Any, str]]] = {
    "model": {
        "model": (str, "the model card"),
        "revision": (str, "commit, or SHA-256 over a folder's files"),
    },
    "train": {
        "n_samples": (int, "rows trained on"),
        "n_tokens": (int, "tokens of one pass"),
        "warnings": (list, "sentences for people"),
        "steps": (int, "steps of the optimiser"),
    },
    "weights": {
        "indicators": (list, "the columns"),
        "weights": (list, "of each column"),
    },
    "probes": {
        "chosen": (str, "the probe that `auto` takes"),
        "reason": (str, "why, in a sentence"),
        "probes": (dict, "what each reacts to"),
    },
    "sentinels": {"sentinels": (list, "selections that the certificate trains on")},
    "certificate": {"verdict": (str, "trust, weak or abstain")},
    "explain": {
        "indicators": (list, "the columns"),
        "shapley": (list, "reward of each, averaged over orders"),
        "shapley_se": (list, "standard errors"),
        "leave_one_out": (list, "reward lost without each"),
        "n_pairs": (int, "sampled pairs of orders; 0: all"),
    },
    "metrics": {
        "dataset": (str, "the dataset card"),
        "model": (str, "the model card"),
        "n_questions": (int, "test questions"),
        "methods": (dict, "what each method reached"),
        "warnings": (list, "sentences for people"),
    },
}
