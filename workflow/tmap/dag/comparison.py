"""Files that metrics.json and the page about it are made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from tmap.dag.certificate import certified
from tmap.dag.indicators import indicator_files
from tmap.dag.search import search_files, values_file
from tmap.dag.training import arm_files, arms, trains

METRICS, PAGE = "metrics.json", "report.html"


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


def shown(dataset: str, model: str, methods: list[str], n_seeds: int) -> list[str]:
    """Files that the page shows besides those of `measured`: subsets, columns, values."""
    found = []
    for method in filter(trains, methods):
        for s in sorted({s for s, _ in arms(method, n_seeds)}):
            found.append(f"results/{dataset}/{model}/{method}/s{s}/subset.parquet")
            found += values_file(dataset, model, method, str(s))
        found += indicator_files(dataset, model, method)
    return list(dict.fromkeys(found))


def with_pages(targets: Sequence[str]) -> list[str]:
    """The targets, and the page next to each metrics.json among them."""
    paths = map(PurePosixPath, targets)
    pages = [str(path.with_name(PAGE)) for path in paths if path.name == METRICS]
    return list(dict.fromkeys([*targets, *pages]))
