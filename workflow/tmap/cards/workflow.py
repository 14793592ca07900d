"""The workflow's own config: what `snakemake` builds if no target is named."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tmap.cards.base import FilledPath, Name, Section, no_twice


class KeepSection(Section):
    """Files to keep once an arm is measured; neither key changes a number."""

    checkpoints: bool = Field(
        default=False,
        description="of training; otherwise removed once the adapter is written",
    )
    adapters: bool = Field(
        default=True, description="LoRA weights; otherwise removed once evaluated"
    )


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
    certify: list[Name] = Field(
        default=[],
        description="searched methods whose proxy metrics.json must certify; each costs "
        "n_sentinels x n_seeds trainings",
    )
    cards: list[FilledPath] = Field(
        default=[], description="folders of your own cards; the last one wins"
    )
    keep: KeepSection = KeepSection()
    environment: Literal["cpu", "gpu"] = Field(
        default="cpu", description="envs/NAME.yaml, which --sdm conda builds"
    )

    @model_validator(mode="after")
    def _names_once(self) -> WorkflowConfig:
        no_twice("methods", self.methods)
        no_twice("certify", self.certify)
        return self
