"""The table that people read, and its figures."""

import copy
import io

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

import finished_runs
from finished_runs import collect
from tmap.comparison import plots, report, runs
from tmap.errors import TmapError
from tmap.jobs.console import tsv


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    paths = finished_runs.table(tmp_path_factory.mktemp("runs"), n=300)
    return runs.load(paths, finished_runs.question_ids(300)), collect(paths, n=300)


@pytest.fixture
def document(finished):
    return copy.deepcopy(finished[1])


def printed(document, **options):
    out = io.StringIO()
    report.show(document, Console(file=out, width=100, **options))
    return out.getvalue()


def test_a_row_shows_accuracy_differences_and_verdicts(document):
    tmap = document["methods"]["tmap"]
    tmap |= {"accuracy": 0.554, "interval": [0.531, 0.572]}
    tmap["against_random"] |= {"difference": 0.046, "verdict_interval": [0.012, 0.08]}
    tmap["against_random"]["better"] = "yes"
    tmap["against_base"] |= {"difference": -0.03, "verdict_interval": [-0.06, 0.001]}
    tmap["against_base"]["harms"] = "unclear"
    assert report.rows(document)[-1] == (
        "tmap",
        "55.4 [53.1, 57.2]",
        "3",
        "+4.6 [+1.2, +8.0]",
        "yes",
        "-3.0 [-6.0, +0.1]",
        "unclear",
    )


def test_the_table_fits_100_columns_and_is_plain_text_off_a_terminal(document):
    document["methods"]["tmap"]["against_random"] |= {
        "difference": -0.104,
        "verdict_interval": [-0.153, -0.101],
    }
    text = printed(document)
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text and "…" not in text
    assert "[-15.3, -10.1]" in text


def test_a_wide_table_is_cut_nowhere_off_a_terminal(document):
    method = document["methods"].pop("tmap")
    document["methods"]["a_method_with_a_long_name"] = method
    method["against_base"]["harms"] = "untested"
    first = next(t for t in printed(document).splitlines() if "long_name" in t)
    assert len(first) > 100 and first.rstrip().endswith("untested")


def test_no_harm_is_green_and_no_gain_is_red_on_a_terminal(document):
    document["methods"]["tmap"]["against_random"]["better"] = "no"
    document["methods"]["tmap"]["against_base"]["harms"] = "no"
    line = next(
        line
        for line in printed(document, force_terminal=True).splitlines()
        if line.startswith("tmap ")
    )
    assert line.index("\x1b[31mno") < line.index("\x1b[32mno")


def test_weights_come_with_intervals_and_the_caution(document):
    text = printed(document)
    assert "not identified" in text
    assert report.weights(document)[0] == ("tmap s0", "ifd", "0.25", "[0.00, 0.90]")


def test_readings_are_listed_only_where_they_differ(document):
    assert report.readings(document) == []
    for run, strict in zip(
        document["methods"]["tmap"]["runs"], (0.1, 0.2, 0.3), strict=True
    ):
        run["strict"] = strict
    assert report.readings(document)[-1][:2] == ("tmap", "20.0")
    assert report.readings(document)[-1][-1] == "-"


def test_markdown_has_a_cell_per_heading_in_every_row_and_lists_warnings(document):
    document["warnings"] = ["pool: odd"]
    lines = report.markdown(document).splitlines()
    table = [line for line in lines if line.startswith("|")][: 2 + 4]
    assert {line.count("|") for line in table} == {len(report.HEADINGS) + 1}
    assert "- pool: odd" in lines


def test_text_in_square_brackets_is_printed_as_it_is(document):
    document["warnings"] = ["card [red]x[/red] is odd"]
    assert "[red]x[/red]" in printed(document)


def test_a_missing_metrics_file_says_how_to_build_it(tmp_path):
    with pytest.raises(TmapError, match=r"does not exist\. Build it"):
        report.read(tmp_path / "metrics.json")


def test_a_file_that_is_no_metrics_document_is_refused(tmp_path):
    other = tmp_path / "train.json"
    other.write_text("{}")
    with pytest.raises(TmapError, match="`dataset` is missing, so it is no metrics"):
        report.read(other)
    other.write_text(
        '{"dataset": "d", "model": "m", "n_questions": 1, "methods": {"a": 5}, '
        '"warnings": []}'
    )
    with pytest.raises(TmapError, match="methods are not as tmap writes them"):
        report.read(other)
    other.write_text("[" * 100_000)
    with pytest.raises(TmapError, match="nested too deeply"):
        report.read(other)
    other.write_text("{")
    with pytest.raises(TmapError, match="it is no JSON"):
        report.read(other)


def test_the_best_so_far_skips_raced_rows_and_keeps_the_first_of_equals():
    reward = np.array([9.0, 1.0, 3.0, 8.0, 3.0, 4.0])
    raced = np.array([True, False, False, True, False, False])
    assert plots.incumbents(reward, raced).tolist() == [-1, 1, 2, 2, 2, 5]


def test_both_figures_are_drawn_even_without_a_search(finished, tmp_path):
    measured, document = finished
    plots.accuracy(document, tmp_path / "accuracy.png")
    plots.search(measured, tmp_path / "search.png")
    plots.search(runs.Runs(measured.runs), tmp_path / "none.png")
    sizes = {p.name: imread(p).shape[:2] for p in tmp_path.iterdir()}
    assert set(sizes) == {"accuracy.png", "search.png", "none.png"}
    assert all(imread(p).std() > 0.01 for p in tmp_path.iterdir())
    assert sizes["none.png"][0] < sizes["search.png"][0]


def test_weights_without_an_interval_show_a_dash(document):
    document["methods"]["tmap"]["weights"][0]["interval"] = None
    assert report.weights(document)[2] == ("tmap s0", "perplexity", "1.00", "-")


def first_version(document):
    """The same document as tmap 0.1 wrote it."""
    for found in document["methods"].values():
        for kind in ("against_random", "against_base"):
            for key in ("verdict_interval", "p", "primary", "n_looks", "forecast"):
                (found[kind] or {}).pop(key, None)
        if found["against_random"]:
            found["against_random"]["minimum_detectable_effect"] = 0.2
    return document | {"version": 1, "minimum_detectable_effect": 0.2}


def test_a_file_of_an_earlier_version_is_still_printed(document):
    old = first_version(document)
    old["methods"]["tmap"]["against_random"] |= {"interval": [0.012, 0.08]}
    text = printed(old)
    assert "[+1.2, +8.0]" in text
    assert "Minimum detectable effect against random: 20.0 points" in text
    assert "Minimum detectable effect" in report.markdown(old)


def test_the_line_below_the_table_names_the_claim_that_comes_first(document):
    text = " ".join(printed(document).split())
    assert (
        "Intervals of differences are those of the verdicts: an error of 2.5 % each way "
        "over all 2 methods that are tested. The claim that comes first: tmap." in text
    )
    assert "Minimum" not in text


def test_other_programs_get_shares_in_columns_of_their_own(document):
    document["methods"]["tmap"] |= {"accuracy": 0.554, "interval": [0.531, 0.572]}
    document["methods"]["tmap"]["against_random"] |= {
        "difference": 0.046,
        "verdict_interval": [0.012, 0.08],
        "better": "yes",
    }
    heading, base, *_, tmap = tsv(report.records(document)).splitlines()

    assert (
        heading.split("\t")
        == (
            "method accuracy accuracy_low accuracy_high seeds against_random "
            "against_random_low against_random_high better against_base against_base_low "
            "against_base_high harms"
        ).split()
    )
    assert tmap.split("\t")[:9] == (
        "tmap 0.554 0.531 0.572 3 0.046 0.012 0.08 yes".split()
    )
    assert base.split("\t")[5:] == [""] * 8
