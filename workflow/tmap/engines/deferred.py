"""An engine that is loaded when something must be computed, not before.

A column whose measurements are all in the store needs a tokenizer only: reading them
another way costs no GPU second.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from tmap import engines

if TYPE_CHECKING:
    from tmap.cards.model import EngineSection
    from tmap.engines.base import LanguageModel

MEASURES = ("generate", "option_nll", "answer_nll", "digit_logits", "attention")


class Deferred:
    """Stands for `engines.load(record, engine)`: the same key, tokenizer and answers."""

    def __init__(self, record: dict[str, Any], engine: EngineSection) -> None:
        self._record, self._engine = record, engine
        self.key = engines.key_of(record, engine)
        self.tokenizer = engines.load_tokenizer(record)
        self.context: int | None = record.get("max_positions")
        self.batch_size = engine.batch_size

    @cached_property
    def lm(self) -> LanguageModel:
        return engines.load(self._record, self._engine)

    @cached_property
    def n_layers(self) -> int:
        """Of the model, from its configuration."""
        found: int = engines.load_config(self._record).num_hidden_layers
        return found

    def __getattr__(self, name: str) -> Any:
        if name not in MEASURES:
            raise AttributeError(name)
        return getattr(self.lm, name)
