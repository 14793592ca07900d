"""The proxy certificate: its subsets, correlation and verdict."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import finished_runs
from tmap import dag
from tmap.artifacts import tables
from tmap.commands import certify_proxy, choose_sentinels
from tmap.comparison import metrics, runs
from tmap.errors import TmapError
from tmap.search import certificate
from tmap.selection.features import Features


@pytest.mark.parametrize(
    ("rho", "low", "high", "said"),
    [
        (0.8, 0.31, 0.9, "trust"),
        (0.8, 0.30, 0.9, "weak"),
        (0.2, -0.2, 0.6, "weak"),
        (0.0, -0.5, 0.5, "abstain"),
        (-0.4, -0.8, 0.2, "abstain"),
        (0.1, 0.0, 0.29, "abstain"),
    ],
)
def test_the_verdict_follows_the_three_lines_of_its_definition(rho, low, high, said):
    assert certificate.verdict(rho, low, high) == said


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=9)
)
def test_the_correlation_is_scipys_with_ties(pairs):
    a, b = (np.array(values, dtype=float) for values in zip(*pairs, strict=True))
    mine = certificate.spearman(a[None], b[None])[0]
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert mine == 0
    else:
        assert mine == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_the_permutation_p_is_scipys_exact_one():
    rewards = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    accuracies = np.array([0.2, 0.1, 0.3, 0.5, 0.4, 0.6])
    exact = stats.permutation_test(
        (rewards,),
        lambda x: stats.spearmanr(x, accuracies).statistic,
        permutation_type="pairings",
        alternative="greater",
        n_resamples=np.inf,
    ).pvalue
    assert certificate.judge(rewards, accuracies)["p"] == pytest.approx(
        exact, abs=0.006
    )


def test_the_interval_is_scipys_percentile_bootstrap_of_pairs():
    rng = np.random.default_rng(1)
    rewards = rng.random(14)
    accuracies = rewards + rng.normal(0, 0.25, 14)
    theirs = stats.bootstrap(
        (rewards, accuracies),
        lambda a, b: stats.spearmanr(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=1500,
        confidence_level=0.9,
        method="percentile",
        rng=3,
    ).confidence_interval
    mine = certificate.judge(rewards, accuracies)["interval"]
    assert mine == pytest.approx([theirs.low, theirs.high], abs=0.06)


def test_a_useless_proxy_is_not_trusted_and_a_good_one_is():
    rng = np.random.default_rng(0)
    said = {"useless": [], "good": [], "opposite": []}
    for seed in range(60):
        quality = rng.random(12)
        rewards = {
            "useless": rng.random(12),
            "good": quality + rng.normal(0, 0.03, 12),
            "opposite": -quality + rng.normal(0, 0.2, 12),
        }
        for name, reward in rewards.items():
            said[name].append(certificate.judge(reward, quality, seed)["verdict"])
    assert said["good"].count("trust") >= 57
    assert said["opposite"].count("abstain") >= 57
    assert said["useless"].count("trust") <= 3
    assert said["useless"].count("abstain") >= 25  # rho at most 0 in half of the worlds


def test_equal_rewards_rank_nothing_and_abstain():
    found = certificate.judge(np.full(12, 0.5), np.arange(12.0))
    assert found["verdict"] == "abstain"
    assert "all rewards are equal" in found["reason"]


def trace(n=30, k=3, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.random((n, k))
    frame = pd.DataFrame({"weights": list(points), "reward": points[:, 0]})
    frame["iteration"], frame["raced"] = range(n), False
    matrix = rng.random((80, k))
    pool = pd.DataFrame({"sample_id": [f"s{i:03d}" for i in range(80)]})
    pool["text_hash"] = pool["sample_id"]
    return pool, Features(list("abc")[:k], matrix, [], {}), frame


def test_half_of_the_sentinels_are_near_the_incumbent_and_half_span_the_rewards():
    pool, columns, frame = trace()
    best = int(frame["reward"].idxmax())
    found = certificate.sentinels(pool, columns, frame, {"iteration": best}, 0.3, 12)
    roles = [one["role"] for one in found["sentinels"]]
    assert (roles.count("near"), roles.count("spread")) == (6, 6)
    assert len({one["iteration"] for one in found["sentinels"]}) == 12
    near = [one for one in found["sentinels"] if one["role"] == "near"]
    assert near[0]["iteration"] == best
    spread = [one["reward"] for one in found["sentinels"] if one["role"] == "spread"]
    left = frame["reward"].drop([one["iteration"] for one in near])
    assert (min(spread), max(spread)) == (left.min(), left.max())
    shared = np.array(found["jaccard"])
    assert np.allclose(np.diag(shared), 1) and np.allclose(shared, shared.T)
    assert (shared[~np.eye(12, dtype=bool)] < 1).all()
    low, median, high = found["jaccard_range"]
    assert 0 <= low <= median <= high < 1


def test_points_that_select_the_same_rows_count_once():
    pool, columns, frame = trace(n=11)
    doubled = pd.concat([frame] * 3, ignore_index=True)
    doubled["iteration"] = range(33)
    found = certificate.sentinels(pool, columns, doubled, {"iteration": 0}, 0.3, 12)
    assert found["sentinels"] == []
    assert "11 different subsets in full, and 12" in found["reason"]


def test_raced_points_have_partial_rewards_and_are_no_sentinels():
    pool, columns, frame = trace(n=40)
    frame.loc[frame.index % 2 == 0, "raced"] = True
    frame.loc[frame["raced"], "reward"] = 7.0
    found = certificate.sentinels(pool, columns, frame, {"iteration": 39}, 0.3, 12)[
        "sentinels"
    ]
    assert len(found) == 12 and all(one["iteration"] % 2 for one in found)
    for one in found:
        row = frame.loc[one["iteration"]]
        assert one["weights"] == list(row["weights"]) and one["reward"] == row["reward"]
    frame.loc[:16, "raced"] = True
    frame.loc[28:38, "raced"] = True
    few = certificate.sentinels(pool, columns, frame, {"iteration": 39}, 0.3, 12)
    assert few["sentinels"] == [] and "different subsets in full" in few["reason"]


def grouped(abstains=False):
    """weights.json of a group search whose line knows only column a."""
    line = {"coefficients": [0.4, 0.0, 0.0], "mean_columns": [0.5] * 3, "mean": 0.6}
    about = {"weights": [1.0, 0.0, 0.0], "abstains": abstains, "groups": line}
    return {**about, "seed": 3, "iteration": None}


def test_a_group_search_offers_selections_by_the_accuracy_that_its_line_predicts():
    pool, columns, frame = trace()
    found = certificate.sentinels(pool, columns, frame.head(4), grouped(), 0.3, 12)

    order = np.argsort(-columns.matrix[:, 0])[:24]
    best = 0.6 + 0.4 * (columns.matrix[order, 0].mean() - 0.5)
    chosen = [one for one in found["sentinels"] if one["iteration"] == 0]
    assert chosen[0]["role"] == "near"
    assert chosen[0]["reward"] == pytest.approx(best)
    rewards = [one["reward"] for one in found["sentinels"]]
    assert max(rewards) == chosen[0]["reward"]
    assert min(rewards) < best - 0.1


def test_a_group_search_that_learned_nothing_offers_no_sentinels():
    pool, columns, frame = trace()
    found = certificate.sentinels(pool, columns, frame, grouped(True), 0.3, 12)
    assert found["sentinels"] == []
    assert found["reason"] == "the search learned nothing from its groups"


@pytest.mark.parametrize("incumbent", [None, 3])
def test_equal_rewards_offer_no_sentinels(incumbent):
    pool, columns, frame = trace()
    frame["reward"] = 0.4
    found = certificate.sentinels(
        pool, columns, frame, {"iteration": incumbent}, 0.3, 12
    )
    assert found["sentinels"] == [] and "all rewards" in found["reason"]


def test_a_flat_reward_abstains_through_the_files_of_the_commands(tmp_path):
    """Two finished searches, one flat: choose-sentinels, certify-proxy, metrics."""
    finished = finished_runs.table(tmp_path, n=60)
    room = tmp_path / finished_runs.ROOM / "tmap" / "s0"
    frame = tables.read("trace", room / "trace.parquet")
    frame["reward"] = 0.4
    tables.write("trace", frame, room / "trace.parquet", code="def", seed=0)
    about = json.loads((room / "weights.json").read_text())
    (room / "weights.json").write_text(
        json.dumps(about | {"iteration": None, "abstains": True})
    )
    pool, columns = room / "pool.parquet", []
    rows = pd.DataFrame({"sample_id": [f"s{i}" for i in range(20)]})
    for name in ("instruction", "input", "response", "source", "text_hash"):
        rows[name] = rows["sample_id"]
    rows["turns"] = [[] for _ in range(20)]
    tables.write("pool", rows, pool, code="")
    for name in ("ifd", "output_length", "perplexity"):
        scored = rows[["sample_id"]].assign(score=np.arange(20.0), status="ok")
        columns.append(room / f"{name}.parquet")
        tables.write("indicator", scored, columns[-1], code="")
    anchor = {"anchor_set": "tiny", "question_id": "r1", "weight": 1.0, "cluster": 0}
    tiny = pd.DataFrame([anchor | {"girth_difficulty": 0.0}])
    tables.write("tiny", tiny, room / "tiny.parquet", code="")
    sentinels, output = room / "sentinels.json", room / "certificate.json"
    choose_sentinels.run(
        "arith",
        "tiny",
        "tmap",
        pool,
        room / "trace.parquet",
        room / "weights.json",
        sentinels,
        columns,
    )
    assert (
        dag.certificate.sentinel_runs("arith", "tiny", "tmap", "0", str(sentinels))
        == []
    )
    certify_proxy.run("arith", "tmap", sentinels, room / "tiny.parquet", output)
    found = json.loads(output.read_text())
    assert (found["verdict"], found["recommended"]) == ("abstain", "random")
    assert found["n_sentinels"] == 0 and found["rho"] is None
    loaded = runs.load([*finished, output], finished_runs.question_ids(60))
    said = metrics._proxy(loaded.searches_of("tmap"))
    assert said == (
        " Proxy: abstain (all rewards of the search are equal, so they rank nothing); "
        "recommended instead: random."
    )


def answers(accuracies, n=200):
    """Predictions per sentinel and seed; the first 50 questions were seen, all right."""
    found = []
    for share in accuracies:
        right = np.ones(n, dtype=bool)
        right[50:] = np.arange(n - 50) < round(share * (n - 50))
        ids = [f"q{i}" for i in range(n)]
        frame = pd.DataFrame({"question_id": ids, "is_correct": right})
        found.append([frame, frame])
    return found


def about(rewards):
    return {
        "sentinels": [
            {"iteration": i, "weights": [1.0], "reward": float(r), "role": "spread"}
            for i, r in enumerate(rewards)
        ],
        "jaccard": [],
        "jaccard_range": [0, 0, 0],
    }


def test_a_planted_useless_proxy_abstains_and_recommends_the_safe_choice():
    """Rewards fall as accuracies rise: only questions outside the tiny set count."""
    seen = {f"q{i}" for i in range(50)}
    accuracies = np.linspace(0.2, 0.8, 12)
    bad = certificate.certify(
        about(accuracies[::-1]), answers(accuracies), seen, "tmap", "random"
    )
    assert (bad["verdict"], bad["recommended"]) == ("abstain", "random")
    assert bad["sentinels"][0]["accuracy"] == pytest.approx(0.2)
    assert bad["n_questions"] == 150
    good = certificate.certify(
        about(accuracies), answers(accuracies), seen, "tmap", "random"
    )
    assert (good["verdict"], good["recommended"]) == ("trust", "tmap")


def test_a_search_that_asked_everything_cannot_be_certified():
    seen = {f"q{i}" for i in range(200)}
    with pytest.raises(TmapError, match="every reward question"):
        certificate.certify(about(range(12)), answers([0.5] * 12), seen, "tmap", "full")


def test_sentinels_that_were_not_all_measured_are_refused():
    with pytest.raises(TmapError, match="12 sentinels were chosen, and 11"):
        certificate.certify(
            about(range(12)), answers([0.5] * 11), set(), "tmap", "full"
        )


def test_a_consensus_is_certified_for_each_of_its_models():
    files = dag.comparison.measured("arith", "tiny", ["consensus"], 3, ["consensus"])
    assert "results/arith/tiny/consensus/s0/certificate.json" in files
    place = runs.locate("results/arith/tiny/consensus/s0/certificate.json")
    search = runs.locate("results/arith/consensus-consensus/s0/weights.json")
    assert place == search._replace(name="certificate.json")  # joined by runs.load


def test_sentinels_are_measured_on_reward_questions_only():
    runs = dag.certificate.sentinel_runs("arith", "tiny", "tmap", "0")
    assert len(runs) == 24
    for path in runs:
        part = path.split("/")[5]
        assert dag.variants.part_questions("arith", part).endswith(
            "questions_reward.parquet"
        )
    assert dag.variants.part_questions("arith", "f0.1").endswith(
        "questions_test.parquet"
    )
