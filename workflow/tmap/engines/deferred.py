"""An engine that is loaded only when something must be computed.

If all measurements are in the store, a tokenizer is enough: reading them in another way
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
#: Answers requested together if only the loaded engine would know its batch size, or if a
#: server has none: enough for a GPU, and the same in every attempt at a job.
MANY = 512
#: Fewest answers requested together, in whole batches: the shared part of the prompts is
#: read again each time.
FEW = 64


class Deferred:
    """Acts as `engines.load(...)` with the same arguments: key, tokenizer and answers.

    Parameters
    ----------
    record, engine, adapter : as for `engines.load`

    Attributes
    ----------
    batch_size : number of answers to request together
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
