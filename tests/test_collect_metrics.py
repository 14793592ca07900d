"""The commands `collect-metrics` and `show-metrics`, as the rule calls them."""

import pandas as pd
import pytest
from typer.testing import CliRunner

import finished_runs
from tmap import cli, tables
from tmap.files import read_json, write_json

CARD = """
task: generation
pool: {path: pool.jsonl}
questions: {path: questions.jsonl}
metric: flexible
overlap: {warn_above: 0.02}
"""


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A working directory with a card and the tables that the command reads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMAP_CARDS", "cards")
    (tmp_path / "cards" / "datasets").mkdir(parents=True)
    (tmp_path / "cards" / "datasets" / "toy.yaml").write_text(CARD)
    asked = {
        "question_id": finished_runs.question_ids(40),
        "question": "?",
        "gold": "1",
    }
    questions = pd.DataFrame(asked | {"choices": None, "permutation": None, "row": 0})
    tables.write("questions", questions, "results/toy/test.parquet", code="q")
    empty = {"pool": {"overlap_share": 0.03}, "pool_rejected": {}, "tiny": {}}
    for kind, notes in empty.items():
        frame = pd.DataFrame(columns=list(tables.SCHEMAS[kind].columns))
        tables.write(kind, frame, f"results/toy/{kind}.parquet", code="p", **notes)
    write_json("results/models/small.json", {"model": "small"})
    return tmp_path


def collect(output, measured):
    """Run the command with the arguments of the rule."""
    inputs = {
        "questions": "results/toy/test.parquet",
        "pool": "results/toy/pool.parquet",
        "rejected": "results/toy/pool_rejected.parquet",
        "tiny": "results/toy/tiny.parquet",
        "model-file": "results/models/small.json",
        "output": output,
        "accuracy-plot": "accuracy.png",
        "search-plot": "search.png",
    }
    options = [text for name, path in inputs.items() for text in (f"--{name}", path)]
    arguments = ["collect-metrics", "toy", "small", *options, "--", *measured]
    result = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_the_command_writes_metrics_and_figures_from_the_cards_values(room):
    collect("metrics.json", finished_runs.table(room, n=40))
    found = read_json("metrics.json")
    assert list(found["methods"]) == ["base", "random", "uniform", "tmap"]
    assert (found["metric"], found["n_questions"]) == ("flexible", 40)
    assert "over 2.0%" in found["warnings"][0]
    assert (room / "accuracy.png").stat().st_size > 5_000
    assert (room / "search.png").stat().st_size > 5_000


def test_the_same_files_give_the_same_bytes(room):
    measured = finished_runs.table(room, n=40)
    collect("a.json", measured)
    collect("b.json", measured)
    assert (room / "a.json").read_bytes() == (room / "b.json").read_bytes()


def test_show_metrics_prints_the_table_and_its_markdown(room):
    collect("metrics.json", finished_runs.table(room, n=40))
    shown = CliRunner().invoke(cli.app, ["show-metrics", "metrics.json"])
    assert "against random" in shown.output and "tmap" in shown.output
    page = CliRunner().invoke(cli.app, ["show-metrics", "metrics.json", "--markdown"])
    assert "| tmap | " in page.output
