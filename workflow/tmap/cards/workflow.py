"""The workflow's own config: what `snakemake` builds if no target is named."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tmap.cards.base import FilledPath, Name, Section, no_foreign, no_twice


class KeepSection(Section):
    """Files to keep once an arm is measured; neither key changes a number."""

    checkpoints: bool = Field(
        default=False,
        description="of training; otherwise removed once the adapter is written",
    )
    adapters: bool = Field(
        default=True, description="LoRA weights; otherwise removed once evaluated"
    )


Runs = Annotated[int, Field(ge=1, le=1000)]


class VerdictSection(Section):
    """Which claim comes first, and whether runs are added until it is decided.

    Write it before anything runs: a plan that follows from results proves nothing.
    """

    primary: list[Name] = Field(
        default=[],
        description="methods whose claim against random is tested first; []: the "
        "searched ones (learned, consensus) among `methods:`",
    )
    sequential: bool = Field(
        default=False,
        description="true: add runs of these methods and of random in steps until the "
        "claim is decided; `seeds:` then counts the runs of all other methods",
    )
    method: list[Runs] = Field(
        default=[3, 4, 5, 6], description="sequential: runs of a primary method by step"
    )
    random: list[Runs] = Field(
        default=[3, 4, 7, 10], description="sequential: runs of random by step"
    )
    spend: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        default=[0.2, 0.25, 0.25, 0.3],
        description="sequential: share of the 2.5 % error that each step spends",
    )

    @model_validator(mode="after")
    def _steps(self) -> VerdictSection:
        no_twice("verdict: primary", self.primary)
        if not len(self.method) == len(self.random) == len(self.spend) > 0:
            raise ValueError(
                "`method:`, `random:` and `spend:` need one value per step; they have "
                f"{len(self.method)}, {len(self.random)} and {len(self.spend)}"
            )
        if sum(self.spend) > 1 + 1e-9:
            raise ValueError(
                f"`spend:` adds up to {sum(self.spend):g}; the steps can spend 1 at most"
            )
        for key in ("method", "random"):
            runs = getattr(self, key)
            if any(a > b for a, b in pairwise(runs)):
                raise ValueError(f"`{key}:` must not fall from step to step: {runs}")
        if any(a == b for a, b in pairwise(zip(self.method, self.random, strict=True))):
            raise ValueError("each step must add runs of the method or of random")
        return self

    def looks(self) -> list[tuple[int, int, float]]:
        """Runs of a primary method, runs of random, and share of the error, by step.

        None without `sequential:`.
        """
        if not self.sequential:
            return []
        return list(zip(self.method, self.random, self.spend, strict=True))


class WorkflowConfig(Section):
    """Keys of config/config.yaml."""

    targets: list[FilledPath] = Field(
        default=[], description="what `snakemake` builds when no target is named"
    )
    methods: list[Name] = Field(
        default=["base", "random", "uniform", "tmap"],
        min_length=1,
        description="rows of every metrics.json; 'random' is the reference",
    )
    seeds: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="seeds per method; a verdict needs at least 3",
    )
    seeds_of: dict[Name, Annotated[int, Field(ge=1, le=1000)]] = Field(
        default={},
        description="runs of single methods in place of `seeds:`, as {random: 5}; every "
        "method is compared with random, so its runs help most",
    )
    verdict: VerdictSection = VerdictSection()
    certify: list[Name] = Field(
        default=[],
        description="searched methods whose proxy metrics.json must certify; each costs "
        "n_sentinels x n_seeds trainings",
    )
    cards: list[FilledPath] = Field(
        default=[], description="folders of your own cards; the last one wins"
    )
    keep: KeepSection = KeepSection()
    report_to: Literal["none", "trackio"] = Field(
        default="none",
        description="tracker that the losses of trainings are sent to, on this machine "
        "(pip install trackio; trackio show); changes no number",
    )
    environment: Literal["cpu", "gpu"] = Field(
        default="cpu", description="envs/NAME.yaml, which --sdm conda builds"
    )

    @model_validator(mode="after")
    def _names_once(self) -> WorkflowConfig:
        no_twice("methods", self.methods)
        no_twice("certify", self.certify)
        no_foreign("verdict: primary", self.verdict.primary, self.methods)
        return self
