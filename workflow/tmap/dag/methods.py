"""Which methods search for weights, and with how many models."""

from __future__ import annotations

from tmap import cards
from tmap.cards.method import SEARCHED, MethodCard


def of_the_user() -> list[MethodCard]:
    """The method cards in the user's own folders."""
    return [cards.load("methods", name) for name in cards.names("methods", own=True)]


def searched(methods: list[str]) -> list[str]:
    """Those of `methods` that have a search of their own with one model."""
    return [m for m in methods if _own(m) in SEARCHED]


def asking_groups(methods: list[str]) -> list[str]:
    """Those of `methods` with a search of their own that asks groups of rows."""
    return [
        m
        for m in searched(methods)
        if cards.load("methods", m).search.groups is not None
    ]


def choosing_a_probe(methods: list[str]) -> list[str]:
    """Those that ask groups by the probe that proves best."""
    return [
        m
        for m in asking_groups(methods)
        if cards.load("methods", m).search.probe == "auto"
    ]


def asking_weights(methods: list[str]) -> list[str]:
    """Those of `methods` with a search of their own that asks weight vectors."""
    asking = asking_groups(methods)
    return [m for m in searched(methods) if m not in asking]


def agreed(methods: list[str]) -> list[str]:
    """Those of `methods` that have a search of their own with several models."""
    return [m for m in methods if _own(m) == "consensus"]


def _own(method: str) -> object:
    card = cards.load("methods", method)
    return None if card.weights_of else card.weights


def rounds_of(method: str) -> int:
    """How many rounds a method has; 0 if it selects from the dataset's pool."""
    how = cards.load("methods", method).rounds
    return how.n if how else 0
