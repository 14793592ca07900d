"""The notebook runs on a finished run, cell by cell, and shows its numbers."""

import ast
import json

import pytest

import finished_pages
import finished_runs
from project import ROOT
from tmap.artifacts import tables
from tmap.artifacts.files import read_document

NOTEBOOK = ROOT / "docs/how-to/open_a_run.ipynb"


def last_value(cell, names):
    """Run a code cell; the value of its last line, as Jupyter shows it."""
    body = ast.parse(cell).body
    shown = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), NOTEBOOK.name, "exec"), names)
    if shown is None:
        return None
    return eval(compile(ast.Expression(shown.value), NOTEBOOK.name, "eval"), names)


@pytest.fixture
def room(tmp_path, monkeypatch):
    finished_pages.write(tmp_path)
    room = tmp_path / finished_runs.ROOM
    monkeypatch.chdir(room.parents[2])
    return room


def test_every_cell_runs_and_shows_what_the_files_have(room):
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    names = {}
    shown = []
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            code = "".join(cell["source"])
            code = code.replace(
                '"my_data", "my_model", "my_method"', '"toy", "small", "tmap"'
            )
            shown.append(last_value(code, names))

    _, methods, chosen, weights, correlation, medians, gain = shown
    metrics = read_document("metrics", room / "metrics.json")
    assert methods["accuracy"]["tmap"] == metrics["methods"]["tmap"]["accuracy"]
    subset = tables.read("subset", room / "tmap/s0/subset.parquet")
    pool = tables.read("pool", room.parent / "pool.parquet").set_index("sample_id")
    best = subset.sort_values("rank")["sample_id"].iloc[0]
    assert chosen["instruction"].iloc[0] == pool.loc[best, "instruction"]
    learned = read_document("weights", room / "tmap/s0/weights.json")
    assert weights["weight"].tolist() == learned["weights"]
    assert set(correlation) == set(finished_pages.COLUMNS)
    ids = tables.read("indicator", room / "indicators/perplexity.parquet")
    ids = ids.set_index("sample_id")["score"]
    of_chosen = ids[subset["sample_id"]].median()
    assert medians["chosen"]["perplexity"] == pytest.approx(of_chosen)
    assert gain.is_monotonic_increasing and len(gain) == 10
