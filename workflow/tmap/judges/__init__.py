"""Judges rate samples; a judge card has the wording of the request.

A judge is a language model in this process, an OpenAI-compatible server, or a file of
recorded replies. All give raw replies. The indicator turns a reply into a number
(`tmap.indicators.scoring.ratings`), so another formula needs no new replies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tmap.judges.base import Asker, JudgeReply, Want
from tmap.judges.forms import fill
from tmap.store.shards import WHOLE, Share

if TYPE_CHECKING:
    from tmap.cards.judge import FormSection, JudgeCard
    from tmap.cards.model import EngineSection

__all__ = ["Judge", "load"]


@dataclass(frozen=True)
class Judge:
    """One form of a judge card, and the judge that is asked.

    Attributes
    ----------
    form : the wording
    asker : local model, server or recorded replies
    """

    form: FormSection
    asker: Asker

    @property
    def kept(self) -> Any:
        """A local model as a `CachingEngine`; None if there is none."""
        lm = getattr(self.asker, "lm", None)
        return lm if hasattr(lm, "measure_noted") else None

    @property
    def in_parts(self) -> bool:
        """Whether rows may be asked in parts, because replies are stored."""
        return self.kept is not None or hasattr(self.asker, "open_store")

    def ask(self, rows: Sequence[Mapping[str, Any]], want: Want) -> list[JudgeReply]:
        """One reply per pool row; `empty`, unasked, if question or answer is missing."""
        filled = [fill(self.form, row) for row in rows]
        asked = [question for question in filled if question is not None]
        replies = iter(self.asker.ask(asked, want) if asked else [])
        return [JudgeReply("empty") if q is None else next(replies) for q in filled]


def load(
    card: JudgeCard,
    record: Mapping[str, Any] | None = None,
    engine: EngineSection | None = None,
    share: Share = WHOLE,
) -> Judge:
    """The judge of a card with one form (`JudgeCard.with_form`).

    Parameters
    ----------
    card : with one form
    record, engine : of the fetched model and its card, if the judge is a local model
    share : the share of rows that this job asks a local model; the rest is `failed`
    """
    (form,) = card.forms.values()
    if card.recorded:
        from tmap.judges.recorded import Recorded

        return Judge(form, Recorded(card.recorded, card.style))
    if card.server:
        from tmap.judges.server import Server

        return Judge(form, Server(card.server, card.limits, card.style, form))
    from tmap.engines.deferred import Deferred
    from tmap.judges.local import Local
    from tmap.store.caching_engine import CachingEngine

    if record is None or engine is None:
        raise ValueError("a local judge needs its model's record and engine section")
    known = dict(record)
    lm: Any = Deferred(known, engine)
    lm = CachingEngine(lm, form.words(card.style), known, share=share)
    return Judge(form, Local(lm, card.style, form))
