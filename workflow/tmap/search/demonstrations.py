"""The pool as the search sees it: ranked by weights, dealt into demonstrations."""

from __future__ import annotations

import hashlib
import pickle
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tmap.cards.method import SearchSection
from tmap.prompts.conversation import Turn, answer_of, question_of, turns_of
from tmap.prompts.renderer import Demo, Renderer
from tmap.search import dealing
from tmap.search.ledger import short_digest
from tmap.search.optimiser import N_POINTS
from tmap.search.outcome import Evaluation
from tmap.search.reward import Reward
from tmap.selection import ranking
from tmap.selection.features import Features
from tmap.store.spool import Spool

#: Keys of `search:` that only a search by groups uses.
GROUPS_ONLY = ("groups", "probe", "sft")


class Texts(Sequence[Demo]):
    """The rows of a pool as demonstrations, in pool order; kept on disk, read one by one.

    Parameters
    ----------
    parts : of table 'pool'
    chats : whether `chat` is needed
    """

    def __init__(self, parts: Iterable[pd.DataFrame], chats: bool = False) -> None:
        self._spool, self._chats = Spool(), Spool()
        for part in parts:
            for row in part.to_dict("records"):
                self._spool.append(pickle.dumps((question_of(row), answer_of(row))))
                if chats:
                    self._chats.append(pickle.dumps(turns_of(row)))

    def __len__(self) -> int:
        return len(self._spool)

    def __getitem__(self, row: Any) -> Any:
        return Demo(*pickle.loads(self._spool[row]))

    def chat(self, row: int) -> list[Turn]:
        """The row as the conversation that it is trained on."""
        found: list[Turn] = pickle.loads(self._chats[row])
        return found


class Candidates:
    """The pool as the search sees it: features, tie-breaks and demonstrations.

    Parameters
    ----------
    pool : `sample_id` and `text_hash` of table 'pool'
    texts : its rows as demonstrations
    features : its normalised columns, in the order of the pool
    search : policy, m and n
    n_selected : M
    shown : (N,) bool, rows that may be demonstrations; a row too long for the context
        can still be selected
    """

    def __init__(
        self,
        pool: pd.DataFrame,
        texts: Sequence[Demo],
        features: Features,
        search: SearchSection,
        n_selected: int,
        shown: np.ndarray,
    ) -> None:
        self.pool, self.texts = pool, texts
        self.features, self.search = features, search
        self.n_selected = n_selected
        self.rows = np.flatnonzero(shown)
        self.ties = ranking.tie_rank(pool["text_hash"], pool["sample_id"])
        self.n_needed = dealing.n_needed(
            search.exemplars, search.n_groups, search.n_shots, n_selected
        )

    def groups(self, weights: np.ndarray, turn: int = 0) -> np.ndarray:
        """(m, n) row numbers of the demonstrations under these weights."""
        return self.dealt(ranking.scores(self.features.matrix, weights), turn)

    def dealt(
        self, score: np.ndarray, turn: int = 0, n_groups: int | None = None
    ) -> np.ndarray:
        """(m, n) row numbers of the demonstrations under these (N,) scores."""
        score = score[self.rows]
        n = min(self.n_needed, len(score))
        ranked = self.rows[ranking.top(score, self.ties[self.rows], n)]
        how = self.search
        m = n_groups or how.n_groups
        return dealing.deal(ranked, m, how.n_shots, how.exemplars, turn)

    def demos(self, groups: np.ndarray) -> list[list[Demo]]:
        """The demonstrations' texts, group by group."""
        return [[self.texts[row] for row in group] for group in groups.tolist()]

    def ids(self, groups: np.ndarray) -> list[list[str]]:
        """The demonstrations' sample_ids, group by group."""
        ids = self.pool["sample_id"].to_numpy()
        return [[str(ids[i]) for i in group] for group in groups]

    def evaluate(
        self,
        reward: Reward,
        weights: np.ndarray,
        turn: int = 0,
        beat: float | None = None,
    ) -> Evaluation:
        """The reward of these weights on the reward's question set."""
        start = time.monotonic()
        return self._evaluation(reward, self.groups(weights, turn), beat, start)

    def evaluate_score(
        self, reward: Reward, score: np.ndarray, turn: int
    ) -> Evaluation:
        """The reward of (N,) scores on the reward's question set."""
        start = time.monotonic()
        return self._evaluation(reward, self.dealt(score, turn), None, start)

    def _evaluation(
        self, reward: Reward, groups: np.ndarray, beat: float | None, start: float
    ) -> Evaluation:
        return Evaluation(reward(self.demos(groups), beat, start), self.ids(groups))

    def ask(self, reward: Reward, points: list[np.ndarray]) -> None:
        """Ask for all points together, so that `evaluate` finds the answers for each."""
        start = time.monotonic()
        reward.ask([d for w in points for d in self.demos(self.groups(w))], start)

    def groups_key(self, bounds: tuple[float, float], seed: int, probe: str) -> str:
        """Digest of all that affects which groups a search asks.

        Parameters
        ----------
        probe : digest of all that can change its numbers, and of how many it takes
        """
        return short_digest(
            {
                **self._identity(bounds, seed),
                "n_shots": self.search.n_shots,
                "groups": self.search.groups.model_dump(),  # type: ignore[union-attr]
                "selected": self.n_selected,
                "probe": probe,
            }
        )

    def _identity(self, bounds: tuple[float, float], seed: int) -> dict[str, Any]:
        return {
            "features": hashlib.sha256(self.features.matrix.tobytes()).hexdigest(),
            "samples": self.pool["text_hash"].tolist(),
            "shown": hashlib.sha256(self.rows.tobytes()).hexdigest(),
            "names": list(self.features.names),
            "bounds": list(bounds),
            "seed": seed,
        }

    def key(
        self,
        bounds: tuple[float, float],
        seed: int,
        rewards: str,
        start: list[list[float]],
    ) -> str:
        """Identifies a search: all that affects it, except its length and confirmation."""
        how = self.search.model_dump(
            exclude={"n_iterations", "confirm_top", "warm_start", *GROUPS_ONLY}
        )
        return short_digest(
            {
                **self._identity(bounds, seed),
                "needed": self.n_needed,
                "search": how,
                "points": N_POINTS[self.search.proposals],
                "start": start,
                "reward": rewards,
            }
        )


def short_enough(
    texts: Sequence[Demo], renderer: Renderer, room: int | None
) -> np.ndarray:
    """(N,) bool: rows that take at most `room` tokens as a demonstration.

    A text has no more tokens than UTF-8 bytes, so only long texts are tokenised.
    """
    if room is None:
        return np.ones(len(texts), dtype=bool)
    bare = len(renderer.render("", [Demo("", "")]).prefix)
    fits = np.empty(len(texts), dtype=bool)
    for row, demo in enumerate(texts):
        n_bytes = sum(len(text.encode("utf-8", "replace")) for text in demo)
        fits[row] = (
            bare + n_bytes <= room or len(renderer.render("", [demo]).prefix) <= room
        )
    return fits
