"""Cards, config and README of the random world, as text."""

from __future__ import annotations

from pathlib import Path

README = """\
# A random world: its numbers mean nothing

Made by `tmap make-world {folder}`, to see the whole workflow run in minutes without
network or GPU:

    snakemake --profile profiles/local --configfile {folder}/config.yaml

* `models/random_llama` is two layers of random numbers. It was never trained and knows
  nothing: accuracies are near zero (or chance, in `demo_mc`), weights are noise, and no
  verdict says anything about a method.
* `responses.parquet` is SIMULATED: 60 invented subjects answer by a 2PL item response
  model. No such models exist.
* `pool.jsonl` and `questions.jsonl` are generated word problems with true answers.
  Seven pool rows are broken, doubled or copied from the questions on purpose: see
  `results/demo/pool.rejected.parquet`.
* `demo_mc` asks the same questions with four options and has no history.
"""

CONFIG = """\
# A random world: its numbers mean nothing (see README.md next to this file).
cards: [{folder}/cards]
targets: [results/demo/random_llama/metrics.json]
"""

DEMO = """\
description: generated word problems, SIMULATED history; numbers mean nothing
task: generation
reader: number
metric: flexible
pool:
  path: {folder}/pool.jsonl
  columns: {{id: id, instruction: question, response: answer}}
questions:
  path: {folder}/questions.jsonl
  columns: {{id: id, question: question, gold: answer}}
responses:
  path: {folder}/responses.parquet
  format: long
reward_share: 0.5
irt: {{dimensions: [1, 2]}}
tiny: {{n_anchors: 12, n_confirm: 8}}
indicators:
  ifd: {{proxy: random_llama}}
"""

DEMO_MC = """\
extends: demo
description: the same questions with four options, without a history; means nothing
task: multiple_choice
reader: option
metric: acc_norm
questions:
  path: {folder}/questions_mc.jsonl
  columns: {{id: id, question: question, choices: choices, gold: gold}}
responses: null
"""

RANDOM_LLAMA = """\
description: two layers of RANDOM weights, never trained; its answers mean nothing
source: {{path: {folder}/models/random_llama}}
prompt: {{template: plain}}
engine: {{max_new_tokens: 24, dtype: float32, device: cpu}}
train:
  rank: 4
  alpha: 8
  max_steps: 4
  max_length: 512
  batch_size: 8
  micro_batch_size: 8
resources: {{gpu: 0, threads: 1, mem_mb: 2000}}
"""

TMAP = """\
extends: tmap
description: TMAP with a search far too short to learn anything
indicators: [ifd, reason_steps, output_length, perplexity]   # no judge here
search: {n_initial: 3, n_iterations: 5, n_groups: 2, n_shots: 2}
"""


UNIFORM = """\
extends: uniform
indicators: [ifd, reason_steps, output_length, perplexity]   # no judge here
"""


def render(folder: Path) -> dict[str, str]:
    """File name under `folder` -> text, with paths as `folder` is given."""
    where = folder.as_posix()
    return {
        "README.md": README.format(folder=where),
        "config.yaml": CONFIG.format(folder=where),
        "cards/datasets/demo.yaml": DEMO.format(folder=where),
        "cards/datasets/demo_mc.yaml": DEMO_MC.format(folder=where),
        "cards/models/random_llama.yaml": RANDOM_LLAMA.format(folder=where),
        "cards/methods/tmap.yaml": TMAP,
        "cards/methods/uniform.yaml": UNIFORM,
    }
