"""`less` and `evoselect` on gradients that are known, against plain dense formulas."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

import gradient_files
from gradient_files import DIM, RATES, unit, write
from sinkhorn import primal
from tmap import indicators
from tmap.artifacts import tables
from tmap.errors import TmapError
from tmap.gradients import similarity as features
from tmap.indicators.evoselect import costs
from tmap.indicators.less import influence

N, Q = 30, 4


@pytest.fixture
def world(tmp_path):
    """Files as rule `gradients` writes them, pool in another order, and the arrays."""
    rng = np.random.default_rng(0)
    given, asked = unit(rng, N), unit(rng, Q)
    status = ["ok"] * N
    status[3], status[7] = "empty", "failed"
    names = [f"s{i:02d}" for i in range(N)]
    ids = [f"q{i}" for i in range(Q)]
    files = write(
        tmp_path,
        (names, status, given),
        (ids, ["ok"] * (Q - 1) + ["empty"], asked),
        ["a", "a", "b", "b"],
    )
    hashes = [f"{i * 7 % N:016x}" for i in range(N)]
    pool = pd.DataFrame({"sample_id": names, "text_hash": hashes})[::-1]
    return files, pool, given, asked


def dense(world):
    """(n_pool, n_questions) similarities of the usable ones, row by row."""
    _, _, given, asked = world
    return np.array(
        [
            [
                sum(RATES[c] * given[c, i] @ asked[c, j] for c in (0, 1))
                for j in range(3)
            ]
            for i in range(N)
        ]
    )


def test_influence_is_the_mean_within_a_subtask_and_the_best_subtask():
    near = np.array([[0.3, 0.1, 0.25]])
    assert influence(near, np.array(["a", "a", "b"])) == pytest.approx([0.25])
    assert influence(near, np.array(["", "", ""])) == pytest.approx([0.65 / 3])


def test_checkpoints_count_by_their_learning_rate(world):
    files, pool, *_ = world
    found = indicators.get("less")(pool, features.read(files))
    near = dense(world)
    expected = np.maximum(near[:, :2].mean(axis=1), near[:, 2])
    for name, score, status in zip(pool["sample_id"], *found[:2], strict=True):
        i = int(name[1:])
        if i in (3, 7):
            assert (status, np.isnan(score)) == (("empty", "failed")[i == 7], True)
        else:
            assert score == pytest.approx(expected[i], abs=2e-3)  # float16 on disk


def test_blocks_do_not_show(world, monkeypatch):
    files, *_ = world
    rows, p = np.array([5, 0, 29, 11, 2]), np.array([0.1, 0.2, 0.3, 0.15, 0.25])
    read = features.read(files)
    whole = read.similarities(rows, np.arange(3)), read.mean(rows, p)
    along = read.along(rows, whole[1])
    monkeypatch.setattr(features, "BLOCK", 2)
    assert read.similarities(rows, np.arange(3)) == pytest.approx(whole[0], abs=1e-6)
    assert read.mean(rows, p) == pytest.approx(whole[1], abs=1e-6)
    given = world[2][:, rows].astype(float)
    assert whole[1] == pytest.approx(np.einsum("n,cnd->cd", p, given), abs=1e-3)
    kernel = sum(r * g @ g.T for r, g in zip(RATES, given, strict=True))
    assert along == pytest.approx(kernel @ p, abs=1e-3)


@pytest.mark.parametrize("name", ["less", "evoselect"])
def test_another_order_of_pool_files_and_ids_gives_the_same_bits(
    world, tmp_path, monkeypatch, name
):
    """As if the source had its rows in another order, which ids and files follow."""
    monkeypatch.setattr(features, "BLOCK", 8)
    files, pool, given, asked = world
    first = indicators.get(name)(pool, features.read(files))
    order = np.random.default_rng(5).permutation(N)
    kept = features.read(files).candidates["status"].to_numpy()[order]
    (tmp_path / "other").mkdir()
    ids = [f"q{i}" for i in range(Q)]
    others = write(
        tmp_path / "other",
        ([f"t{i:02d}" for i in range(N)], kept, given[:, order]),
        (ids, ["ok"] * (Q - 1) + ["empty"], asked),
        ["a", "a", "b", "b"],
    )
    turned = pool.set_index("sample_id").loc[[f"s{i:02d}" for i in order]]
    turned = turned.assign(sample_id=[f"t{i:02d}" for i in range(N)])
    again = indicators.get(name)(turned, features.read(others))
    one = dict(zip(pool["text_hash"], first.score, strict=True))
    other = dict(zip(turned["text_hash"], again.score, strict=True))
    assert np.array_equal(
        [one[h] for h in one], [other[h] for h in one], equal_nan=True
    )


@pytest.mark.parametrize("cost", ["cosine", "euclidean"])
def test_evoselect_lowers_its_objective_and_its_weights_add_up(world, cost):
    files, pool, *_ = world
    options = {"cost": cost, "mu": 0.5, "steps": 4}
    found = indicators.get("evoselect")(pool, features.read(files), **options)
    known = found.status == "ok"
    assert known.sum() == N - 2
    assert logsumexp(found.score[known] - np.log(N - 2)) == pytest.approx(0, abs=1e-9)
    assert "warning" not in found.notes
    told, near = found.notes["objective"], dense(world)
    where = [int(name[1:]) for name in pool["sample_id"][known]]
    given = world[2].astype(float)[:, where]
    kernel = sum(r * g @ g.T for r, g in zip(RATES, given, strict=True))
    again = []
    for steps in range(len(told)):
        options["steps"] = steps
        score = indicators.get("evoselect")(pool, features.read(files), **options).score
        p = np.exp(score[known]) / (N - 2)
        apart = costs(near[where], cost)
        again.append(primal(p, apart, 0.05) + 0.5 * float(p @ kernel @ p))
    assert len(told) == 5 and again == pytest.approx(told, abs=5e-3)  # float16 on disk
    assert (np.diff(again) < 0).all()


def test_a_transport_that_has_not_converged_is_told(world):
    files, pool, *_ = world
    found = indicators.get("evoselect")(
        pool, features.read(files), regularisation=1e-4, steps=2
    )
    assert "raise regularisation above 0.0001" in found.notes["warning"]


def test_evoselect_prefers_what_stands_near_the_questions(world):
    files, pool, given, asked = world
    given = given.copy()
    given[:, 4] = asked[:, 0]  # the first question itself
    np.save(files[1], given.astype(np.float16))
    found = indicators.get("evoselect")(pool, features.read(files), steps=3)
    assert pool["sample_id"].iloc[np.nanargmax(found.score)] == "s04"


def test_costs_are_distances_of_unit_vectors():
    near = np.array([1.0000001, 0.5, -1.0])
    assert costs(near, "cosine") == pytest.approx([0, 0.5, 2])
    assert costs(near, "euclidean") == pytest.approx([0, 1, 2])


def test_a_misspelt_cost_is_told_with_the_nearest(world):
    files, pool, *_ = world
    with pytest.raises(TmapError, match="Did you mean 'cosine'"):
        indicators.get("evoselect")(pool, features.read(files), cost="cosin")


def test_a_pool_with_other_rows_and_files_that_disagree_are_refused(world):
    files, pool, *_ = world
    read = features.read(files)
    with pytest.raises(TmapError, match="lack 1 samples"):
        features.aligned(read, pd.concat([pool, pool[:1].assign(sample_id="new")]))
    np.save(files[1], np.zeros((1, N, DIM), np.float16))
    with pytest.raises(TmapError, match="2 checkpoints"):
        features.read(files)


def test_without_a_usable_question_there_is_nothing_to_aim_at(world):
    files, *_ = world
    nothing = gradient_files.table([f"q{i}" for i in range(Q)], ["empty"] * Q)
    tables.write("gradients", nothing, files[2], code="test", rates=RATES)
    with pytest.raises(TmapError, match="there is no target"):
        features.read(files)
