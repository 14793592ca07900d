"""Checks of `tmap check` before any job: data, prompts, memory, and what is missing.

Every part is tried even if others failed; each error is a sentence in `missing`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tmap import cards, dag
from tmap.artifacts.secrets import hide
from tmap.cards.dataset import DatasetCard
from tmap.cards.method import SearchSection
from tmap.cards.model import ModelCard
from tmap.data import checkpoint, questions
from tmap.errors import TmapError
from tmap.evaluation.marking import Marking
from tmap.operations.preflight import asked as asking
from tmap.operations.preflight import columns, data, prompts, target
from tmap.prompts.renderer import Renderer

T = TypeVar("T")


@dataclass
class Findings:
    """The results; None for parts that could not be checked or were not requested."""

    dataset: str
    questions: data.QuestionFindings | None = None
    pool: data.PoolFindings | None = None
    columns: list[columns.ColumnFindings] | None = None
    model: target.ModelFindings | None = None
    rows: prompts.RowFindings | None = None
    needs: target.Needs | None = None
    asked: asking.AskFindings | None = None
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look(dataset: str, name: str = "", ask: int = 0) -> Findings:
    """Check a dataset card and, if one is named, a model card.

    Parameters
    ----------
    ask : questions to ask the model; nothing is asked if something is missing

    Local files are read without the network; only the small files of a hub model are
    downloaded.

    Raises
    ------
    TmapError
        A card is missing or faulty.
    """
    card = cards.load("datasets", dataset)
    named = cards.load("models", name) if name else None
    found = Findings(dataset)

    def attempt(part: Callable[[], T]) -> T | None:
        try:
            return part()
        except TmapError as fault:
            if (words := hide(str(fault))) not in found.missing:
                found.missing.append(words)
            return None

    attempt(lambda: dag.indicators.check_options(dataset))
    attempt(lambda: dag.indicators.check_cards(dataset))
    asked = attempt(lambda: data.read_questions(dataset))
    if asked:
        found.questions = data.about_questions(card, asked)
        attempt(lambda: data.check_tiny(card, len(asked.reward)))
    pool = found.pool = attempt(lambda: data.look_at_pool(dataset, card, asked))
    if pool and len(pool.kept):
        found.columns = attempt(lambda: columns.look(dataset, pool.kept))
    long: list[str] = []
    model = found.model = attempt(lambda: target.look(named)) if named else None
    if model and named:
        attempt(lambda: target.check_layers(named, model))
        if pool and (renderer := attempt(lambda: _renderer(model, named))):
            limit = target.max_length(model, named.train)
            found.rows = attempt(lambda: prompts.look(renderer, pool.kept, limit))
            parts = renderer, card, named, model.context, pool, asked
            long = attempt(lambda: _never_shown(*parts)) or []
        longest = found.rows.longest if found.rows else named.train.max_length
        needs = found.needs = target.needs(named, model, longest)
        attempt(lambda: target.check_needs(needs))
    if ask and named and asked and pool and not found.missing:
        found.asked = attempt(
            lambda: asking.look(dataset, name, named, asked.reward, pool.kept, ask)
        )
    found.notes = data.notes(card, pool, found.questions) + prompts.notes(found.rows)
    found.notes += long
    found.notes += checkpoint.notes(model.folder) if model else []
    scored = [*(found.columns or []), *(found.asked.columns if found.asked else [])]
    found.notes += [text for column in scored for text in column.marks]
    found.notes += found.asked.doubts if found.asked else []
    if ask and not found.asked:
        found.notes.append("Nothing was asked (`--ask`): first fix what is missing.")
    return found


def _renderer(model: target.ModelFindings, card: ModelCard) -> Renderer:
    return Renderer(target.tokenizer(model), card.prompt)


def _never_shown(
    renderer: Renderer,
    card: DatasetCard,
    named: ModelCard,
    context: int | None,
    pool: data.PoolFindings,
    asked: questions.Questions | None,
) -> list[str]:
    if not (context and asked and len(pool.kept)):
        return []
    own = [method.search.n_shots for method in dag.methods.of_the_user()]
    n_shots = max(own, default=SearchSection().n_shots)
    marking = Marking(card.reader, card.metric, named.engine.max_new_tokens)
    parts = pool.kept, asked.reward, marking, context, n_shots
    return prompts.never_shown(renderer, *parts)
