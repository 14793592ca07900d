"""Multidimensional two-parameter logistic item response theory (M-2PL).

P(subject l answers question v) = sigmoid(alpha_v . theta_l + beta_v), paper eq. 4, with
discrimination alpha, intercept beta and ability theta. All three are found together as
the mode of their joint posterior, which stays finite for questions that all or no
subjects answer correctly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit

from tmap.errors import TmapError
from tmap.tiny.threads import one_thread

#: With fewer than 10 subjects, a held-out error would depend on a single subject.
MIN_SUBJECTS = 10
#: Share of the answers that is held out to choose D.
HELD_OUT = 0.1
#: Prior sd of beta, of alpha's first dimension (mean 1) and of its others (mean 0). The
#: first dimension is general ability, so it is expected to be positive.
SD_INTERCEPT, SD_GENERAL, SD_SPECIFIC = 3.0, 1.0, 0.5
#: A fit ends when a step improves the loss (tens of thousands of nats) by less than this.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Items:
    """Item parameters: discrimination (n_questions, D) and intercept (n_questions,)."""

    discrimination: np.ndarray
    intercept: np.ndarray

    @property
    def embedding(self) -> np.ndarray:
        """(n_questions, D + 1): E_v = (alpha, beta) of paper 3.4."""
        return np.column_stack([self.discrimination, self.intercept])

    @property
    def difficulty(self) -> np.ndarray:
        """(n_questions,) -beta / |alpha|: ability at which success is even (MDIFF).

        Source: Reckase, The difficulty of test items that measure more than one
        ability, Applied Psychological Measurement 9 (1985).
        """
        length = np.linalg.norm(self.discrimination, axis=1)
        return -self.intercept / np.maximum(length, 1e-9)

    def take(self, index: np.ndarray) -> Items:
        """The items at `index`."""
        return Items(self.discrimination[index], self.intercept[index])


@dataclass(frozen=True)
class Fit:
    """Items, abilities (n_subjects, D) of sd 1; loss (nats) and steps of the optimiser."""

    items: Items
    ability: np.ndarray
    loss: float
    n_steps: int


def probability(ability: np.ndarray, items: Items) -> np.ndarray:
    """(n_subjects, n_questions) success probabilities, paper eq. 4."""
    return expit(ability @ items.discrimination.T + items.intercept)


def fit(responses: np.ndarray, dimensions: int, seed: int = 0) -> Fit:
    """Joint MAP fit of the M-2PL by L-BFGS.

    Parameters
    ----------
    responses : (n_subjects, n_questions) of 1, 0 or NaN (not asked)
    dimensions : D, at least 1
    seed : of the small disturbance of the start that keeps columns different

    Priors: theta ~ N(0, I), alpha_1 ~ N(1, 1), other alpha ~ N(0, 1/4), beta ~ N(0, 9).

    Raises
    ------
    TmapError
        Under 10 subjects or 2 questions.
    """
    matrix = np.asarray(responses, dtype=np.float64)
    _check_size(matrix)
    return mode(matrix, dimensions, seed)


def mode(responses: np.ndarray, dimensions: int, seed: int = 0) -> Fit:
    """`fit` for a part of a history, of however few subjects; float64."""
    with one_thread():
        return _standardised(_minimise(responses, _start(responses, dimensions, seed)))


def _standardised(found: Fit) -> Fit:
    """The same probabilities with abilities of sd 1; equal abilities stay as they are."""
    sd = found.ability.std(axis=0)
    sd[sd == 0] = 1.0
    items = Items(found.items.discrimination * sd, found.items.intercept)
    return replace(found, items=items, ability=found.ability / sd)


def _check_size(matrix: np.ndarray) -> None:
    n_subjects, n_questions = matrix.shape
    if n_subjects < MIN_SUBJECTS or n_questions < 2:
        raise TmapError(
            f"The history has {n_subjects} distinct subjects and {n_questions} "
            f"questions; the item response model needs at least {MIN_SUBJECTS} and 2. "
            "Add subjects to the source under `responses:` in the dataset card, or "
            "remove that key to work without a history."
        )


def _start(
    matrix: np.ndarray, dimensions: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(theta, alpha, beta): accuracies first, then singular vectors of the residual."""
    n_subjects, n_questions = matrix.shape
    asked = ~np.isnan(matrix)
    easiness = logit(np.clip(_mean(matrix, 0), 0.02, 0.98))
    level = logit(np.clip(_mean(matrix, 1), 0.005, 0.995))
    level = (level - level.mean()) / (level.std() + 1e-6)
    theta, alpha = (
        np.zeros((n_subjects, dimensions)),
        np.zeros((n_questions, dimensions)),
    )
    theta[:, 0], alpha[:, 0] = level, 1.0
    if dimensions > 1:
        left = np.where(asked, matrix - expit(level[:, None] + easiness), 0.0)
        u = np.linalg.svd(left - left.mean(axis=1, keepdims=True), full_matrices=False)[
            0
        ]
        u = u[:, : dimensions - 1]
        peak = np.take_along_axis(u, np.abs(u).argmax(axis=0)[None], axis=0)
        # A singular vector's sign is arbitrary; its largest entry is made positive.
        theta[:, 1 : 1 + u.shape[1]] = (
            u * np.where(peak < 0, -1, 1) * n_subjects**0.5 / 2
        )
        noise = np.random.default_rng(seed).standard_normal(
            (n_questions, dimensions - 1)
        )
        alpha[:, 1:] = 0.05 * noise
    return theta, alpha, easiness


def _mean(matrix: np.ndarray, axis: int) -> np.ndarray:
    """Mean over the questions asked; one half if none were."""
    asked = ~np.isnan(matrix)
    count = asked.sum(axis=axis)
    total = np.where(asked, matrix, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), 0.5)


def _minimise(matrix: np.ndarray, start: Sequence[np.ndarray]) -> Fit:
    """Descend in single precision, which is twice as fast, then finish in double."""
    import torch

    near, _, steps = _descend(matrix, start, torch.float32)
    (theta, alpha, beta), loss, more = _descend(matrix, near, torch.float64)
    return Fit(Items(alpha, beta), theta, loss, steps + more)


def _descend(
    matrix: np.ndarray, start: Sequence[np.ndarray], dtype: Any
) -> tuple[list[np.ndarray], float, int]:
    """(theta, alpha, beta), loss and steps of one L-BFGS run."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

    asked = torch.tensor(~np.isnan(matrix))
    weight = None if bool(asked.all()) else asked.to(dtype)
    right = torch.tensor(np.nan_to_num(matrix), dtype=dtype)
    theta, alpha, beta = (
        torch.tensor(x, dtype=dtype, requires_grad=True) for x in start
    )
    mean = torch.zeros(alpha.shape[1], dtype=dtype)
    sd = torch.full_like(mean, SD_SPECIFIC)
    mean[0], sd[0] = 1.0, SD_GENERAL
    optimizer = torch.optim.LBFGS(
        [theta, alpha, beta],
        max_iter=400,
        history_size=10,
        tolerance_grad=1e-3,
        tolerance_change=TOLERANCE,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        logits = theta @ alpha.T + beta
        misfit = cross_entropy(logits, right, weight=weight, reduction="sum")
        prior = ((alpha - mean) / sd).square().sum() + theta.square().sum()
        loss = misfit + (prior + (beta / SD_INTERCEPT).square().sum()) / 2
        loss.backward()
        return float(loss.detach())

    optimizer.step(closure)
    steps = int(optimizer.state[theta]["n_iter"])
    found = [x.detach().double().numpy().copy() for x in (theta, alpha, beta)]
    return found, closure(), steps


def ability_map(
    responses: np.ndarray, items: Items, max_steps: int = 50, tolerance: float = 1e-9
) -> np.ndarray:
    """Most probable abilities given known items and a N(0, I) prior, by damped Newton.

    The prior keeps the ability of an all-right or all-wrong subject finite.

    Parameters
    ----------
    responses : (n_subjects, n_questions) of 1, 0 or NaN (not asked)
    items : of the same n_questions
    max_steps, tolerance : stop after `max_steps`, or when no posterior changes by more
        than `tolerance` (nats)

    Returns
    -------
    (n_subjects, D) float64.
    """
    matrix = np.asarray(responses, dtype=np.float64)
    asked, right = ~np.isnan(matrix), np.nan_to_num(matrix)
    alpha = items.discrimination
    n_dimensions = alpha.shape[1]
    outer = (alpha[:, :, None] * alpha[:, None, :]).reshape(len(alpha), -1)

    def loss(theta: np.ndarray) -> np.ndarray:
        logits = theta @ alpha.T + items.intercept
        misfit = np.where(asked, np.logaddexp(0, logits) - right * logits, 0.0)
        return misfit.sum(axis=1) + (theta**2).sum(axis=1) / 2

    theta = np.zeros((len(matrix), n_dimensions))
    before = loss(theta)
    for _ in range(max_steps):
        p = probability(theta, items)
        gradient = (asked * (p - right)) @ alpha + theta
        hessian = ((asked * p * (1 - p)) @ outer).reshape(
            -1, n_dimensions, n_dimensions
        )
        hessian += np.eye(n_dimensions)
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        after = loss(theta - step)
        for _ in range(30):  # halve a step that overshoots
            worse = after > before
            if not worse.any():
                break
            step[worse] /= 2
            after = loss(theta - step)
        step[after > before] = 0.0
        theta = theta - step
        if np.all(before - after <= tolerance):
            break
        before = np.minimum(before, after)
    return theta


def held_out_loss(responses: np.ndarray, dimensions: int, seed: int = 0) -> float:
    """Mean log-loss of answers that the fit has not seen: a tenth, drawn at random.

    Parameters
    ----------
    responses : (n_subjects, n_questions) float64 of 1, 0 or NaN
    seed : of the draw and the fit; every D is judged on the same answers

    Returns
    -------
    Nats per answer; ln 2 is that of guessing.
    """
    given = np.flatnonzero(~np.isnan(responses))
    n = max(1, round(HELD_OUT * len(given)))
    held = np.random.default_rng(seed).choice(given, n, replace=False)
    seen = responses.copy()
    seen.flat[held] = np.nan
    found = mode(seen, dimensions, seed)
    logits = found.ability @ found.items.discrimination.T + found.items.intercept
    sign = 1 - 2 * responses.flat[held]
    return float(np.logaddexp(0, sign * logits.flat[held]).mean())


def choose_dimension(
    responses: np.ndarray, candidates: Sequence[int], seed: int = 0
) -> tuple[int, dict[int, float]]:
    """The D with the smallest held-out loss, and the loss of every candidate.

    If losses are equal, the smaller D wins.

    Raises
    ------
    TmapError
        Under 10 subjects or 2 questions.
    """
    _check_size(responses)
    losses = {d: held_out_loss(responses, d, seed) for d in sorted(set(candidates))}
    return min(losses, key=lambda d: (losses[d], d)), losses
