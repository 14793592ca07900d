"""An experiment card: one table of results over several tasks, models and methods."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tmap.cards.base import Name, Section, no_foreign, no_twice

#: Kinds of tables -> the keys that each needs in addition to datasets and models.
NEEDS: dict[str, tuple[str, ...]] = {
    "accuracy": ("methods",),
    "weights": ("methods",),
    "cost": ("methods",),
    "overlap": ("methods",),
    "contributions": ("methods",),
    "curve": ("methods", "fractions"),
    "shots": ("methods", "shots"),
    "estimates": (),
}


class ExperimentCard(Section):
    """Keys of config/experiments/NAME.yaml; results/tables/NAME.parquet is its table."""

    # No other rule reads these keys: editing them re-runs this table only.
    description: str = Field(default="", description="title of the table")
    kind: Literal[
        "accuracy",
        "weights",
        "contributions",
        "cost",
        "overlap",
        "curve",
        "shots",
        "estimates",
    ] = Field(
        description="accuracy: methods by dataset and model; weights: learned ones by "
        "model; contributions: what each indicator adds to the reward; cost: seconds by "
        "stage; overlap: Jaccard index of methods' subsets; curve: accuracy by share of "
        "the pool; shots: the same rows as demonstrations and as training data; "
        "estimates: the untrained model's accuracy, estimated from few questions"
    )
    datasets: list[Name] = Field(min_length=1, description="dataset cards")
    models: list[Name] = Field(min_length=1, description="model cards")
    methods: list[Name] = Field(default=[], description="rows, in this order")
    seeds: int = Field(
        default=3, ge=1, le=1000, description="per method; a verdict needs 3"
    )
    primary: list[Name] = Field(
        default=[],
        description="accuracy: methods whose claim against random is tested first; []: "
        "the searched ones (learned, consensus) among `methods:`",
    )
    fractions: list[float] = Field(default=[], description="curve: M / N of each point")
    shots: list[Annotated[int, Field(ge=1, le=100_000)]] = Field(
        default=[], description="shots: numbers of rows that are shown and trained on"
    )
    labels: dict[Name, Name] = Field(
        default={}, description="names of datasets, models and methods in the table"
    )
    delta: tuple[Name, Name] | None = Field(
        default=None, description="accuracy: add a row, the first minus the second"
    )
    transpose: bool = Field(default=False, description="methods as columns")

    @model_validator(mode="after")
    def _is_whole(self) -> ExperimentCard:
        for key in NEEDS[self.kind]:
            if not getattr(self, key):
                raise ValueError(f"kind: {self.kind} needs `{key}:`, a list")
        if any(not 0 < fraction <= 1 for fraction in self.fractions):
            raise ValueError("`fractions:` must be above 0 and at most 1")
        for key in ("datasets", "models", "methods", "primary", "fractions", "shots"):
            no_twice(key, getattr(self, key))
        for key in ("datasets", "models", "methods"):
            no_twice("labels", map(self.label, getattr(self, key)))
        if self.delta and self.delta[0] == self.delta[1]:
            raise ValueError(
                f"`delta:` takes {self.delta[0]} from itself; name two methods"
            )
        no_foreign("primary", self.primary, self.methods)
        no_foreign("delta", self.delta or (), self.methods)
        return self

    def label(self, name: str) -> str:
        """The card's name in the table."""
        return self.labels.get(name, name)
