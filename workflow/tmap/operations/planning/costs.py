"""Work behind one job: model passes, tokens, calls and bytes.

`tmap.operations.planning.hours` estimates how long it takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tmap import cards, dag, indicators
from tmap.artifacts.rules import RULES
from tmap.cards.judge import JudgeCard
from tmap.cards.method import MethodCard, SearchSection
from tmap.cards.model import ModelCard
from tmap.groups.budget import FAULTS, GROUPS, MULTIPLES, TRIES
from tmap.operations.planning import adapters, hours, probe
from tmap.operations.planning.jobs import Job
from tmap.selection.variants import fraction
from tmap.training.rows import MOST_PACKED

#: Forward passes over a row by indicator; others make one.
PASSES = {"ifd": 2, "miwv": 2, "nuggets": 101, "data_whisperer": 1}
#: Rows at once if the engine decides by memory.
ROWS = 500


@dataclass(frozen=True)
class Sizes:
    """The sizes that a cost depends on; tokens are means.

    Attributes
    ----------
    rows, row_tokens : of the pool
    reward, test, question_tokens, answer_tokens : of the questions
    lengths : (N,) tokens of each row in ascending order; empty: all as the mean
    """

    rows: int
    row_tokens: int
    reward: int
    test: int
    question_tokens: int
    answer_tokens: int
    lengths: np.ndarray = field(default_factory=lambda: np.empty(0), compare=False)

    def trained(self, card: ModelCard) -> float:
        """Tokens that a training computes per row.

        Rows end at the card's `max_length`. Micro-batches that are small enough are packed;
        in others, rows are as long as the expected longest of so many random ones.
        """
        how, n = card.train, len(self.lengths)
        if not n:
            return min(self.row_tokens, how.max_length)
        cut = np.minimum(self.lengths, how.max_length)
        if how.micro_batch_size * cut.mean() <= MOST_PACKED:
            return float(cut.mean())
        below = (np.arange(n + 1) / n) ** how.micro_batch_size
        return float(cut @ np.diff(below))


@dataclass
class Work:
    """The work of jobs.

    Attributes
    ----------
    hours, cpu_hours : of jobs with and without GPUs; None if neither known nor estimated
    measured, probed : jobs whose time is that of earlier runs, or from a probe
    """

    jobs: int = 0
    passes: float = 0.0
    read: float = 0.0
    written: float = 0.0
    trained: float = 0.0
    calls: float = 0.0
    hours: float | None = 0.0
    cpu_hours: float | None = 0.0
    gpus: int = 0
    disk: float = 0.0
    measured: int = 0
    probed: int = 0

    def add(self, other: Work) -> None:
        """Sum; unknown hours stay unknown."""
        sums = "jobs passes read written trained calls disk measured probed"
        for name in sums.split():
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.gpus = max(self.gpus, other.gpus)
        for name in ("hours", "cpu_hours"):
            both = (getattr(self, name), getattr(other, name))
            setattr(self, name, None if None in both else sum(both))


def work(job: Job, sizes: Sizes) -> Work:
    """The work behind one job."""
    kind, found = RULES[job.rule].work, Work()
    for one in by_model(job) if kind != "none" else []:
        part, model, steps = KINDS[kind](one, sizes)
        if model is not None:
            estimate(part, kind, model, steps)
        found.add(part)
    found.jobs = 1
    seconds = hours.clocked(job)
    if seconds is not None:
        found.measured, found.probed = 1, 0
        found.hours, found.cpu_hours = 0.0, seconds / 3600
        if found.gpus:
            found.hours, found.cpu_hours = seconds / 3600, 0.0
    return found


def by_model(job: Job) -> list[Job]:
    """A consensus as one search per model, in turn; any other job as it is."""
    if job.rule != "search_consensus":
        return [job]
    models = dag.search.models_of(job.names["method"])
    return [Job(job.rule, {**job.names, "model": model}) for model in models]


def estimate(part: Work, kind: str, model: str, steps: float) -> None:
    """Fill in a model's GPUs, and its hours: by a roofline, or on a CPU by a probe."""
    card = cards.load("models", model)
    part.gpus, n = card.resources.gpu, 1
    if kind == "training":
        part.gpus, n = card.gpus_to_train(), card.train.processes
    elif kind in ("searching", "evaluating"):
        # Not n times as fast: a step of writing reads the weights on every GPU.
        part.gpus = card.gpus_to_answer()
    if not part.gpus:
        speed = probe.measured(model)
        part.probed, part.cpu_hours = int(speed is not None), None
        if speed:
            seconds = speed.seconds(part.read, part.written, part.trained)
            part.cpu_hours = seconds / 3600
        return
    size = hours.parameters(model, card)
    flown = hours.roofline(part.read + part.written, part.trained, size, steps)
    part.hours = None if flown is None else flown / n / 3600


Found = tuple[Work, str | None, float]


def scoring(job: Job, sizes: Sizes) -> Found:
    name, dataset = job.names["indicator"], job.names["dataset"]
    about = indicators.get(name)
    disk = 24.0 * sizes.rows
    if about.looks_at in ("text", "columns", "gradients"):
        return Work(disk=disk), None, 0
    model = dag.indicators.model_of_indicator(dataset, job.names.get("model"), name)
    if about.looks_at == "judge":
        given = dag.indicators.options(dataset, name)
        judge = cards.load("judges", given["judge"])
        return asked_of(judge, sizes.rows, sizes.row_tokens, 0, disk)
    passes = sizes.rows * PASSES.get(name, 1)
    return Work(passes=passes, read=passes * sizes.row_tokens, disk=disk), model, 0


def distilling(job: Job, sizes: Sizes) -> Found:
    """A reasoning path per row, of the length that is assumed for an answer."""
    how = cards.load("datasets", job.names["dataset"]).distil
    assert how is not None
    judge = cards.load("judges", how.judge)
    written = min(sizes.answer_tokens, judge.forms["reasoning"].max_new_tokens)
    disk = 4.0 * 512 * sizes.rows
    return asked_of(judge, sizes.rows, sizes.row_tokens, written, disk)


def generating(job: Job, sizes: Sizes) -> Found:
    """A round's candidates: each request shows solved questions and writes one row."""
    how = cards.load("methods", job.names["method"]).rounds
    assert how is not None
    judge = cards.load("judges", how.generator)
    written = min(sizes.row_tokens, judge.forms["candidate"].max_new_tokens)
    read = how.n_shots * (sizes.question_tokens + sizes.answer_tokens)
    return asked_of(
        judge, how.n_candidates, read, written, 4.0 * 512 * how.n_candidates
    )


def asked_of(judge: JudgeCard, n: int, read: int, written: int, disk: float) -> Found:
    """n requests to a judge: calls of a server, passes of a model, nothing if recorded."""
    if judge.recorded:
        return Work(disk=disk), None, 0
    found = Work(read=n * read, written=n * written, disk=disk)
    if judge.model is None:
        found.calls = n
        return found, None, 0
    found.passes = n
    rows = batch(judge.model)
    return found, judge.model, math.ceil(n / rows) * written


def embedding(job: Job, sizes: Sizes) -> Found:
    n, tokens = sizes.rows, sizes.row_tokens
    if job.rule == "embed_questions":
        n, tokens = sizes.reward, sizes.question_tokens
    found = Work(passes=n, read=n * tokens)
    found.disk = 4.0 * 4096 * n
    return found, job.names["encoder"], 0


def warming(job: Job, sizes: Sizes) -> Found:
    how = cards.load("datasets", job.names["dataset"]).gradients
    proxy = job.names["proxy"]
    tokens = sizes.trained(cards.load("models", proxy))
    return Work(trained=how.share * sizes.rows * tokens * how.epochs), proxy, 0


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
    disk = 4.0 * passes * how.dim  # float16, in the store and next to the pool
    trained = passes * sizes.row_tokens
    return Work(passes=passes, trained=trained, disk=disk), model, 0


def searching(job: Job, sizes: Sizes) -> Found:
    """Evaluations x m groups x S questions; each prefix of n rows is read once."""
    how = cards.load("methods", job.names["method"])
    n = how.search.n_initial + how.search.n_iterations
    k = len(how.indicators)
    if how.weights == "best_single":
        n = k
    if job.rule == "explain_weights":
        n = how.explain_orders * (k - 1) + k + 2
    s = questions_of(job.names["dataset"], job.names["method"], sizes)
    prefix, model = how.search.n_shots * sizes.row_tokens, job.names["model"]
    m = how.search.n_groups
    if how.search.groups and job.rule in ("search_groups", "compare_probes"):
        found, steps = probing(how, s, sizes, job)
        return found, model, steps
    n += how.search.confirm_top + 1
    found, steps = asking(model, n, m, s, prefix, sizes, job)
    return found, model, steps


def probing(how: MethodCard, s: int, sizes: Sizes, job: Job) -> tuple[Work, float]:
    """Groups of rows, each measured by the method's probe; `auto` counts as `sft`.

    Shown rows: every answer has a prompt of its own, and all are computed together.
    Trained rows: each group is trained on and then answers the tiny set.
    """
    search, model = how.search, job.names["model"]
    assert search.groups
    prefix = search.n_shots * sizes.row_tokens
    if job.rule == "compare_probes":
        times = 1 + len(FAULTS)
        shown = times * (GROUPS["icl"] + GROUPS["icl_logprob"])
        found, steps = asking(model, 1, shown, 1, prefix, sizes, job)
        trained, more = short_trainings(search, times * GROUPS["sft"], s, sizes, job)
        found.add(trained)
        return found, steps + more
    confirmed = 3  # weights, values and uniform weights
    if search.probe in ("sft", "auto"):
        n = search.sft.n_groups + confirmed * search.n_groups
        n += len(MULTIPLES) * TRIES if search.sft.learning_rate is None else 0
        return short_trainings(search, n, s, sizes, job)
    per_group = min(search.groups.per_group, sizes.reward)
    n_groups = math.ceil(search.groups.n_answers / per_group)
    found, steps = asking(model, 1, n_groups, per_group, prefix, sizes, job)
    found.read += n_groups * (per_group - 1) * prefix
    checked, more = asking(model, confirmed, search.n_groups, s, prefix, sizes, job)
    found.add(checked)
    return found, steps + more


def short_trainings(
    search: SearchSection, n: int, s: int, sizes: Sizes, job: Job
) -> tuple[Work, float]:
    """n short trainings, each of which reads the s right answers."""
    found, _ = asking(job.names["model"], n, 1, s, 0, sizes, job)
    found.written = 0  # answers are scored, not written
    tokens = sizes.trained(cards.load("models", job.names["model"]))
    found.trained = n * search.sft.rows * tokens * search.sft.epochs
    return found, 0


def training(job: Job, sizes: Sizes) -> Found:
    model = job.names["model"]
    card = cards.load("models", model)
    share = share_of(job, sizes)
    tokens = share * sizes.rows * sizes.trained(card) * card.train.epochs
    return Work(trained=tokens, disk=adapters.size(model, card)), model, 0


def evaluating(job: Job, sizes: Sizes) -> Found:
    model = job.names["model"]
    on_reward = job.rule == "evaluate_on_reward_questions"
    n = (
        sizes.reward
        if on_reward or job.names.get("part", "")[:1] == "k"
        else sizes.test
    )
    found, steps = asking(model, 1, 1, n, 0, sizes, job)
    found.disk = 4.0 * sizes.answer_tokens * n
    return found, model, steps


def asking(
    model: str, times: int, m: int, n: int, prefix: int, sizes: Sizes, job: Job
) -> tuple[Work, float]:
    """`times` n questions after each of m prefixes, and the decoding steps of batches.

    Prefixes of one evaluation share a batch if their questions fit; evaluations run one
    after another.
    """
    engine = cards.load("models", model).engine
    choice = cards.load("datasets", job.names["dataset"]).task == "multiple_choice"
    written = 0 if choice else min(sizes.answer_tokens, engine.max_new_tokens)
    groups, rows = times * m, batch(model)
    found = Work(passes=groups * n, read=groups * (prefix + n * sizes.question_tokens))
    found.written = groups * n * written
    batches = times * math.ceil(m / max(1, rows // n)) * math.ceil(n / rows)
    return found, batches * written


def batch(model: str) -> int:
    """Rows that a model writes at once."""
    size = cards.load("models", model).engine.batch_size
    return ROWS if size == "auto" else size


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


#: Kinds of work, as `tmap.artifacts.rules` names them -> the function that counts them.
KINDS: dict[str, Callable[[Job, Sizes], Found]] = {
    "distilling": distilling,
    "generating": generating,
    "scoring": scoring,
    "embedding": embedding,
    "warming": warming,
    "gradients": gradients,
    "searching": searching,
    "training": training,
    "evaluating": evaluating,
}
