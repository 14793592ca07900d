"""Which groups to ask: rows and questions dealt so that answers tell columns apart.

Rows come from a shuffled deck, so that none is shown twice before all were shown once;
questions from another. Spread groups: a block of rows is sorted along one direction in
the space of the columns and cut into groups of neighbours, so that the means of groups
spread as far as single rows do, where random groups of n have a variance n times as
small. Dividing groups: rows that only one of two candidate selections would take, the
two drawn from what is known so far; their answers decide between the two.
"""

from __future__ import annotations

from collections.abc import Sequence

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

    def deal(self, n: int) -> np.ndarray:
        """(n,) numbers; equal ones only where n is larger than the deck."""
        while len(self.left) < n:
            self.left = np.concatenate([self.left, self.rng.permutation(self.values)])
        dealt, self.left = self.left[:n], self.left[n:]
        return dealt


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
        return self._groups(self.rows.deal(n * self.n_shots).reshape(n, -1))

    def spread(self, n: int) -> list[Group]:
        """n groups of rows that are alike in one column, another one for each block."""
        found: list[Group] = []
        while len(found) < n:
            size = min(BLOCK, n - len(found))
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
        halves = []
        for mine, other, size in ((first, second, n - n // 2), (second, first, n // 2)):
            own = self.rng.permutation(np.setdiff1d(mine, other))
            own = own[np.isin(own, self.rows.values)]
            need = size * self.n_shots
            fill = self.rows.deal(max(0, need - len(own)))
            halves.append(np.concatenate([own, fill])[:need].reshape(size, -1))
        return self._groups(np.concatenate(halves))

    def _groups(self, rows: np.ndarray) -> list[Group]:
        found = []
        for group in rows:
            shown = self.rng.permutation(group)
            asked = self.questions.deal(self.per_group)
            found.append(Group(tuple(shown.tolist()), tuple(asked.tolist())))
        return found
