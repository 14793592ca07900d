"""Watch a training run: print progress, and stop if the loss is not a finite number."""

from __future__ import annotations

import math
import time
from typing import Any

from transformers import TrainerCallback

from tmap.errors import TmapError
from tmap.jobs import attempts
from tmap.jobs.log import Progress
from tmap.training import launch


class Watch(TrainerCallback):
    """Prints step, loss, tokens per second and time left; stops at NaN and infinity.

    If a scheduler limits the time, it also saves and stops before the limit.
    """

    def on_train_begin(
        self, args: Any, state: Any, control: Any, **kwargs: Any
    ) -> None:
        """Start the clock; a resumed run counts from the step at which it resumes."""
        self._stops = False
        self._progress = Progress(
            "train", state.max_steps - state.global_step, unit="steps"
        )
        self._start = time.monotonic()

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record and check one step before it is saved, so that no bad step is saved."""
        if not logs or "loss" not in logs:
            return
        for name in ("loss", "grad_norm"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise TmapError(
                    f"The {NAMES[name]} became {logs[name]} in training step "
                    f"{state.global_step}; it must be a finite number. Lower "
                    "`train.learning_rate` in the model card, raise "
                    "`train.warmup_share`, or set `engine.dtype: float32`."
                )
        if not state.is_world_process_zero:
            return
        elapsed = max(time.monotonic() - self._start, 1e-9)
        rate = logs.get("num_tokens", 0) / elapsed
        self._progress.advance(note=f"loss {logs['loss']:.4f}, {rate:,.0f} tokens/s")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask for a checkpoint when time is short, in all processes at the same step."""
        if state.global_step < state.max_steps:
            self._stops = launch.any_of(attempts.is_short())
            control.should_save |= self._stops

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop here if time is short: the checkpoint is complete."""
        if state.is_world_process_zero:
            attempts.note()
        if self._stops and state.global_step < state.max_steps:
            attempts.stop()


NAMES = {"loss": "loss", "grad_norm": "gradient's norm"}
