"""Functions for the rules: files, parameters, machines and methods, by chapter.

Rules write their own paths as literals; lists whose length depends on cards are made here.
"""

from tmap.dag import (
    certificate,
    comparison,
    data,
    evaluation,
    experiments,
    gradients,
    groups,
    indicators,
    machines,
    methods,
    origin,
    params,
    rounds,
    search,
    selection,
    targets,
    tiny,
    training,
    variants,
)

__all__ = [
    "certificate",
    "comparison",
    "data",
    "evaluation",
    "experiments",
    "gradients",
    "groups",
    "indicators",
    "machines",
    "methods",
    "origin",
    "params",
    "rounds",
    "search",
    "selection",
    "targets",
    "tiny",
    "training",
    "variants",
]
