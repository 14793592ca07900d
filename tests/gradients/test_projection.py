"""The projection keeps inner products within its stated bound."""

import numpy as np
import pytest
import torch

from tmap.gradients import projection
from tmap.gradients.projection import WIDTH, Projection

N = 300


def project(vectors, dim=256, nonzeros=8, seed=0, name="w"):
    total = torch.zeros(len(vectors), dim)
    Projection(dim, nonzeros, seed).add(
        total, name, torch.as_tensor(vectors, dtype=torch.float32)
    )
    return total.numpy().astype(np.float64)


@pytest.mark.parametrize("nonzeros", [1, 8, 64])
def test_a_column_has_one_sign_per_block(nonzeros):
    columns = project(np.eye(N), 64, nonzeros)
    blocks = columns.reshape(N, nonzeros, 64 // nonzeros)
    assert ((blocks != 0).sum(axis=2) == 1).all()
    assert np.allclose(np.abs(blocks).sum(axis=2), nonzeros**-0.5)
    assert abs(np.sign(columns).sum()) < 5 * np.sqrt(N * nonzeros)  # as many of each


@pytest.mark.parametrize("nonzeros", [1, 8, 64])
def test_inner_products_are_right_on_average_and_vary_within_the_bound(nonzeros):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, N)) / np.sqrt(N)
    y = 0.6 * x + 0.8 * y
    found = []
    for seed in range(400):
        a, b = project(np.stack([x, y]), 64, nonzeros, seed)
        found.append(a @ b)
    bound = 2 * (x @ x) * (y @ y) / 64
    assert np.mean(found) == pytest.approx(x @ y, abs=4 * np.sqrt(bound / 400))
    assert np.var(found) < 1.25 * bound  # 400 draws: sd of the estimate is 7 %


def test_at_the_default_size_few_pairs_are_off_by_more_than_a_twentieth():
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((60, 4000)) * rng.exponential(size=4000)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    short = project(vectors, 8192)
    off = np.abs(short @ short.T - vectors @ vectors.T)[np.triu_indices(60)]
    assert (off > 0.05).mean() <= 2 / (8192 * 0.05**2)


def test_parts_come_in_any_order_and_company():
    rng = np.random.default_rng(3)
    first, second = rng.standard_normal((3, WIDTH + 5)), rng.standard_normal((3, 40))
    one = project(first, name="a") + project(second, name="b")
    alone = project(first[1:2], name="a") + project(second[1:2], name="b")
    assert np.allclose(one[1:2], alone, atol=1e-6)
    assert not np.allclose(project(second, name="a"), project(second, name="b"))
    assert not np.allclose(project(second, seed=0), project(second, seed=1))


@pytest.mark.parametrize(
    ("room", "again"), [(2**30, 0), (100 * 10 * 8 * 5, 300), (0, 400)]
)
def test_what_fits_is_drawn_once_though_parts_come_in_a_cycle(monkeypatch, room, again):
    """400 weights, as a real proxy has, of 10 coordinates at 8 places of 5 bytes."""
    monkeypatch.setattr(projection, "KEPT", room)
    one = Projection(64, 8, 0)
    drawn, draw = [], one._draw
    monkeypatch.setattr(one, "_draw", lambda *key: (drawn.append(key), draw(*key))[1])
    part, totals = torch.ones(1, 10), [torch.zeros(1, 64), torch.zeros(1, 64)]
    for total in totals:
        for i in range(400):
            one.add(total, f"w{i}", part)
    assert len(drawn) == 400 + again
    assert torch.equal(*totals)
    held = sum(t.nbytes for pair in one._kept.values() for t in pair)
    assert held <= room


def test_a_size_that_the_blocks_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="not a multiple"):
        Projection(100, 8, 0)
