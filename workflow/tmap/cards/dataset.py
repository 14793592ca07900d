"""A dataset card: where pool, questions and history come from, and how to read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tmap.artifacts.secrets import learn_address, public_address
from tmap.cards.base import Filled, Name, NameOrNothing, PathText, Section, Seed


class Source(Section):
    """One table of rows: a local file, a hub dataset, or a URL with its checksum."""

    places: ClassVar[tuple[str, ...]] = ("path", "hub", "url")

    path: PathText | None = Field(
        default=None,
        description="local files, relative to the working directory: one .jsonl, .json, "
        ".parquet, .csv, .tsv or .arrow (text also with .gz, .zst, .bz2, .xz), a pattern "
        "of them such as data/*.parquet, a folder of them, or one of `save_to_disk`",
    )
    hub: NameOrNothing | None = Field(default=None, description="dataset id on the hub")
    url: PathText | None = Field(
        default=None, description="https URL of a file of that kind"
    )
    sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-fA-F]{64}$",
        description="checksum; required with url",
    )
    revision: Name = Field(default="main", description="hub revision")
    subset: Name | None = Field(default=None, description="hub configuration name")
    split: Name = Field(
        default="train",
        description="split of the hub's dataset or of a folder of `save_to_disk`; "
        "several are joined by +, as in a+b",
    )
    licence: str = Field(default="unknown", description="as the source states it")

    @field_validator("url")
    @classmethod
    def _hidden(cls, url: str | None) -> str | None:
        learn_address(url or "")
        return url

    @property
    def place(self) -> str:
        """Path, hub id or URL as it may be published: without user and query."""
        return str(self.path or self.hub or public_address(self.url or ""))

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        given = [k for k in self.places if getattr(self, k)]
        if len(given) != 1:
            raise ValueError(
                f"name exactly one of {', '.join(self.places[:-1])} or "
                f"{self.places[-1]}; there is {' and '.join(given) or 'none'}"
            )
        if self.url and not self.sha256:
            raise ValueError("a url needs its sha256, 64 hex digits (sha256sum FILE)")
        return self


class WorldSource(Source):
    """Rows from a file, or generated here from a world and a seed.

    The world names its columns and the questions of the reward. These are always the same,
    because the history is about them; the test questions depend on the seed.
    """

    places: ClassVar[tuple[str, ...]] = ("path", "hub", "url", "world")
    #: Columns of a world's rows, ours -> theirs; a card's `columns:` override them.
    world_columns: ClassVar[Mapping[str, str]] = {}

    world: Literal["arith"] | None = Field(
        default=None, description="generate the rows with workflow/tmap/worlds/NAME"
    )
    seed: Seed = Field(default=0, description="of a world's rows")

    @model_validator(mode="before")
    @classmethod
    def _knows_its_columns(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if not values.get("world"):
            if "seed" in values:
                raise ValueError("`seed:` needs `world:`, whose rows it draws")
            return values
        own = values.get("columns", {})
        if not isinstance(own, dict):
            return values
        return {**values, "columns": {**cls.world_columns, **own}}


#: Parts of a row that are different texts.
PARTS = (
    *("instruction", "input", "response", "system", "history", "messages"),
    *("question", "context", "gold"),
)


def _no_text_twice(columns: Mapping[Any, str]) -> None:
    """Refuse columns of which one is read as two parts, as question and as answer."""
    read_as: dict[str, str] = {}
    for part in PARTS:
        name = columns.get(part)
        if name in read_as:
            raise ValueError(
                f"`columns:` reads '{name}' as {read_as[name]} and as {part}, which are "
                "different texts; name another column for one of them"
            )
        if name is not None:
            read_as[name] = part


GoldIs = Literal["auto", "label", "text", "from_0", "from_1"]
GOLD_IS = (
    "what a gold of a question with options is: its label or letter, its text, or its "
    "position from 0 or from 1; auto: a label, else a text, else a letter, else the "
    "position as the file shows it: from 0 if a gold is 0, from 1 if one is the last"
)


class PoolSource(WorldSource):
    """Instruction data. `format: auto` decides by the column names."""

    world_columns: ClassVar[Mapping[str, str]] = {
        "id": "id",
        "instruction": "question",
        "response": "answer",
    }

    format: Literal[
        "auto", "alpaca", "messages", "sharegpt", "qa", "multiple_choice"
    ] = Field(
        default="auto",
        description="multiple_choice: questions with options, each turned into what the "
        "reader expects: question -> text of the right option, or, with reader: letter, "
        "question and options -> '(B)'",
    )
    columns: dict[
        Literal[
            "id",
            "instruction",
            "input",
            "response",
            "system",
            "history",
            "messages",
            "question",
            "context",
            "choices",
            "labels",
            "gold",
        ],
        Filled,
    ] = Field(
        default={},
        description="ours -> theirs; multiple_choice: as in questions.columns",
    )
    gold_is: GoldIs = Field(default="auto", description=GOLD_IS)
    ignore: list[str] = Field(
        default=[],
        description="columns, and keys of turns such as messages[].name, that are not "
        "wanted and count as absent; every other column that is not read is reported with "
        "the number of its rows",
    )

    @model_validator(mode="after")
    def _reads_or_ignores(self) -> PoolSource:
        named = {p.strip() for name in self.columns.values() for p in name.split(",")}
        both = named.union(self.columns.values()).intersection(self.ignore)
        if both:
            raise ValueError(
                f"`ignore:` and `columns:` both name '{min(both)}'; a column is read or "
                "not: remove it from one of them"
            )
        _no_text_twice(self.columns)
        return self


class QuestionSource(WorldSource):
    """Benchmark questions."""

    world_columns: ClassVar[Mapping[str, str]] = {
        "id": "id",
        "question": "question",
        "gold": "gold",
    }

    columns: dict[
        Literal[
            "id",
            "question",
            "context",
            "choices",
            "labels",
            "gold",
            "answer",
            "subtask",
        ],
        Filled,
    ] = Field(
        default={},
        description="ours -> theirs. context is put before the question. choices: a "
        "list, a list written as text, {text, label}, {A: text}, a list of {label, text}, "
        "or several columns 'A, B, C'. gold: the answer (what follows '####' if present), "
        "or for options what gold_is says. answer: a worked answer, if "
        "gold is not one; subtask: a part of the task (both are for gradients)",
    )
    gold_is: GoldIs = Field(default="auto", description=GOLD_IS)

    @model_validator(mode="after")
    def _reads_each_once(self) -> QuestionSource:
        _no_text_twice(self.columns)
        return self


class ResponseSource(Source):
    """The history that IRT learns from: which model answered which question correctly.

    `leaderboard_v1`: `path` is a folder with one folder or parquet file per subject, or
    `hub` is the account that has a dataset details_ORG__MODEL per name in `subjects`.
    """

    format: Literal["long", "wide", "leaderboard_v1"] = Field(
        default="long",
        description="long: one row per subject and question; wide: one row per subject, "
        "one column per question; leaderboard_v1: as above",
    )
    subject: Name = Field(
        default="subject_id", description="column of the model's name"
    )
    question: Name = Field(
        default="question_id", description="long: column of the question id"
    )
    correct: Name | None = Field(
        default=None,
        description="long: column of right or wrong (is_correct); leaderboard_v1: the "
        "metric (acc)",
    )
    subjects: list[Name] = Field(
        default=[], description="leaderboard_v1 on the hub: models, as ORG/MODEL"
    )
    item_pattern: Filled | None = Field(
        default=None,
        description="wide: column of the question in source row n, e.g. 'i{row:05d}'; "
        "without it columns are question ids",
    )
    exclude: list[Name] = Field(
        default=[],
        description="subjects to leave out (shell patterns, any case): the target "
        "models and their derivatives",
    )

    @model_validator(mode="after")
    def _names_subjects(self) -> ResponseSource:
        if (self.format == "leaderboard_v1" and self.hub is not None) != bool(
            self.subjects
        ):
            raise ValueError(
                "`subjects:` and format: leaderboard_v1 with hub: go together; it names "
                "the models to read"
            )
        return self


class IrtSection(Section):
    """The M-2PL fit (paper eq. 4)."""

    dimensions: list[Annotated[int, Field(ge=1, le=64)]] = Field(
        default=[1, 2, 3, 4, 5],
        min_length=1,
        description="candidates for D; held-out answers decide between them",
    )
    seed: Seed = Field(default=0, description="of the fit and the held-out answers")


EstimatorName = Literal[
    "auto",
    "gp_irt",
    "p_irt",
    "weighted_mean",
    "kmeans_mean",
    "stratified",
    "greedy_ridge",
    "full",
]


class TinySection(Section):
    """The tiny validation set (paper eq. 3, 5, 6)."""

    n_anchors: int = Field(
        default=100, ge=2, le=1_000_000, description="S (ours; paper is silent)"
    )
    n_confirm: int = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="size of the second set, disjoint from the first",
    )
    estimator: EstimatorName = Field(
        default="auto",
        description="how answers to the tiny set become an accuracy; auto: gp_irt where "
        "the model is within the history's range, else stratified; without a history "
        "weighted_mean; full asks all reward questions",
    )
    seed: Seed = Field(default=0, description="of the choice of questions")
    encoder: NameOrNothing = Field(
        default="",
        description="without a history: model card that embeds the questions; '': their "
        "words are counted (latent semantic analysis)",
    )
    pooling: Literal["first", "last", "mean", "own"] = Field(
        default="own",
        description="of the encoder; own: as the folder of a sentence-transformers model "
        "says",
    )


class GradientSection(Section):
    """Gradients that `less` and `evoselect` compare (arXiv:2402.04333)."""

    proxy: NameOrNothing = Field(
        default="", description="model card; '': the target model"
    )
    share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="share of the pool, drawn at random, that the proxy is warmed up on; "
        "0: no warm-up (LESS: 0.05)",
    )
    epochs: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="of the warm-up; a checkpoint after each (LESS: 4)",
    )
    dim: int = Field(
        default=8192, ge=8, le=1_048_576, description="of the projection (LESS: 8192)"
    )
    nonzeros: int = Field(
        default=8,
        ge=1,
        description="outputs that each coordinate is added to; equal to dim: the dense "
        "Rademacher projection of LESS",
    )
    seed: Seed = Field(default=0, description="of the draw, warm-up and projection")

    @model_validator(mode="after")
    def _divides(self) -> GradientSection:
        if self.dim % self.nonzeros:
            raise ValueError(
                f"dim {self.dim} must be a multiple of nonzeros {self.nonzeros}"
            )
        return self


class OverlapSection(Section):
    """Pool rows that contain a benchmark question are dropped."""

    ngram: int = Field(
        default=13,
        ge=1,
        le=1000,
        description="words per n-gram; each character is a word in scripts without spaces "
        "between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese",
    )
    share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="share of a question's n-grams at which a row is dropped",
    )
    warn_above: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="dropped share of the pool that causes a warning",
    )


class DistilSection(Section):
    """A teacher's reasoning replaces the pool's responses (paper 4.4.2)."""

    judge: Name = Field(description="judge card with a form `reasoning`: the teacher")


class DatasetCard(Section):
    """Keys of config/datasets/NAME.yaml."""

    description: str = Field(default="", description="one line for readers")
    task: Literal["generation", "multiple_choice"] = Field(
        description="generation: answers are written; multiple_choice: options are chosen"
    )
    pool: PoolSource
    distil: DistilSection | None = None
    questions: QuestionSource
    responses: ResponseSource | None = None
    protocol: Literal["heldout", "paper"] = Field(
        default="heldout",
        description="heldout: split questions by id; paper: use all for both sets",
    )
    reward_share: float = Field(
        default=0.25,
        gt=0,
        lt=1,
        description="heldout: share of the questions that the search may ask",
    )
    fraction: float = Field(
        default=0.30, gt=0, le=1, description="M / N (paper 4.3: 0.30 GSM8K, 0.10 DS2)"
    )
    reader: Literal["number", "option", "letter"] = Field(
        default="number",
        description="number: '#### N' or last number; option: likeliest option text; "
        "letter: likeliest letter",
    )
    metric: Literal[
        "strict", "flexible", "numeric", "math_verify", "acc", "acc_norm"
    ] = Field(
        default="flexible",
        description="strict: the number after '#### '; flexible: the last number; "
        "numeric: its value; math_verify: fractions, roots, LaTeX, by the package "
        "math-verify; acc: the likeliest option; acc_norm: per character",
    )
    margin: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="difference in accuracy, a share, that does not matter: `no better` "
        "and `no harm` are told by it; choose it before you see results",
    )
    irt: IrtSection = IrtSection()
    tiny: TinySection = TinySection()
    overlap: OverlapSection = OverlapSection()
    gradients: GradientSection = GradientSection()
    indicators: dict[Name, dict[str, Any]] = Field(
        default={}, description="options of indicators, e.g. ifd: {proxy: gpt2}"
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="jobs that share the measuring of one column of a local model; "
        "changes no number",
    )
    max_unscored: float = Field(
        default=0.02, ge=0, le=1, description="share of NaN rows that stops the build"
    )

    @field_validator("reader", "metric", mode="before")
    @classmethod
    def _not_taken_for_the_other(cls, value: Any, info: ValidationInfo) -> Any:
        other = "metric" if info.field_name == "reader" else "reader"
        if value in get_args(cls.model_fields[other].annotation):
            raise ValueError(f"'{value}' is a {other}: write `{other}: {value}`")
        return value

    @model_validator(mode="after")
    def _encoder_is_used(self) -> DatasetCard:
        if self.tiny.encoder and self.responses is not None:
            raise ValueError(
                f"tiny.encoder is '{self.tiny.encoder}', and with `responses:` the tiny "
                "set comes from the history; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _metric_fits(self) -> DatasetCard:
        chosen = self.metric in ("acc", "acc_norm")
        if chosen != (self.task == "multiple_choice"):
            raise ValueError(
                f"metric '{self.metric}' does not fit task '{self.task}': generation "
                "takes strict, flexible, numeric or math_verify, multiple_choice acc or "
                "acc_norm"
            )
        if (self.reader == "number") == chosen:
            raise ValueError(
                f"reader '{self.reader}' does not fit task '{self.task}': generation "
                "takes number, multiple_choice option or letter"
            )
        return self
