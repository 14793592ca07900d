"""Starter cards, config and profiles for a user's own folder, outside the clone.

The cards run unchanged, on two files of the user and an embedded model; comments say what
to replace. The profiles are the shipped ones, tied to the folder's config.
"""

from __future__ import annotations

import json
import os
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tmap import cards
from tmap.artifacts.files import write_text
from tmap.errors import TmapError

CLONE = cards.HOME

CONFIG = """\
# What `snakemake --profile {shell}/profiles/local` builds.
cards: [{folder}]           # this folder: its datasets/, models/, methods/, judges/
targets: [results/{dataset}/{model}/metrics.json]
methods: [base, random, my_uniform, my_method]   # rows of the table
seeds: 3                    # per method; a verdict needs at least 3
verdict: {{sequential: false}}  # true: add runs until my_method's claim is decided
"""

DATASET = """\
# Your task: the pool to choose from, and the questions that measure it.
# Check this card before anything runs:
#   tmap check {dataset} --model {model} --cards {shell}
description: my own task
task: generation            # or multiple_choice; then reader: option, metric: acc_norm
pool:
  path: {pool}
  # hub: ORGANISATION/NAME  # instead of path; then subset:, split:, revision:
  format: auto              # or alpaca, messages, sharegpt, qa, multiple_choice
  # columns: {{instruction: prompt, response: completion}}   # ours: yours
  licence: unknown          # as its source states it; goes into the data card
questions:                  # never trained on; pool rows that contain one are dropped
  path: {questions}
  # columns: {{id: id, question: question, gold: answer}}    # ours: yours
  licence: unknown
responses: null             # answers of other models, if you have some
reward_share: 0.5           # share of the questions that guide the search; the rest test
fraction: 0.30              # share of the pool to select
reader: number              # reads an answer: '#### N', or its last number
metric: flexible            # strict: '#### N' only
# indicators: {{alpagasus: {{judge: my_judge}}}}   # see docs/how-to/judge.md
tiny: {{n_anchors: 24, n_confirm: 24}}   # questions per reward; more is slower but surer
"""

MODEL = """\
# Your model. Until you name it, the embedded one is used, so everything runs on a laptop.
description: my own model
source: {path: resources/models/tiny}   # a folder that save_pretrained wrote
# source: {hub: ORGANISATION/NAME}      # or this; gated ones need HF_TOKEN
prompt:
  template: plain           # chat: the model's own chat template (instruct models)
  stop: ["\\n\\n"]            # ends an answer; a chat template needs none
engine:
  device: cpu               # remove for your model: a GPU is then used, in bfloat16
  dtype: float32            # remove for your model
  max_new_tokens: 80        # of an answer; default 512
train:                      # LoRA
  rank: 8
  alpha: 16
  learning_rate: 2.0e-3     # for a small model; remove for yours
  max_length: 512           # tokens; longer rows are cut; default 2048
resources: {gpu: 0, mem_mb: 3000}   # of one job; for your model {gpu: 1}
"""

METHOD = """\
# Which indicators are weighed, and how long the search runs (docs/reference/indicators.md).
extends: tmap_groups        # learns from every group of rows; tmap is the paper's search
description: three columns that need no other model
indicators: [output_length, reason_steps, perplexity]
{normalise}
# ifd needs a proxy model; alpagasus and deita_* need a judge (docs/explanation/judges.md)
search:
  groups: {{n_answers: 576}}  # one question after each group; more answers are surer
"""

NORMALISE = """\
# normalise: rank           # if one odd row flattens a column under minmax, the paper's\
"""

UNIFORM = """\
# The baseline that learned weights must beat.
extends: my_method
description: the same columns with equal weights
weights: uniform
search: {groups: null}      # nothing is searched
"""

TIED = """\
# Copied from profiles/{name} by `tmap init`; yours to edit.
configfile: [{config}]
"""


@dataclass(frozen=True)
class Start:
    """What the cards begin with.

    Attributes
    ----------
    dataset, model : names of cards; a shipped model card is used as it is
    pool, questions : files, as they are named where the command is typed; "": to be put
        into the folder
    """

    dataset: str = "my_data"
    model: str = "my_model"
    pool: str = ""
    questions: str = ""

    @property
    def brings_model(self) -> bool:
        """Whether the model's card is shipped."""
        return (cards.SHIPPED / "models" / f"{self.model}.yaml").is_file()

    def check(self) -> None:
        """Refuse names that no card may have, and a dataset card that is shipped."""
        for option, name in (("--dataset", self.dataset), ("--model", self.model)):
            if not cards.can_name(name):
                raise TmapError(
                    f"{option} {name!r:.80} cannot name a card. Use lower-case letters, "
                    f"digits and underscores, and none of {', '.join(cards.RESERVED)}."
                )
        if (cards.SHIPPED / "datasets" / f"{self.dataset}.yaml").is_file():
            raise TmapError(
                f"--dataset {self.dataset} is a shipped card, and results would be mixed "
                "with its own. Give yours another name."
            )


def write(place: str | Path, start: Start | None = None) -> list[Path]:
    """Write the files under a folder; the cards name it as it is given here.

    Returns
    -------
    The files, in the order in which to read them.

    Raises
    ------
    TmapError
        The folder has no name, is in the clone, or one of the files exists, or a name is
        no card's; nothing is written.
    """
    start = start or Start()
    start.check()
    if not str(place).strip():
        raise TmapError("The folder to write has no name. Name one, such as ../mine.")
    folder = Path(place)
    if folder.resolve().is_relative_to(CLONE):
        raise TmapError(
            f"'{folder}' is in the clone, where an upgrade may change it. Name a "
            "folder outside, such as ../mine."
        )
    shown = _seen(str(place)) or folder
    texts = {folder / name: text for name, text in render(shown, start).items()}
    there = [path for path in texts if path.exists()]
    if there:
        raise TmapError(
            f"'{there[0]}' exists and would be overwritten. Name another folder, or move "
            "that file away."
        )
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def scale_by_rank(folder: Path, why: Sequence[str]) -> None:
    """Make the folder's methods scale columns by rank, and say why in the card.

    Parameters
    ----------
    why : sentences of printable characters
    """
    path = folder / "methods" / "my_method.yaml"
    lines = [line for text in why for line in textwrap.wrap(text, 88)]
    said = "".join(f"# {line}\n" for line in lines) + "normalise: rank"
    write_text(path, path.read_text(encoding="utf-8").replace(NORMALISE, said))


def render(folder: Path, start: Start) -> dict[str, str]:
    """File name under `folder` -> text."""
    shell = shlex.quote(folder.as_posix())
    names = {"dataset": start.dataset, "model": start.model}
    tied = {
        f"profiles/{name}/config.yaml": _profile(name, folder)
        for name in ("local", "slurm")
    }
    model = {} if start.brings_model else {f"models/{start.model}.yaml": MODEL}
    return {
        f"datasets/{start.dataset}.yaml": DATASET.format(
            **names,
            shell=shell,
            pool=_quoted(_seen(start.pool) or folder / "pool.jsonl"),
            questions=_quoted(_seen(start.questions) or folder / "questions.jsonl"),
        ),
        **model,
        "methods/my_method.yaml": METHOD.format(normalise=NORMALISE),
        "methods/my_uniform.yaml": UNIFORM,
        "config.yaml": CONFIG.format(**names, shell=shell, folder=_quoted(folder)),
        **tied,
    }


def _profile(name: str, folder: Path) -> str:
    shipped = (CLONE / "profiles" / name / "config.yaml").read_text(encoding="utf-8")
    return TIED.format(name=name, config=_quoted(folder / "config.yaml")) + shipped


def _seen(path: str) -> Path | None:
    """A path as the workflow, which runs in the clone, sees it; None for none."""
    if not path:
        return None
    return Path(path) if Path.cwd() == CLONE else Path(os.path.abspath(path))


def _quoted(path: Path) -> str:
    """A path as YAML, quoted so that it may contain any character."""
    return json.dumps(path.as_posix(), ensure_ascii=False)
