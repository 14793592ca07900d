"""A method card: one row of a results table."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tmap.cards.base import Name, NameOrNothing, Section, Seed, Weight, no_twice
from tmap.cards.dataset import EstimatorName

#: Kinds of weights that a search with one model finds, and all that weigh columns.
SEARCHED = ("learned", "best_single")
#: Fewest groups that a line is fitted to.
FEWEST_GROUPS = 8
WEIGHING = ("uniform", "product", "drawn", *SEARCHED, "consensus")


class GroupsSection(Section):
    """Ask groups of rows and learn from every one of them (ours: explanation/groups.md).

    In place of a reward per weight vector, each answer after a group of rows is one
    observation; weights are fitted to all of them.
    """

    n_answers: int = Field(
        default=576,
        ge=40,
        le=10_000_000,
        description="answers that the search may ask for",
    )
    per_group: int = Field(
        default=1,
        ge=1,
        description="questions after each group; at equal answers more groups say more, "
        "at the price of a prompt of its own for each answer",
    )
    rounds: int = Field(
        default=4,
        ge=1,
        description="fits, of at least eight more groups each: the first after groups "
        "spread over the columns, later ones after groups that decide between the "
        "selections still possible",
    )
    stop_below: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="stop between rounds once the best selection is expected to gain "
        "less accuracy than this; 0 asks all answers",
    )

    @model_validator(mode="after")
    def _has_enough_groups(self) -> GroupsSection:
        if self.n_answers < FEWEST_GROUPS * self.per_group:
            raise ValueError(
                f"n_answers: {self.n_answers} is too few for {FEWEST_GROUPS} groups of "
                f"{self.per_group} questions; raise it to {FEWEST_GROUPS * self.per_group} "
                "or lower per_group"
            )
        return self


class SftSection(Section):
    """Short trainings on groups of rows (`probe: sft`)."""

    rows: int = Field(default=24, ge=2, le=100_000, description="of a group")
    epochs: float = Field(
        default=2.0, gt=0, le=1000, description="passes over the rows of a group"
    )
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="null: calibrated on worked answers to reward questions, from 1 to 30 "
        "times the model card's",
    )
    n_groups: int = Field(
        default=64,
        ge=FEWEST_GROUPS,
        le=1_000_000,
        description="trainings that the search may run, in place of n_answers; each "
        "answers the whole tiny set",
    )


class SearchSection(Section):
    """Bayesian optimisation of the weights (paper 3.5 and 4.3)."""

    n_initial: int = Field(
        default=5, ge=1, le=100_000, description="random points first (4.3)"
    )
    n_iterations: int = Field(
        default=200, ge=0, le=100_000, description="guided points (4.3)"
    )
    n_groups: int = Field(
        default=5, ge=1, le=100_000, description="m (4.3; Table 5 has no m=5)"
    )
    n_shots: int = Field(
        default=3, ge=1, le=100_000, description="n exemplars per group (4.3)"
    )
    exemplars: Literal["top", "spread"] = Field(
        default="top",
        description="top: the best m*n, dealt in turn (3.2 step 3); spread: over the "
        "ranks of D_sub",
    )
    confirm_top: int = Field(
        default=3, ge=1, description="candidates re-scored on the confirm set"
    )
    warm_start: bool | str = Field(
        default=False,
        description="true: start from this search's recorded evaluations if the replay "
        "differs; a path: try the best points of that trace.parquet first",
    )
    proposals: Literal["full", "fast"] = Field(
        default="full",
        description="full: as in gp_minimize; fast: fit the process without restarts and "
        "use one acquisition function (EI) instead of three, on fewer points",
    )
    racing: bool = Field(
        default=False,
        description="ask half of the groups first and stop if the point cannot win; such "
        "an iteration is flagged `raced` and never chosen; pays from n_groups: 5",
    )
    groups: GroupsSection | None = Field(
        default=None,
        description="ask groups of n_shots rows and fit weights to their answers, in "
        "place of a Gaussian process; n_initial, n_iterations, proposals, racing, batch "
        "and warm_start then mean nothing, and exemplars and n_groups are those of the "
        "confirmed rewards",
    )
    probe: Literal["icl", "icl_logprob", "sft", "auto"] = Field(
        default="icl",
        description="what a group of rows is measured by. icl: right answers with the "
        "rows as demonstrations; icl_logprob: the right answers' log-likelihood; sft: the "
        "same after a short training on the rows, without demonstrations; auto: the "
        "cheapest that reacts to the planted faults that training reacts to",
    )
    sft: SftSection = SftSection()
    batch: int = Field(
        default=1,
        ge=1,
        description="points proposed together, by constant liar; above 1 it finds less "
        "per evaluation, and pays if several are computed at once",
    )

    @model_validator(mode="after")
    def _one_by_one(self) -> SearchSection:
        if self.racing and self.batch > 1:
            raise ValueError("racing needs batch: 1; points proposed together all run")
        return self

    @model_validator(mode="after")
    def _groups_are_probed(self) -> SearchSection:
        if self.probe != "icl" and self.groups is None:
            raise ValueError(
                f"probe: {self.probe} goes with a search that asks groups; add "
                "`groups: {}` to `search:`"
            )
        return self


class FilterSection(Section):
    """Rows to drop from the ranking when the subset is taken; a search does not see it.

    The paper also filters after its weights are found (4.5). The subset keeps the size of
    the unfiltered method, unless too few rows are left.
    """

    below: dict[Name, float] = Field(
        default={},
        description="indicator -> limit: rows at or above it, or unscored, are dropped "
        "first (raw scores; a column that the method weighs), e.g. ifd: 1.0",
    )
    diversity: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="cosine similarity to a better kept row above which a row is "
        "dropped (DEITA: 0.9)",
    )
    encoder: NameOrNothing = Field(
        default="", description="diversity: model card; '': the target model"
    )
    pooling: Literal["first", "last", "mean", "own"] = Field(
        default="last",
        description="diversity: of hidden states; DEITA uses last; own: as the folder of "
        "a sentence-transformers model says",
    )


class RoundsSection(Section):
    """Generate candidates, select, train, and repeat (EvoSelect).

    The pool is what the generator wrote; `fraction:` refers to each round's candidates.
    """

    n: int = Field(default=2, ge=1, le=1000, description="rounds")
    generator: Name = Field(description="judge card with a form `candidate`")
    n_candidates: int = Field(
        default=1000, ge=1, le=100_000_000, description="requested per round"
    )
    n_shots: int = Field(
        default=3,
        ge=1,
        le=10_000,
        description="solved reward questions in each request",
    )
    seed: Seed = Field(default=0, description="of the draw of those questions")


class CertificateSection(Section):
    """How training checks a search's reward, for methods under `certify:`."""

    n_sentinels: int = Field(
        default=12, ge=12, le=10_000, description="selections trained on"
    )
    n_seeds: int = Field(default=2, ge=2, le=1000, description="trainings of each")
    safe: Name = Field(
        default="random",
        description="the method to recommend if the reward cannot be trusted; name it "
        "before you see results",
    )


class MethodCard(Section):
    """Keys of config/methods/NAME.yaml."""

    description: str = Field(default="", description="one line for readers")
    weights: (
        Literal[
            "none",
            "random",
            "uniform",
            "product",
            "drawn",
            "learned",
            "best_single",
            "consensus",
            "oracle",
        ]
        | dict[Name, Weight]
    ) = Field(
        description="none: no training (base); random: a random subset; uniform: all "
        "equal; product: the normalised columns multiplied; drawn: from the seed, "
        "uniform within `bounds:`; learned: searched; best_single: all on the one "
        "column with the best few-shot reward; consensus: searched with the mean reward "
        "of `models:`; oracle: rows known to be clean first (generated pools only); or "
        "{indicator: weight}"
    )
    weights_of: NameOrNothing = Field(
        default="",
        description="a searched method whose weights are used; no new search is run",
    )
    score: Literal["weights", "value"] = Field(
        default="weights",
        description="what ranks the rows: weights: the weighted sum of their columns; "
        "value: their value by trees that a group search fitted to the same answers",
    )
    models: list[Name] = Field(
        default=[], description="consensus: model cards whose rewards are averaged"
    )
    indicators: list[Name] = Field(default=[], description="columns that are weighed")
    normalise: Literal["minmax", "rank", "robust"] = Field(
        default="minmax", description="minmax is the paper's"
    )
    bounds: tuple[Weight, Weight] = Field(
        default=(0.0, 1.0), description="of every weight (paper 3.1)"
    )
    fraction: float | None = Field(
        default=None, gt=0, le=1, description="null: the dataset card decides"
    )
    vary_search_seed: bool = Field(
        default=False, description="one search per seed, not one for all seeds"
    )
    seeds: int | None = Field(
        default=None, ge=1, le=1000, description="trainings; null: the config decides"
    )
    estimator: EstimatorName | None = Field(
        default=None,
        description="of the reward; null: the dataset card's; full asks all questions",
    )
    n_anchors: int | None = Field(
        default=None,
        ge=2,
        le=1_000_000,
        description="S of the reward; null: the dataset card's",
    )
    search: SearchSection = SearchSection()
    filter: FilterSection = FilterSection()
    rounds: RoundsSection | None = Field(
        default=None, description="select from generated candidates, round after round"
    )
    certificate: CertificateSection = CertificateSection()
    explain_orders: int = Field(
        default=8,
        ge=2,
        le=10_000,
        description="orders of indicators that Shapley values are averaged over (all "
        "orders up to four indicators)",
    )

    @model_validator(mode="after")
    def _has_columns(self) -> MethodCard:
        needs = isinstance(self.weights, str) and self.weights in WEIGHING
        if needs and not self.indicators:
            raise ValueError(
                f"weights: {self.weights} needs `indicators:`, a list of column names"
            )
        if not needs and self.indicators:
            raise ValueError(f"`indicators:` needs weights: {', '.join(WEIGHING)}")
        if (self.weights == "consensus") != bool(self.models):
            raise ValueError(
                "`models:` and weights: consensus go together; name at least one model"
            )
        if self.models and self.search.racing:
            raise ValueError(
                "`search: racing:` works with one model only, because its groups say "
                "nothing about another's; leave it out with weights: consensus"
            )
        no_twice("models", self.models)
        no_twice("indicators", self.indicators)
        if isinstance(self.weights, dict) and not any(self.weights.values()):
            raise ValueError(
                "`weights:` needs at least one indicator with a weight other than 0, such "
                "as {output_length: 1.0}; for a random subset write weights: random"
            )
        if self.bounds[0] >= self.bounds[1]:
            raise ValueError(
                f"`bounds:` {list(self.bounds)} must be [low, high] with low < high"
            )
        return self

    @model_validator(mode="after")
    def _can_ask_groups(self) -> MethodCard:
        groups = self.search.groups
        if groups and self.weights != "learned":
            raise ValueError(
                "`search: groups:` goes with weights: learned; leave it out with "
                f"weights: {self.weights}"
            )
        if groups and self.bounds[0] > 0:
            raise ValueError(
                f"`search: groups:` fits weights from 0 or below, and `bounds:` begin at "
                f"{self.bounds[0]:g}; take [0, 1] or [-1, 1]"
            )
        if self.score == "value" and not groups:
            raise ValueError(
                "`score: value` needs a search that asks groups; add `search: {groups: {}}`"
            )
        return self

    @model_validator(mode="after")
    def _can_borrow(self) -> MethodCard:
        if self.weights_of and self.weights not in (*SEARCHED, "consensus"):
            raise ValueError(
                f"`weights_of:` needs weights: {', '.join(SEARCHED)}, consensus"
            )
        return self

    @model_validator(mode="after")
    def _can_filter(self) -> MethodCard:
        if self.weights == "none" and self.filter != FilterSection():
            raise ValueError("`filter:` needs a subset, and weights: none has none")
        foreign = set(self.filter.below) - set(self.indicator_names())
        if foreign:
            raise ValueError(
                f"`filter: below:` names {min(foreign)}, which the method does not "
                "weigh; add it to the columns (a weight of 0 is enough)"
            )
        return self

    @model_validator(mode="after")
    def _can_go_round(self) -> MethodCard:
        fixed = self.weights == "random" or isinstance(self.weights, dict)
        if self.rounds and (not fixed or self.filter != FilterSection()):
            raise ValueError(
                "`rounds:` needs weights: random or {indicator: weight}, and no `filter:`"
            )
        return self

    def searches(self) -> bool:
        """Whether it searches weights of its own, which other methods may use."""
        return self.weights in (*SEARCHED, "consensus") and not self.weights_of

    def differs(self, other: MethodCard) -> list[str]:
        """The keys that must be equal for two methods to share weights, and are not."""
        same = ("weights", "models", "indicators", "normalise")
        return [key for key in same if getattr(self, key) != getattr(other, key)]

    def indicator_names(self) -> list[str]:
        """Columns this method weighs, in order; none for base and random."""
        named = list(self.weights) if isinstance(self.weights, dict) else []
        return self.indicators or named
