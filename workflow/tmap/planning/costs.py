"""Work behind one job: model passes, tokens, calls and bytes; and how long that takes.

Time is that of earlier runs of the same rule, dataset and model where their benchmark
files lie; else, of a GPU, a roofline. A forward pass over t tokens of a model with P
parameters costs 2 P t operations and training 6 P t; writing is bound by memory, one read
of the weights per step of a batch. Worked example, 8 B parameters in 2 bytes on an A100
(312 Tflop/s at 40 %, 2.0 TB/s at 60 %): 1 M tokens read take 2 x 8e9 x 1e6 / 1.25e14 =
128 s; 500 steps of a batch 500 x 16e9 / 1.2e12 = 6.7 s.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tmap import cards, indicators, paths
from tmap.cards.model import ModelCard
from tmap.files import read_json
from tmap.parts import fraction
from tmap.planning.jobs import Job

FLOPS, FLOPS_SHARE = 312e12, 0.40
BANDWIDTH, BANDWIDTH_SHARE = 2.0e12, 0.60
WIDTH = 2  # bytes of a weight in bfloat16
BENCHMARKS = Path("results/benchmarks")
#: Rules whose benchmark files lie under their own name; variants share the first letters.
CLOCKED = (
    "score_indicator",
    "embed_pool",
    "warm_up_proxy",
    "gradients",
    "search_weights",
    "search_consensus",
    "explain_weights",
    "train_adapter",
    "evaluate_adapter",
)
#: Forward passes over a row that each indicator makes, where it is not one.
PASSES = {"ifd": 2, "miwv": 2, "nuggets": 101, "data_whisperer": 1}
#: Rows at once where the engine takes what memory allows.
ROWS = 500


@dataclass(frozen=True)
class Sizes:
    """What a cost depends on; tokens are means.

    Attributes
    ----------
    rows, row_tokens : of the pool
    reward, test, question_tokens, answer_tokens : of the questions
    """

    rows: int
    row_tokens: int
    reward: int
    test: int
    question_tokens: int
    answer_tokens: int


@dataclass
class Work:
    """What jobs come to. `hours` is None where it can neither be known nor estimated."""

    jobs: int = 0
    passes: float = 0.0
    read: float = 0.0
    written: float = 0.0
    trained: float = 0.0
    calls: float = 0.0
    hours: float | None = 0.0
    gpus: int = 0
    disk: float = 0.0
    measured: int = 0

    def add(self, other: Work) -> None:
        """Sum; unknown hours stay unknown."""
        for name in "jobs passes read written trained calls disk measured".split():
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.gpus = max(self.gpus, other.gpus)
        both = (self.hours, other.hours)
        self.hours = None if None in both else sum(h for h in both if h is not None)


def work(job: Job, sizes: Sizes) -> Work:
    """The work behind one job."""
    kinds = {
        "disti": distilling,
        "score": scoring,
        "embed": embedding,
        "warm_": warming,
        "gradi": gradients,
        "searc": searching,
        "expla": searching,
        "train": training,
        "evalu": evaluating,
    }
    make = kinds.get(job.rule[:5])
    if make is None:
        return Work(jobs=1)
    found, model, steps = make(job, sizes)
    found.jobs = 1
    if model is None:
        return found
    card = cards.load("models", model)
    training_job = job.rule.startswith("train_")
    found.gpus = card.gpus_to_train() if training_job else card.resources.gpu
    seconds = clocked(job)
    found.measured = int(seconds is not None)
    if seconds is None and card.resources.gpu:
        seconds = roofline(found, parameters(model, card), steps)
    found.hours = None if seconds is None else seconds / 3600
    return found


Found = tuple[Work, str | None, float]


def scoring(job: Job, sizes: Sizes) -> Found:
    name, dataset = job.names["indicator"], job.names["dataset"]
    about = indicators.get(name)
    disk = 24.0 * sizes.rows
    if about.looks_at in ("text", "columns", "gradients"):
        return Work(disk=disk), None, 0
    model = paths.model_of_indicator(dataset, job.names.get("model"), name)
    if about.looks_at == "judge" and model is None:
        return Work(calls=sizes.rows, disk=disk), None, 0
    passes = sizes.rows * PASSES.get(name, 1)
    return Work(passes=passes, read=passes * sizes.row_tokens, disk=disk), model, 0


def distilling(job: Job, sizes: Sizes) -> Found:
    model = paths.teacher(job.names["dataset"])
    disk = 4.0 * 512 * sizes.rows
    if model is None:
        return Work(calls=sizes.rows, disk=disk), None, 0
    read = sizes.rows * sizes.row_tokens
    return Work(passes=sizes.rows, read=read, disk=disk), model, 0


def embedding(job: Job, sizes: Sizes) -> Found:
    found = Work(passes=sizes.rows, read=sizes.rows * sizes.row_tokens)
    found.disk = 4.0 * 4096 * sizes.rows
    return found, job.names["encoder"], 0


def warming(job: Job, sizes: Sizes) -> Found:
    how = cards.load("datasets", job.names["dataset"]).gradients
    tokens = how.share * sizes.rows * sizes.row_tokens * how.epochs
    return Work(trained=tokens), job.names["proxy"], 0


def gradients(job: Job, sizes: Sizes) -> Found:
    """Forward and backward over rows and target questions, at every checkpoint."""
    dataset, method = job.names["dataset"], job.names.get("method")
    how = cards.load("datasets", dataset).gradients
    points, rows = how.epochs if how.share else 1, sizes.rows
    rounds = cards.load("methods", method).rounds if method else None
    if rounds:
        points, rows = 1, rounds.n_candidates
    model = job.names.get("proxy") or how.proxy or job.names["model"]
    passes = points * (rows + sizes.reward)
    disk = 4.0 * passes * how.dim  # float16, in the store and beside the pool
    trained = passes * sizes.row_tokens
    return Work(passes=passes, trained=trained, disk=disk), model, 0


def searching(job: Job, sizes: Sizes) -> Found:
    """Evaluations x m groups x S questions; prefixes of n rows are read once each."""
    how = cards.load("methods", job.names["method"])
    n = how.search.n_initial + how.search.n_iterations
    k = len(how.indicators)
    if how.weights == "best_single":
        n = k
    if job.rule == "explain_weights":
        n = how.explain_orders * (k - 1) + k + 2
    n += how.search.confirm_top + 1
    s = questions_of(job.names["dataset"], job.names["method"], sizes)
    models = [job.names["model"]] if "model" in job.names else how.models
    prefix = how.search.n_shots * sizes.row_tokens
    found, steps = Work(), 0.0
    for model in models:
        one, its_steps = asking(model, n * how.search.n_groups, s, prefix, sizes, job)
        found.add(one)
        steps += its_steps
    return found, models[0], steps


def training(job: Job, sizes: Sizes) -> Found:
    model = job.names["model"]
    card = cards.load("models", model).train
    share = share_of(job, sizes)
    tokens = share * sizes.rows * sizes.row_tokens * card.epochs
    return Work(trained=tokens, disk=4.0 * 160 * 2**20), model, 0


def evaluating(job: Job, sizes: Sizes) -> Found:
    model = job.names["model"]
    on_reward = job.rule == "evaluate_on_reward_questions"
    n = (
        sizes.reward
        if on_reward or job.names.get("part", "")[:1] == "k"
        else sizes.test
    )
    found, steps = asking(model, 1, n, 0, sizes, job)
    found.disk = 4.0 * sizes.answer_tokens * n
    return found, model, steps


def asking(
    model: str, groups: int, n: int, prefix: int, sizes: Sizes, job: Job
) -> tuple[Work, float]:
    """n questions after each of `groups` prefixes, and decoding steps of a batch."""
    engine = cards.load("models", model).engine
    choice = cards.load("datasets", job.names["dataset"]).task == "multiple_choice"
    written = 0 if choice else min(sizes.answer_tokens, engine.max_new_tokens)
    found = Work(passes=groups * n, read=groups * (prefix + n * sizes.question_tokens))
    found.written = groups * n * written
    rows = ROWS if engine.batch_size == "auto" else engine.batch_size
    batches = math.ceil(groups / max(1, rows // n)) * math.ceil(n / rows)
    return found, batches * written


def questions_of(dataset: str, method: str, sizes: Sizes) -> int:
    """S of a method: the dataset card's, its own, or all reward questions."""
    how, data = cards.load("methods", method), cards.load("datasets", dataset)
    if (how.estimator or data.tiny.estimator) == "full":
        return sizes.reward
    return min(how.n_anchors or data.tiny.n_anchors, sizes.reward)


def share_of(job: Job, sizes: Sizes) -> float:
    """M / N of the subset that is trained on."""
    own = cards.load("methods", job.names["method"]).fraction
    card = cards.load("datasets", job.names["dataset"]).fraction if own is None else own
    return fraction(job.names.get("part", ""), card, sizes.rows)


def roofline(found: Work, n_parameters: float | None, steps: float) -> float | None:
    """Seconds on one GPU; None of a model whose size is unknown."""
    if n_parameters is None:
        return None
    operations = (2 * (found.read + found.written) + 6 * found.trained) * n_parameters
    weights = steps * n_parameters * WIDTH
    return operations / (FLOPS * FLOPS_SHARE) + weights / (BANDWIDTH * BANDWIDTH_SHARE)


def parameters(model: str, card: ModelCard) -> float | None:
    """Of the fetched model; before that, what its hub name says (`8B`); else None."""
    record = Path(paths.model_file(model))
    if record.is_file():
        return read_json(record)["n_parameters"]
    said = re.search(
        r"(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z])", (card.source.hub or "").lower()
    )
    return float(said[1]) * 1e9 if said else None


def clocked(job: Job) -> float | None:
    """Mean seconds of earlier runs of this rule on this dataset and model, else None.

    Of a search or a column, of the same method or column; of trainings, of the same method
    and part.
    """
    same = [name for name in CLOCKED if name[:5] == job.rule[:5]]
    rule = job.rule if job.rule in same else same[0]
    keys = ("dataset", "model", "encoder", "proxy", "method", "indicator", "part")
    wanted = {job.names[key] for key in keys if key in job.names}
    seconds = [
        float(pd.read_csv(path, sep="\t")["s"].mean())
        for path in sorted((BENCHMARKS / rule).rglob("*.tsv"))
        if wanted <= {*path.relative_to(BENCHMARKS / rule).parts, path.stem}
    ]
    return sum(seconds) / len(seconds) if seconds else None
