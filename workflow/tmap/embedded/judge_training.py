"""Teach the solver to judge: a full fine-tune on drawn ratings, in one process.

A line check is trained along with the ratings: a linear layer on the second-to-last layer
that predicts at each line's end whether the line is correct. It makes the faults visible
within minutes and is discarded afterwards.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tmap.embedded import judge_ratings as ratings
from tmap.embedded.judge_rows import IGNORED, Batch, Row, batch, row
from tmap.jobs.log import Progress
from tmap.tiny.threads import one_thread

LOG = logging.getLogger(__name__)
#: About eight minutes on one thread.
STEPS = 1000
BATCH = 16
LEARNING_RATE, FINAL_SHARE = 1e-3, 0.03
WARM_UP = 100
LINE_WEIGHT = 0.5
#: Rows of similar length are batched together; they are sorted over this many batches.
SORTED_BATCHES = 16
SMOOTH = 0.98
#: Messages are joined without marks: the judge's prompts are bare text.
CHAT_TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


class Judge:
    """A solver in training to become a judge.

    Parameters
    ----------
    model : causal language model, trained in place
    tokenizer : its fast tokenizer
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.line_check = torch.nn.Linear(model.config.hidden_size, 1)

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """All trained parameters."""
        return [*self.model.parameters(), *self.line_check.parameters()]

    def states(self, rows: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """(n_rows, T, d) last hidden states, and (n_rows, T) logits of the line check."""
        out = self.model.base_model(
            input_ids=rows.ids,
            attention_mask=rows.sees,
            position_ids=rows.place,
            use_cache=False,
            output_hidden_states=True,
        )
        lines = self.line_check(out.hidden_states[-2]).squeeze(-1)
        return out.last_hidden_state, lines

    def loss(self, rows: Batch) -> torch.Tensor:
        """Weighted nats per rating, plus those of the line check for labelled lines.

        Returns
        -------
        A finite scalar, even for a batch without labelled lines: a mean over no lines
        would be NaN and silently ruin the weights.
        """
        states, checks = self.states(rows)
        counts = rows.target != IGNORED
        logits = self.model.lm_head(states[counts])
        nats = functional.cross_entropy(logits, rows.target[counts], reduction="none")
        n_ratings = len(rows.ids) * len(ratings.FORMS)
        total = (nats * rows.weight[counts]).sum() / n_ratings
        labelled = rows.line != IGNORED
        if labelled.any():
            total = total + LINE_WEIGHT * functional.binary_cross_entropy_with_logits(
                checks[labelled], rows.line[labelled].float()
            )
        return total


def train(solver: Path, out: Path, *, seed: int = 0, steps: int = STEPS) -> float:
    """Fine-tune a solver into a judge and save it in half precision.

    Runs in float32 on one thread: the same arguments give the same bytes on one machine.

    Parameters
    ----------
    solver : folder of the pre-trained solver
    out : folder of the judge
    seed : of rows, ratings and the line check
    steps : optimiser steps of BATCH rows

    Returns
    -------
    The loss, smoothed over about fifty steps.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(solver, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(solver)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = Judge(model, tokenizer)
        loss = _optimise(judge, batches(tokenizer, seed), steps)
    tokenizer.chat_template = CHAT_TEMPLATE
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    return loss


def batches(tokenizer: Any, seed: int) -> Iterator[Batch]:
    """New rows, without end."""
    rng = np.random.default_rng([seed, 1])
    while True:
        rows: list[Row] = [
            row(tokenizer, ratings.draw(rng), rng)
            for _ in range(BATCH * SORTED_BATCHES)
        ]
        rows.sort(key=len)
        for number in rng.permutation(SORTED_BATCHES):
            yield batch(rows[number * BATCH : (number + 1) * BATCH])


def learning_rate(step: int, steps: int) -> float:
    """Warm-up, then a cosine down to FINAL_SHARE."""
    wave = 0.5 * (1 + math.cos(math.pi * step / steps))
    fall = FINAL_SHARE + (1 - FINAL_SHARE) * wave
    return LEARNING_RATE * min(1.0, (step + 1) / WARM_UP) * fall


def _optimise(judge: Judge, rows: Iterator[Batch], steps: int) -> float:
    optimiser = torch.optim.AdamW(
        judge.parameters, lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.05
    )
    progress = Progress("train-world-judge", steps, unit="steps")
    smooth = math.nan
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps)
        loss = judge.loss(next(rows))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(judge.parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        now = loss.item()
        smooth = now if math.isnan(smooth) else SMOOTH * smooth + (1 - SMOOTH) * now
        progress.advance(note=f"loss {smooth:.3f}")
    return smooth
