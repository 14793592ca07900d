"""Files that an evaluation reads."""

from __future__ import annotations

from tmap.dag.training import trains


def adapter_files(
    name: str, dataset: str, model: str, method: str, seed: str, training_seed: str
) -> list[str]:
    """File `name` of the adapter that is measured; none for a method without training."""
    if not trains(method):
        return []
    room = f"results/{dataset}/{model}/{method}/s{seed}/t{training_seed}"
    return [f"{room}/adapter/{name}"]
