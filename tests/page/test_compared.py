"""What the page about two runs says, against the files that it was made from."""

import shutil
from math import sqrt

import numpy as np
import pytest

import finished_pages
import finished_runs
from tmap.artifacts import tables
from tmap.errors import TmapError
from tmap.page import compared, packing, settings

ROOM = finished_runs.ROOM


def side(letter, folder):
    return compared.Side.read(letter, folder / "metrics.json")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two runs on one pool, whose rows have other ids; B scales columns by rank.

    B asks another first question, and B's tmap is another draw of answers.
    """
    a, b = (tmp_path_factory.mktemp(letter) for letter in "ab")
    finished_pages.write(a)
    finished_pages.write(
        b,
        normalise="rank",
        prefix="own",
        questions=["Another one?"],
        methods=("base", "random", "tmap"),
    )
    return a / ROOM, b / ROOM


@pytest.fixture(scope="module")
def found(folders):
    a, b = folders
    return compared.build(side("A", a), side("B", b))


def test_the_setting_that_differs_is_found_and_nothing_else(found):
    assert found["settings"]["rows"] == [
        ["normalise", method, '"minmax"', '"rank"', ["select_subset"]]
        for method in ("random", "tmap")
    ]
    assert found["settings"]["only"] == [["select_subset of uniform"], []]


def test_subsets_of_one_pool_are_compared_by_their_texts(found, folders):
    names = found["subsets"]["names"]
    i, j = names.index("A: tmap s0"), names.index("B: tmap s0")
    chosen = [
        {
            name.rpartition("-")[2]
            for name in tables.read("subset", room / "tmap/s0/subset.parquet")[
                "sample_id"
            ]
        }
        for room in folders
    ]

    assert 0 < len(chosen[0] & chosen[1]) < 120
    assert found["subsets"]["shared"][i][j] == len(chosen[0] & chosen[1])
    assert found["subsets"]["expected"][i][j] == pytest.approx(120 * 120 / 400)
    spread = sqrt(120 * 0.3 * 0.7 * 280 / 399)
    assert found["subsets"]["spread"][i][j] == pytest.approx(spread)
    assert [i, j] in found["subsets"]["pairs"]


def answers(room, method, t):
    path = room / method / "s0" / f"t{t}" / "predictions.parquet"
    frame = tables.read("predictions", path).set_index("question_id").sort_index()
    return frame["is_correct"].iloc[1:]  # the first question was another one


def test_the_gain_is_of_the_questions_that_both_asked(found, folders):
    shares = [np.mean([answers(room, "tmap", t) for t in range(3)]) for room in folders]
    gain = next(g for g in found["methods"]["gains"] if g["name"] == "tmap")

    assert gain["difference"] == pytest.approx(shares[1] - shares[0])
    assert gain["interval"][0] < gain["difference"] < gain["interval"][1]
    assert found["questions"]["n"] == 59
    assert found["questions"]["note"].startswith("59 questions are the same")
    assert "on 59 questions" in found["verdict"]["numbers"]


def test_marks_of_both_runs_are_those_of_their_files(found, folders):
    packed, ids = found["questions"], finished_runs.question_ids(60)[1:]
    for room, letter in zip(folders, "AB", strict=True):
        at = packed["runs"].index([f"{letter}: tmap", 0, 2])
        bits = np.frombuffer(packing.unpack(packed["right"][at]), np.uint8)
        marks = np.unpackbits(bits, bitorder="little")[:59]
        assert marks.tolist() == answers(room, "tmap", 2).loc[ids].astype(int).tolist()


def test_both_tables_have_a_row_per_method_of_either(found):
    rows = {row[0][0]: [text for text, _ in row] for row in found["methods"]["rows"]}

    assert list(rows) == ["base", "random", "uniform", "tmap"]
    at = found["methods"]["headings"].index("accuracy B")
    assert rows["uniform"][1] == rows["uniform"][at] == "-"
    assert rows["tmap"][at] != "-"


def test_a_copy_elsewhere_is_the_run_that_it_was_copied_from(folders, tmp_path):
    copied = tmp_path / "kept" / "before" / "other"
    shutil.copytree(folders[0].parent, copied.parent)
    copied.with_name("small").rename(copied)
    same = compared.build(side("A", folders[0]), side("B", copied))

    assert same["settings"]["rows"] == same["settings"]["modules"] == []
    assert {gain["difference"] for gain in same["methods"]["gains"]} == {0}
    assert {tuple(gain["interval"]) for gain in same["methods"]["gains"]} == {(0, 0)}
    assert same["verdict"]["head"] == "tmap in A and B: the same answers"
    size = same["subsets"]["sizes"]
    assert [same["subsets"]["shared"][i][j] for i, j in same["subsets"]["pairs"]] == [
        size[i] for i, _ in same["subsets"]["pairs"]
    ]


def test_other_pools_and_lost_files_are_said(folders, tmp_path):
    finished_pages.write(tmp_path / "c", n=300, n_questions=40)
    other = tmp_path / "c" / ROOM
    said = compared.build(side("A", folders[0]), side("B", other))
    assert said["subsets"]["note"].startswith(
        "Not compared: the pools differ. A has 400"
    )

    (other.parent / "pool.parquet").unlink()
    (other.parent / "questions_test.parquet").unlink()
    said = compared.build(side("A", folders[0]), side("B", other))
    assert "pool.parquet is missing" in said["subsets"]["note"]
    assert "questions_test.parquet is missing" in said["questions"]["note"]
    assert said["verdict"]["head"] == "tmap: no question that both runs answered"


def test_deleted_answers_are_counted(folders, tmp_path):
    shutil.copytree(folders[0].parent, tmp_path / "toy")
    (tmp_path / "toy/small/tmap/s0/t1/predictions.parquet").unlink()
    said = compared.build(side("A", folders[0]), side("B", tmp_path / "toy/small"))

    assert "of 1 run." in said["questions"]["note"]


class Made:
    """A run of which only metrics.json is known."""

    def __init__(self, **provenance):
        self.metrics = {
            "statistics": {"plan": {"primary": ["tmap"], "looks": [], "runs": {}}},
            "provenance": {"model": {}, "versions": {}} | provenance,
        }

    def recorded(self):
        return []


def test_versions_and_models_are_settings_too():
    a, b = Made(versions={"torch": "2.1"}), Made(versions={"torch": "2.2"})
    b.metrics["provenance"]["model"] = {"revision": "r2"}

    assert settings.look(a, b)["rows"] == [
        ["revision", "", "absent", '"r2"', ["fetch_model"]],
        ["torch", "", '"2.1"', '"2.2"', ["version"]],
    ]


def test_a_file_that_is_no_results_table_is_refused(tmp_path):
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(TmapError, match=r"metrics\.json"):
        side("A", tmp_path)
