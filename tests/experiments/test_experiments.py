"""Tables of experiments: what is in a cell, and how it is printed."""

import csv
import io
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import finished_runs
from project import ROOT
from tmap import cards, dag, experiments
from tmap.artifacts import schemas, tables
from tmap.artifacts.files import write_json
from tmap.cards import validate
from tmap.cards.experiment import ExperimentCard
from tmap.errors import TmapError
from tmap.experiments import arms, cost, estimates, overlap, render, shots, weights
from tmap.experiments.cells import Cells


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A working directory with cards for the dataset `toy` and the models a and b."""
    texts = {
        "datasets/toy": "task: generation\npool: {path: p.jsonl}\n"
        "questions: {path: q.jsonl}\n",
        "models/small": "source: {path: m}\n",
        "models/large": "source: {path: m}\n",
        "methods/tmap": "weights: learned\nindicators: [ifd, output_length, perplexity]\n",
        "methods/uniform": "weights: uniform\nindicators: [ifd, output_length]\n",
    }
    for name, text in texts.items():
        path = tmp_path / "cards" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMAP_CARDS", str(tmp_path / "cards"))
    cards._load.cache_clear()
    return tmp_path


def card(**values):
    base = {"kind": "accuracy", "datasets": ["toy"], "models": ["small", "large"]}
    base["methods"] = ["base", "random", "uniform", "tmap"]
    return ExperimentCard(**base | values)


@pytest.fixture
def measured(room, monkeypatch):
    for model in ("small", "large"):
        monkeypatch.setattr(finished_runs, "ROOM", f"results/toy/{model}")
        finished_runs.table(room, n=300)
    a_pool(room, 20)
    for name in ("tiny", "confirm"):
        asks(room, name, "reward-0")
    return room


def a_pool(room, n, **notes):
    rows = pd.DataFrame(index=range(n), columns=list(schemas.SCHEMAS["pool"].columns))
    rows = rows.fillna("").assign(turns=None)
    tables.write("pool", rows, room / "results/toy/pool.parquet", code="", **notes)


def asks(room, name, question):
    """A tiny or confirm set of one question."""
    row = {"anchor_set": "kmeans", "question_id": question, "weight": 1.0}
    row |= {"cluster": 0, "girth_difficulty": 0.0}
    frame = pd.DataFrame([row])
    tables.write("tiny", frame, room / f"results/toy/{name}.parquet", code="")


@pytest.mark.parametrize("name", cards.names("experiments"))
def test_every_shipped_experiment_loads_and_names_cards_that_exist(name):
    found = cards.load("experiments", name)
    assert found.description
    for kind in ("models", "methods"):
        assert set(getattr(found, kind)) <= set(cards.names(kind))


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "config/embedded/experiments").glob("*.yaml")),
    ids=lambda p: p.stem,
)
def test_every_embedded_experiment_names_cards_that_exist(path, monkeypatch):
    monkeypatch.setenv("TMAP_CARDS", str(ROOT / "config/embedded"))
    cards._load.cache_clear()
    found = cards.load("experiments", path.stem)
    for kind in ("datasets", "models", "methods"):
        assert set(getattr(found, kind)) <= set(cards.names(kind))


def test_an_empty_cell_says_why_below_the_table():
    rows = [{"row": r, "column": "c", "value": np.nan, "low": np.nan} for r in "ab"]
    cells = Cells(rows, "s", lines=["A line."])
    cells.frame = pd.DataFrame(rows).assign(note="no benchmark file", better="")
    for key in ("high", "strict", "flexible", "numeric"):
        cells.frame[key] = np.nan
    page = render.markdown(cells, "t")
    assert "- A line.\n- Empty, no benchmark file: a (c), b (c)" in page


def test_columns_go_model_by_model_as_the_papers_do(measured):
    how = card(models=["small", "large"])
    frame = experiments.build(how).frame
    assert list(dict.fromkeys(frame["column"])) == ["small", "large"]
    folder = measured / "cards/datasets"
    (folder / "other.yaml").write_text((folder / "toy.yaml").read_text())
    shutil.copytree(measured / "results/toy", measured / "results/other")
    frame = experiments.build(card(datasets=["toy", "other"])).frame
    assert list(dict.fromkeys(frame["column"])) == [
        "small toy",
        "small other",
        "large toy",
        "large other",
    ]


def test_the_paper_s_tables_are_shipped():
    assert {f"table{i}" for i in range(1, 10)} <= set(cards.names("experiments"))


def test_a_cell_holds_what_metrics_would_say_of_that_column(measured):
    found = experiments.build(card()).frame.set_index(["column", "row"])
    files = dag.comparison.measured("toy", "small", card().methods, 3)
    ids = finished_runs.question_ids(300)
    from tmap.comparison.runs import load

    runs = load(files, ids)
    cell = found.loc[("small", "tmap")]
    assert cell["value"] == pytest.approx(runs.arm("tmap").mean())
    assert cell["against_random"] == pytest.approx(
        runs.arm("tmap").mean() - runs.arm("random").mean()
    )
    assert cell["n_runs"] == 3 and cell["better"] == "yes"
    assert found.loc[("small", "base"), "better"] == ""
    assert found.loc[("large", "uniform"), "better"] == "unclear"


def test_a_table_says_what_metrics_would_warn_of(measured, monkeypatch):
    monkeypatch.setattr(finished_runs, "ROOM", "results/toy/large")
    finished_runs.run(measured, "uniform", 0, 1, [True] * 300, warnings=["6 % cut"])
    a_pool(measured, 20, overlap_share=0.2, warning="odd rows")
    lines = experiments.build(card()).lines
    assert "large: training uniform s0 t1: 6 % cut" in lines
    assert not any(line.startswith("small: training") for line in lines)
    for model in ("small", "large"):
        assert f"{model}: pool: odd rows" in lines
        assert any(
            line.startswith(f"{model}: pool: 20.0% of the rows") for line in lines
        )
        [shared] = [x for x in lines if x.startswith(f"{model}: all runs of")]
        assert "all runs of tmap share one search" in shared
    assert "Runs of a cell: 3; 1: base." in lines


@pytest.mark.parametrize("name", ["tiny", "confirm"])
def test_a_table_stops_where_a_search_may_have_asked_test_questions(measured, name):
    asks(measured, name, "q0007")
    with pytest.raises(TmapError, match="1 test questions are in the tiny or"):
        experiments.build(card())
    path = measured / "cards/datasets/toy.yaml"
    path.write_text(path.read_text() + "protocol: paper\n")
    cards._load.cache_clear()
    lines = experiments.build(card()).lines
    assert "small: protocol paper: a search may have asked the test questions" in lines


@pytest.mark.parametrize("world", ["shipped", "embedded"])
def test_the_page_says_how_many_trainings_each_table_takes(world, monkeypatch):
    if world == "embedded":
        monkeypatch.setenv("TMAP_CARDS", str(ROOT / "config/embedded"))
    page = (ROOT / "docs/how-to/experiment.md").read_text()
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| (\d+|none is shipped) \((\d+)\) \|$", page, re.M
    )
    said = {name: of[world == "embedded"] for name, *of in rows}
    if world == "shipped":
        assert said.pop("gradient_methods") == "none is shipped"
    assert {name: int(n) for name, n in said.items()} == {
        name: trainings(dag.experiments.of(name)) for name in cards.names("experiments")
    }


def trainings(files):
    """Runs whose folder is t{seed}; base has one too, but is not trained."""
    runs = (re.match(r".*/t\d+(?=/)", path) for path in files if "/base/" not in path)
    return len({run[0] for run in runs if run})


def test_a_delta_row_is_the_paired_difference_by_hand(measured):
    found = experiments.build(card(delta=["tmap", "uniform"]))
    frame = found.frame.set_index(["column", "row"])
    for column in ("small", "large"):
        delta = frame.loc[(column, "delta")]
        by_hand = frame.loc[(column, "tmap")]["value"]
        by_hand -= frame.loc[(column, "uniform")]["value"]
        assert delta["value"] == pytest.approx(by_hand)
        assert delta["low"] < delta["value"] < delta["high"]


def test_markdown_csv_and_latex_hold_the_same_cells_in_the_cards_order(measured):
    found = experiments.build(card(labels={"tmap": "TMAP & more"}))
    page = render.markdown(found, "A title")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert rows[0] == "|  | small | large |"
    assert [r.split(" | ")[0][2:] for r in rows[2:6]] == [
        "base",
        "random",
        "uniform",
        "TMAP & more",
    ]
    read = list(csv.reader(io.StringIO(render.as_csv(found))))
    assert read[0][:4] == ["", "small value", "small low", "small high"]
    value = found.frame["value"][found.frame["row"] == "base"].iloc[0]
    assert float(read[1][1]) == pytest.approx(100 * value, abs=0.006)
    tex = render.latex(found, "A title")
    assert r"TMAP \& more & " in tex and tex.count(r" \\") == 5
    assert "- TMAP & more, small: Primary claim: " in page
    assert (
        "Tests against random: 4, adjusted over the whole table: first the 2 of" in page
    )


def test_the_best_is_bold_and_the_best_that_selects_is_underlined():
    rows = [
        {
            "row": r,
            "column": "c",
            "value": v,
            "low": np.nan,
            "high": np.nan,
            "better": "",
        }
        for r, v in [("base", 0.9), ("tmap", 0.7), ("random", 0.5)]
    ]
    rows[1]["better"] = "yes"
    cells = Cells(rows, "%", apart=frozenset({"base"}), best=True)
    cells.frame = pd.DataFrame(rows).assign(note="")
    for key in ("strict", "flexible", "numeric"):
        cells.frame[key] = np.nan
    page = render.markdown(cells, "t")
    assert "| base | **90.0** |" in page
    assert "| tmap | <u>70.0</u>\\* |" in page
    assert "| random | 50.0 |" in page


def test_readings_stand_side_by_side_where_they_differ(measured):
    found = experiments.build(card())
    assert "by each reader" not in render.markdown(found, "t")
    found.frame.loc[0, "strict"] = 0.123
    page = render.markdown(found, "t")
    assert "by each reader" in page and "| 12.3 |" in page


def test_a_transposed_table_has_methods_as_columns(measured):
    found = experiments.build(card(transpose=True))
    assert list(dict.fromkeys(found.frame["row"])) == ["small", "large"]
    assert list(dict.fromkeys(found.frame["column"])) == card().methods


def test_jaccard_by_hand():
    assert overlap.jaccard({"a", "b", "c"}, {"b", "c", "d"}) == 0.5
    assert overlap.jaccard(set(), set()) == 1.0


def test_columns_that_move_together_are_named_strongest_first():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 400))
    close = a + 0.1 * rng.random(400)
    matrix = np.stack([a, b, close, -a + 0.3 * b, np.zeros(400)], axis=1)
    pairs = weights.collinear(matrix, ["a", "b", "close", "turned", "constant"])
    assert pairs[0][:2] == ("a", "close")
    assert {"a", "turned"} in [set(pair[:2]) for pair in pairs]
    assert all("constant" not in pair[:2] and "b" not in pair[:2] for pair in pairs)
    assert min(r for _, _, r in pairs) < -0.7


def test_random_means_are_unbiased_with_the_textbook_spread():
    right = np.array([1.0] * 30 + [0.0] * 70)
    drawn = estimates.random_means(right, 20)
    # Without replacement: var = p q / n * (N - n) / (N - 1).
    expected = 0.3 * 0.7 / 20 * 80 / 99
    assert drawn.mean() == pytest.approx(0.3, abs=0.006)
    assert drawn.var() == pytest.approx(expected, rel=0.12)


def test_the_cost_of_a_search_counts_iterations_that_asked_anew():
    timings = pd.DataFrame(
        {
            "reward_seconds": [2.0, 4.0, 0.0],
            "optimizer_seconds": [0.5, 0.5, 0.5],
            "ledger_hits": [0, 0, 5],
        }
    )
    # The third has the groups of the first again: a tie, not a replay.
    groups = pd.Series([[["a"], ["b"]], [["c"], ["d"]], [["a"], ["b"]]])
    timings["ledger_hits"] = [0, 0, 2]
    cells = dict(cost.searching(timings, groups))
    assert cells["per iteration"]["value"] == 3.5
    assert cells["total"]["value"] == 7.5
    assert "per 1,000 rows" not in cells  # not measured, and not 0


def test_a_search_that_was_replayed_has_no_total_and_says_why():
    """Killed after two iterations and started again: their 8 seconds are missing."""
    timings = pd.DataFrame(
        {
            "reward_seconds": [0.0, 0.0, 4.0],
            "optimizer_seconds": [0.5, 0.5, 0.5],
            "ledger_hits": [2, 1, 0],
        }
    )
    groups = pd.Series([[["a"], ["b"]], [["a"], ["d"]], [["e"], ["f"]]])
    cells = dict(cost.searching(timings, groups))
    assert cells["per iteration"]["value"] == 4.5
    assert np.isnan(cells["total"]["value"])
    # The second had asked 'a' itself: one known group does not indicate a replay.
    assert "1 of 3 iterations were replayed" in cells["total"]["note"]


def test_the_table_of_costs_has_a_row_per_method_and_says_what_it_leaves_out(room):
    for name, seconds in (
        ("train_adapter/toy/small/full/s0/t0", 60),
        ("score_indicator/toy/small/data_whisperer", 500),
    ):
        path = room / f"results/benchmarks/{name}.tsv"
        path.parent.mkdir(parents=True)
        path.write_text(f"s\th:m:s\n{seconds}.0\t-\n")
    a_pool(room, 2000)
    report = {"settings": {"train": {"epochs": 3}}, "warnings": []}
    report |= {"n_samples": 1, "n_tokens": 2, "steps": 3}
    write_json(room / "results/toy/small/full/s0/t0/train.json", report)
    how = card(kind="cost", models=["small"], methods=["full", "data_whisperer"])
    found = experiments.build(how)
    cells = found.frame.set_index(["row", "column"])["value"]
    assert cells["full, one epoch", "per iteration"] == 20
    assert cells["full, one epoch", "per 1,000 rows"] == 10
    assert cells["data_whisperer", "total"] == 500
    assert set(found.frame["row"]) == {"full, one epoch", "data_whisperer"}
    assert any("not loading the model" in line for line in found.lines)
    assert any("grows faster" in line for line in found.lines)


def test_the_cost_of_a_column_grows_with_the_pool_and_is_not_guessed(room):
    path = room / "results/benchmarks/score_indicator/toy/ifd.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("s\th:m:s\n30.0\t0:00:30\n50.0\t0:00:50\n")
    cells = dict(cost.scoring("toy", "small", "ifd", 2000))
    assert cells["total"]["value"] == 40
    assert cells["per 1,000 rows"]["value"] == 20
    absent = dict(cost.scoring("toy", "small", "output_length", 2000))
    assert np.isnan(absent["total"]["value"]) and absent["total"]["note"]


def test_shots_compare_the_same_rows_shown_and_trained_on(room):
    how = card(
        kind="shots", models=["small"], methods=["random"], shots=[4, 2, 1], seeds=1
    )
    right = {4: (160, 150), 2: (120, 140), 1: (100, 110)}
    for n, (shown, trained) in right.items():
        folder = room / f"results/toy/small/random/s0/n{n}"
        for name, k in (("shown", shown), ("t0", trained)):
            path = folder / name / "predictions.parquet"
            finished_runs.predictions(path, np.arange(200) < k)
    found = experiments.build(how)
    frame = found.frame.set_index(["row", "column"])["value"]
    assert frame.loc[("4", "toy ICL")] == 0.8 and frame.loc[("1", "toy SFT")] == 0.55
    assert "over 3 shot counts +1.00" in found.lines[0]
    assert {str(p) for p in dag.experiments.shots(how, "toy", "small")} == {
        str(p.relative_to(room)) for p in (room / "results").rglob("*.parquet")
    }


def test_a_curve_reads_nested_parts(room):
    how = card(
        kind="curve", models=["small"], methods=["uniform"], fractions=[0.1, 1], seeds=1
    )
    for part, k in (("f0.1", 50), ("f1", 90)):
        folder = room / f"results/toy/small/uniform/s0/{part}/t0"
        finished_runs.predictions(folder / "predictions.parquet", np.arange(100) < k)
        write_json(folder / "train.json", {})
    found = experiments.build(how).frame
    assert found["column"].tolist() == ["10 %", "100 %"]
    assert found["value"].tolist() == [0.5, 0.9]


def test_a_curve_is_drawn_as_a_line_per_method_at_its_shares(tmp_path):
    cells = Cells([], "accuracy, %", along="share of the pool")
    for row in ("random", "tmap"):
        for share, value in (("5 %", 0.4), ("30 %", 0.5)):
            ends = {"value": value, "low": value - 0.1, "high": value + 0.2}
            cells.rows.append({"row": row, "column": share, **ends})
    cells.frame = pd.DataFrame(cells.rows)
    axes = Figure().add_subplot()
    render._lines(axes, cells)
    assert axes.get_legend_handles_labels()[1] == ["random", "tmap"]
    line = axes.containers[0][0]
    assert line.get_xydata() == pytest.approx(np.array([[5, 40], [30, 50]]))
    render.picture(cells, tmp_path / "curve.png", "t")
    assert (tmp_path / "curve.png").stat().st_size > 5000


def test_shapley_intervals_of_four_pairs_are_students(room):
    about = {"indicators": ["ifd"], "shapley": [0.1], "shapley_se": [0.01]}
    about |= {"leave_one_out": [0.0], "reward": 0.5, "reward_without_any": 0.4}
    path = room / "results/toy/small/tmap/s0/explain.json"
    path.parent.mkdir(parents=True)
    write_json(path, about | {"n_pairs": 4})
    how = card(kind="contributions", models=["small"], methods=["tmap"])
    cell = experiments.build(how).frame.iloc[0]
    assert cell["high"] - cell["value"] == pytest.approx(0.03182, abs=1e-5)  # t(3)
    assert cell["value"] - cell["low"] == pytest.approx(0.03182, abs=1e-5)


def test_runs_that_answer_other_questions_are_refused(room):
    finished_runs.predictions(room / "a.parquet", [True, False])
    finished_runs.predictions(room / "b.parquet", [True])
    with pytest.raises(TmapError, match="not answer the same questions"):
        arms.matrix([str(room / "a.parquet"), str(room / "b.parquet")])


def test_one_new_method_adds_only_its_own_files():
    before = cards.load("experiments", "table1")
    after = before.model_copy(update={"methods": [*before.methods, "nuggets"]})
    files = [
        {
            f
            for m in c.models
            for d in c.datasets
            for f in dag.experiments.accuracy(c, d, m)
        }
        for c in (before, after)
    ]
    assert files[0] < files[1]
    assert all("/nuggets/" in path for path in files[1] - files[0])


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"kind": "curve"}, "needs `fractions:`"),
        ({"kind": "curve", "fractions": [0.0]}, "above 0"),
        ({"delta": ["tmap", "nuggets"]}, "not among"),
    ],
)
def test_an_experiment_that_makes_no_sense_is_refused(values, fault):
    base = {"kind": "accuracy", "datasets": ["a"], "models": ["b"], "methods": ["tmap"]}
    with pytest.raises(TmapError, match=fault):
        validate(ExperimentCard, base | values, "card")


def test_a_misspelt_experiment_is_told_with_the_nearest():
    with pytest.raises(TmapError, match="Did you mean 'table1'"):
        dag.targets.check("results/tables/tabel1.parquet")


def test_cells_fit_their_schema(measured):
    frame = experiments.build(card()).frame
    tables.write("cells", frame, measured / "x.parquet", code="")
    assert len(tables.read("cells", measured / "x.parquet")) == 8


def test_too_few_points_give_no_rank_correlation():
    assert "no rank correlation" in shots._agreement("x", [0.1, 0.2], [0.1, 0.2])
