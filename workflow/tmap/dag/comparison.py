"""Files that metrics.json is made from."""

from __future__ import annotations

from collections.abc import Sequence

from tmap.dag.certificate import certified
from tmap.dag.search import search_files
from tmap.dag.training import arm_files


def measured(
    dataset: str,
    model: str,
    methods: list[str],
    n_seeds: int,
    certify: Sequence[str] = (),
) -> list[str]:
    """Every file of arms and searches that a results table is made from.

    Parameters
    ----------
    certify : methods whose first search's certificate is read too
    """
    arms = ("predictions.parquet", "train.json")
    searches = ("weights.json", "trace.parquet")
    return [
        *(f for n in arms for f in arm_files(dataset, model, methods, n_seeds, n)),
        *(
            f
            for n in searches
            for f in search_files(dataset, model, methods, n_seeds, n)
        ),
        *(
            f"results/{dataset}/{model}/{method}/s0/certificate.json"
            for method in certified(methods, certify)
        ),
    ]
