"""An engine that is loaded when something must be computed, not before.

Where all measurements are in the store, a tokenizer is enough: reading them another way
costs no GPU second.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tmap import engines
from tmap.engines.local import CPU_ROWS
from tmap.engines.weights import settle

if TYPE_CHECKING:
    from tmap.cards.model import EngineSection
    from tmap.engines.base import LanguageModel

MEASURES = ("generate", "option_nll", "answer_nll", "digit_logits", "attention")
#: Answers asked for at once where only the loaded engine would know its batch, or a
#: server has none: enough for a GPU, and the same in every attempt at a job.
MANY = 512
#: Answers asked for at once at least, in whole batches: each time, what all prompts share
#: is read again.
FEW = 64


class Deferred:
    """Stands for `engines.load(...)` of the same: its key, tokenizer and answers.

    Parameters
    ----------
    record, engine, adapter : as `engines.load` takes them

    Attributes
    ----------
    batch_size : answers to ask for at once
    """

    def __init__(
        self,
        record: dict[str, Any],
        engine: EngineSection,
        adapter: str | Path | None = None,
    ) -> None:
        self._record, self._engine, self._adapter = record, engine, adapter
        self.key = engines.key_of(record, engine, adapter)
        self.tokenizer = engines.load_tokenizer(record)
        self.context: int | None = record.get("max_positions")
        self.batch_size = _answers_at_once(engine, adapter)

    @cached_property
    def lm(self) -> LanguageModel:
        return engines.load(self._record, self._engine, self._adapter)

    @cached_property
    def n_layers(self) -> int:
        """Of the model, from its configuration."""
        found: int = engines.load_config(self._record).num_hidden_layers
        return found

    def __getattr__(self, name: str) -> Any:
        if name not in MEASURES:
            raise AttributeError(name)
        return getattr(self.lm, name)


def _answers_at_once(engine: EngineSection, adapter: str | Path | None) -> int:
    if engines.is_served(engine, adapter):
        return MANY
    engine = engine.in_process()
    rows = engine.batch_size
    if rows == "auto":
        rows = CPU_ROWS if settle(engine)[0] == "cpu" else MANY
    rows *= engine.data_parallel
    return rows * max(1, FEW // rows)
