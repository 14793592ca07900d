"""The pool as the search sees it: ranked by weights, dealt into demonstrations."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pandas as pd

from tmap import exemplars, selection
from tmap.cards.method import SearchSection
from tmap.features import Features
from tmap.ledger import digest
from tmap.prompts import Demo, Renderer
from tmap.reward import Reward
from tmap.samples import answer_of, question_of
from tmap.search import Evaluation


class Candidates:
    """The pool as the search sees it: features, tie-breaks and demonstrations.

    Parameters
    ----------
    pool : table 'pool'
    features : its normalised columns, in the order of the pool
    search : policy, m and n
    n_selected : M
    shown : (N,) bool, rows that may stand as demonstrations; a row too long for the
        context can be selected all the same
    """

    def __init__(
        self,
        pool: pd.DataFrame,
        features: Features,
        search: SearchSection,
        n_selected: int,
        shown: np.ndarray,
    ) -> None:
        self.pool, self.features, self.search = pool, features, search
        self.rows = np.flatnonzero(shown)
        self.ties = selection.tie_rank(pool["text_hash"], pool["sample_id"])
        self.n_needed = exemplars.n_needed(
            search.exemplars, search.n_groups, search.n_shots, n_selected
        )

    def groups(self, weights: np.ndarray, turn: int = 0) -> np.ndarray:
        """(m, n) row numbers of the demonstrations under these weights."""
        score = selection.scores(self.features.matrix, weights)[self.rows]
        n = min(self.n_needed, len(score))
        ranked = self.rows[selection.top(score, self.ties[self.rows], n)]
        how = self.search
        return exemplars.deal(ranked, how.n_groups, how.n_shots, how.exemplars, turn)

    def demos(self, groups: np.ndarray) -> list[list[Demo]]:
        """The demonstrations' texts, group by group."""
        rows = self.pool.iloc[groups.ravel()].to_dict("records")
        demos = [Demo(question_of(row), answer_of(row)) for row in rows]
        n = groups.shape[1]
        return [demos[start : start + n] for start in range(0, len(demos), n)]

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
        """What these weights are worth on the reward's question set."""
        start = time.monotonic()
        groups = self.groups(weights, turn)
        return Evaluation(reward(self.demos(groups), beat, start), self.ids(groups))

    def ask(self, reward: Reward, points: list[np.ndarray]) -> None:
        """Ask for all points together, so that `evaluate` finds answers of each."""
        start = time.monotonic()
        reward.ask([d for w in points for d in self.demos(self.groups(w))], start)

    def key(
        self,
        bounds: tuple[float, float],
        seed: int,
        rewards: str,
        start: list[list[float]],
    ) -> str:
        """Names a search: all that steers it but its length and how it is confirmed."""
        how = self.search.model_dump(
            exclude={"n_iterations", "confirm_top", "warm_start"}
        )
        return digest(
            {
                "features": hashlib.sha256(self.features.matrix.tobytes()).hexdigest(),
                "samples": self.pool["text_hash"].tolist(),
                "shown": hashlib.sha256(self.rows.tobytes()).hexdigest(),
                "names": list(self.features.names),
                "needed": self.n_needed,
                "bounds": list(bounds),
                "search": how,
                "start": start,
                "seed": seed,
                "reward": rewards,
            }
        )


def short_enough(
    pool: pd.DataFrame, renderer: Renderer, room: int | None
) -> np.ndarray:
    """(N,) bool: rows that take at most `room` tokens as one demonstration.

    A text has at most as many tokens as UTF-8 bytes, so only long texts are tokenised.
    """
    if room is None:
        return np.ones(len(pool), dtype=bool)
    bare = len(renderer.render("", [Demo("", "")]).prefix)
    fits = []
    for row in pool.to_dict("records"):
        demo = Demo(question_of(row), answer_of(row))
        n_bytes = sum(len(text.encode("utf-8", "replace")) for text in demo)
        fits.append(
            bare + n_bytes <= room or len(renderer.render("", [demo]).prefix) <= room
        )
    return np.array(fits, dtype=bool)
