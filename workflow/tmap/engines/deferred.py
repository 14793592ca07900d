"""An engine that is loaded when something must be computed, not before.

A judge whose replies are all in the store needs its tokenizer only: reading them another
way costs no GPU second.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from tmap import engines

if TYPE_CHECKING:
    from tmap.cards.model import EngineSection
    from tmap.engines.base import LanguageModel


class Deferred:
    """Stands for `engines.load(record, engine)`: the same key, tokenizer and answers."""

    def __init__(self, record: dict[str, Any], engine: EngineSection) -> None:
        self._record, self._engine = record, engine
        self.key = engines.key_of(record, engine)
        self.tokenizer = engines.load_tokenizer(record)
        self.context: int | None = record.get("max_positions")

    @cached_property
    def lm(self) -> LanguageModel:
        return engines.load(self._record, self._engine)

    def __getattr__(self, name: str) -> Any:
        if name not in ("generate", "option_nll", "answer_nll", "digit_logits"):
            raise AttributeError(name)
        return getattr(self.lm, name)
