"""Status: the recorded origin of results, compared with today's cards and code."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import typer

from tmap import cards, dag
from tmap.artifacts import tables
from tmap.artifacts.files import write_json
from tmap.artifacts.provenance import versions
from tmap.commands import status as command
from tmap.errors import TmapError
from tmap.operations import status

CARD = """
task: generation
pool: {path: pool.jsonl}
questions: {path: questions.jsonl}
responses: {path: history.parquet}
irt: {dimensions: [1], seed: SEED}
"""
RESPONSES, IRT = "results/mine/responses.parquet", "results/mine/irt.parquet"
FRAMES = {
    "responses": {"subject_id": ["a"], "question_id": ["q"], "is_correct": [True]},
    "irt": {"question_id": ["q"], "discrimination": [[1.0]], "intercept": [0.5]},
}


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A working directory with a dataset card and two finished tables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMAP_CARDS", str(tmp_path / "cards"))
    write_card()
    write(
        "responses", RESPONSES, dag.origin.made("fetch_responses", [], dataset="mine")
    )
    write("irt", IRT, dag.origin.made("fit_irt", [RESPONSES], dataset="mine"))
    return tmp_path


def write_card(seed=0):
    folder = Path("cards/datasets")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.yaml").write_text(CARD.replace("SEED", str(seed)))
    cards._load.cache_clear()


def write(kind, path, made=None, **changes):
    frame = pd.DataFrame({**FRAMES[kind], **changes})
    tables.write(kind, frame, path, code="c", **({"made": made} if made else {}))


def look(target=IRT, **config):
    return {
        one.path: (one.state, one.differences)
        for one in status.look(target, cards.workflow_config(config))
    }


def test_what_was_just_made_is_current_and_inputs_come_first(room):
    assert list(look().items()) == [
        (RESPONSES, ("current", [])),
        (IRT, ("current", [])),
    ]


def test_a_card_value_is_named_with_what_it_was_and_is(room):
    write_card(seed=7)

    assert look() == {
        RESPONSES: ("current", []),
        IRT: ("stale", ["card irt.seed: 0 -> 7"]),
    }


def test_an_edited_a_new_and_a_lost_module_are_named(room, monkeypatch):
    true = status.codes

    def other(*roots):
        found = true(*roots)
        if roots != ("fit_irt",):
            return found
        found["tmap.tiny.calibration"] = "0" * 16
        del found["tmap.tiny.irt"]
        return {**found, "tmap.tiny.irt_fast": "1" * 16}

    monkeypatch.setattr(status, "codes", other)

    assert look()[IRT] == (
        "stale",
        [
            "code tmap.tiny.calibration: edited",
            "code tmap.tiny.irt: gone",
            "code tmap.tiny.irt_fast: new",
        ],
    )


def test_another_version_of_a_library_is_named(room, monkeypatch):
    now = {**versions(), "numpy": "99.0"}
    del now["girth"]
    monkeypatch.setattr(status, "versions", lambda: now)

    (girth, numpy) = sorted(look()[RESPONSES][1])

    assert girth == f"girth: {versions()['girth']} -> absent"
    assert numpy == f"numpy: {versions()['numpy']} -> 99.0"


def test_what_follows_from_a_stale_file_is_stale(room):
    made = dag.origin.made("fetch_responses", [], dataset="mine")
    made["card"]["dataset"] = "theirs"
    write("responses", RESPONSES, made)
    write("irt", IRT, dag.origin.made("fit_irt", [RESPONSES], dataset="mine"))

    assert look() == {
        RESPONSES: ("stale", ['card dataset: "theirs" -> "mine"']),
        IRT: ("stale", [f"input {RESPONSES}: stale"]),
    }


def test_an_input_that_was_built_again_with_other_content_is_named(room):
    made = dag.origin.made("fetch_responses", [], dataset="mine")
    write("responses", RESPONSES, made, is_correct=[False])

    assert look()[IRT] == ("stale", [f"input {RESPONSES}: another file"])


def test_an_edited_source_file_is_named_and_a_missing_one_is_passed_over(room):
    source = room / "history.parquet"
    source.write_text("one")
    made = dag.origin.made("fetch_responses", ["history.parquet"], dataset="mine")
    write("responses", RESPONSES, made)
    assert look(RESPONSES) == {RESPONSES: ("current", [])}

    source.write_text("two")
    assert look(RESPONSES)[RESPONSES][1] == ["input history.parquet: another file"]

    source.unlink()
    assert look(RESPONSES) == {RESPONSES: ("current", [])}


def test_results_that_were_copied_without_anything_else_tell_the_same(
    room, tmp_path_factory, monkeypatch
):
    other = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree("results", other / "results")
    monkeypatch.chdir(other)

    assert {state for state, _ in look().values()} == {"current"}


def test_an_unfinished_target_is_shown_with_what_lies_around_it(room):
    found = look("results/mine/tiny.parquet")

    assert [(path, state) for path, (state, _) in found.items()] == [
        ("results/mine/tiny.parquet", "missing"),
        (RESPONSES, "current"),
        (IRT, "current"),
    ]


def test_a_file_of_an_earlier_version_is_unknown_and_what_follows_stale(room):
    write("responses", RESPONSES)
    write("irt", IRT, dag.origin.made("fit_irt", [RESPONSES], dataset="mine"))

    found = look("results/mine")

    assert found[RESPONSES][0] == "unknown"
    assert found[IRT] == ("stale", [f"input {RESPONSES}: unknown"])


@pytest.mark.parametrize("path", [RESPONSES, "results/mine/random/s0/weights.json"])
def test_a_file_that_was_torn_in_copying_is_marked_and_the_rest_is_shown(room, path):
    (room / path).parent.mkdir(parents=True, exist_ok=True)
    (room / path).write_text('{"half')

    found = look("results/mine")

    assert found[path][0] == "broken"
    assert f"{path} cannot be used" in found[path][1][0]
    assert f"snakemake {path}." in found[path][1][0]
    assert found[IRT][0] == "stale" if path == RESPONSES else "current"


def test_an_adapter_is_as_current_as_the_report_beside_it(room):
    run = room / "results/mine/tiny/random/s0/t0"
    made = dag.origin.made("fit_irt", [RESPONSES], dataset="mine")
    write_json(run / "train.json", {"made": made, "versions": versions()})

    found = look("results/mine/tiny/random/s0/t0/adapter/adapter_model.safetensors")

    assert list(found) == [RESPONSES, "results/mine/tiny/random/s0/t0/train.json"]


def test_a_method_that_the_config_adds_is_missing_in_the_table(room):
    there = dag.comparison.measured("mine", "small", ["base"], 1)
    made = dag.origin.made("collect_metrics", [], dataset="mine")
    made["inputs"] = dict.fromkeys(there, "0")
    about = {"made": made, "versions": versions()}

    asked = status.compare(
        about, cards.workflow_config({"methods": ["base", "random"]})
    )

    room = "results/mine/small/random"
    assert status.compare(about, cards.workflow_config({"methods": ["base"]})) == []
    assert [text for text in asked if "/s0/" in text] == [
        f"config asks for {room}/s0/t0/predictions.parquet",
        f"config asks for {room}/s0/t0/train.json",
    ]


def test_a_place_without_results_says_what_to_name(room):
    (room / "empty").mkdir()

    with pytest.raises(TmapError, match="Name a file or folder below results/"):
        look("empty")


def test_the_command_says_it_in_its_exit_status_and_finds_the_configs_cards(
    room, capsys, monkeypatch
):
    monkeypatch.delenv("TMAP_CARDS")
    config = room / "config.yaml"
    config.write_text("cards: [cards]\n")

    command.run(IRT, config=[config])
    assert "All 2 artifacts are current." in capsys.readouterr().out

    write_card(seed=7)
    with pytest.raises(typer.Exit) as end:
        command.run(IRT, config=[config])
    said = capsys.readouterr().out
    assert end.value.exit_code == 1
    assert "card irt.seed: 0 -> 7" in said
    assert "1 of 2 artifacts are not current" in said


def test_where_a_machine_keeps_a_model_is_not_in_the_digest_of_its_record(tmp_path):
    record = {"model": "m", "revision": "0", "path": "here"}
    places = [tmp_path / name / "models" / "m.json" for name in "abc"]
    for place, change in zip(
        places, ({}, {"path": "there"}, {"revision": "1"}), strict=True
    ):
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(record | change))

    here, there, other = map(dag.origin.file_digest, places)

    assert here == there != other


def test_other_programs_get_one_line_per_artifact(room, capsys):
    write_card(seed=1)
    with pytest.raises(typer.Exit):
        command.run(IRT, tsv=True)
    heading, *lines = capsys.readouterr().out.splitlines()

    assert heading == "artifact\tis\twhat_differs"
    assert lines == [
        f"{RESPONSES}\tcurrent\t",
        f"{IRT}\tstale\tcard irt.seed: 0 -> 1",
    ]
