"""Which groups to ask: rows and questions dealt so that answers tell columns apart.

Rows come from a shuffled deck, so that none is dealt twice before all were dealt once;
questions from another. Spread groups: a block of rows is sorted along one direction in
the space of the columns and cut into groups of neighbours, so that the means of groups
spread as far as single rows do, where random groups of n have a variance n times as
small. Dividing groups: rows that only one of two candidate selections would take, the
two drawn from what is known so far; their answers decide between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tmap.groups.probe import Group

#: Groups that are sorted along one direction.
BLOCK = 24


class Deck:
    """Numbers in random order, shuffled again whenever all were dealt.

    Parameters
    ----------
    values : what is dealt
    rng : of the order
    """

    def __init__(self, values: Sequence[int] | np.ndarray, rng: np.random.Generator):
        self.values, self.rng = np.asarray(values), rng
        self.left = np.empty(0, dtype=self.values.dtype)

    def deal(self, n: int, apart: Sequence[int] | np.ndarray = ()) -> np.ndarray:
        """(n,) numbers, none of them in `apart`; equal ones only if n exceeds the deck.

        Parameters
        ----------
        apart : fewer numbers than the deck has; they keep their turn for later
        """
        wait = self._waiting(apart)
        while len(self.left) - len(wait) < n:
            again = self.rng.permutation(self.values)
            again = again[~np.isin(again, self.left[wait])]  # still have their turn
            held = np.isin(again, self.left)  # are dealt now, so again last
            self.left = np.concatenate([self.left, again[~held], again[held]])
            wait = self._waiting(apart)
        if len(wait):
            self.left = np.concatenate([np.delete(self.left, wait), self.left[wait]])
        dealt, self.left = self.left[:n], self.left[n:]
        return dealt

    def _waiting(self, apart: Sequence[int] | np.ndarray) -> np.ndarray:
        """Places in what is left."""
        return np.flatnonzero(np.isin(self.left, apart) if len(apart) else [])


class Design:
    """Deals groups.

    Parameters
    ----------
    matrix : (N, K) float64, normalised columns of the pool
    rows : numbers of the rows that may be shown
    n_shots : rows of a group
    n_questions : questions to choose from
    per_group : questions of a group
    seed : of everything that is drawn
    """

    def __init__(
        self,
        matrix: np.ndarray,
        rows: np.ndarray,
        n_shots: int,
        n_questions: int,
        per_group: int,
        seed: int,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.matrix, self.n_shots, self.per_group = matrix, n_shots, per_group
        self.rows = Deck(rows, self.rng)
        self.questions = Deck(np.arange(n_questions), self.rng)
        self.directions = Deck(np.arange(matrix.shape[1]), self.rng)

    def random(self, n: int) -> list[Group]:
        """n groups of random rows."""
        return self._groups([self.rows.deal(self.n_shots) for _ in range(n)])

    def spread(self, n: int) -> list[Group]:
        """n groups of rows that are alike in one column, another one for each block.

        A pool of few rows has smaller blocks, so that no group has a row twice.
        """
        found: list[Group] = []
        most = min(BLOCK, max(1, len(self.rows.values) // self.n_shots))
        while len(found) < n:
            size = min(most, n - len(found))
            rows = self.rows.deal(size * self.n_shots)
            (column,) = self.directions.deal(1)
            order = np.argsort(self.matrix[rows, column], kind="stable")
            found += self._groups(rows[order].reshape(size, -1))
        return [found[i] for i in self.rng.permutation(n)]

    def dividing(self, n: int, first: np.ndarray, second: np.ndarray) -> list[Group]:
        """n groups, half of rows that only the first selection takes, half of the second's.

        Parameters
        ----------
        first, second : row numbers of two selections; random rows fill up where they
            differ in too few
        """
        found: list[np.ndarray] = []
        for mine, other, size in ((first, second, n - n // 2), (second, first, n // 2)):
            own = self.rng.permutation(np.setdiff1d(mine, other))
            own = own[np.isin(own, self.rows.values)]
            for start in range(0, size * self.n_shots, self.n_shots):
                rows = own[start : start + self.n_shots]
                if short := self.n_shots - len(rows):
                    rows = np.concatenate([rows, self.rows.deal(short, apart=rows)])
                found.append(rows)
        return self._groups(found)

    def _groups(self, rows: Iterable[np.ndarray]) -> list[Group]:
        found = []
        for group in rows:
            shown = self.rng.permutation(group)
            asked = self.questions.deal(self.per_group)
            found.append(Group(tuple(shown.tolist()), tuple(asked.tolist())))
        return found
