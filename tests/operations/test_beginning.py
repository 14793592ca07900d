"""`tmap init` with files: what it finds in them."""

import json

import pytest

from project import ROOT
from tmap import cards
from tmap.cards.starter import Start
from tmap.errors import TmapError
from tmap.operations import beginning


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMAP_CARDS", "")
    asked = [{"question": f"What is {i}?", "answer": f"#### {i}"} for i in range(80)]
    write(tmp_path / "asked.jsonl", asked)
    return tmp_path


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))


def rows(*answers):
    return [{"instruction": f"Do {i}.", "output": a} for i, a in enumerate(answers)]


EVEN = [f"{'a' * (5 + i % 7)}" for i in range(30)]


def test_a_pool_with_a_row_that_flattens_a_column_is_scaled_by_rank(room):
    write(room / "pool.jsonl", rows(*EVEN, "b" * 5000))
    start = Start("sums", "tiny", "pool.jsonl", "asked.jsonl")
    written, said = beginning.write(str(room / "mine"), start)

    assert all(path.is_file() for path in written)
    assert said[0].startswith("output_length: row 'sums-0000030' (5000) leaves all")
    assert said[-1] == "my_method.yaml therefore says `normalise: rank`."
    cards._load.cache_clear()
    assert cards.load("methods", "my_method").normalise == "rank"
    assert cards.load("datasets", "sums").pool.path == str(room / "pool.jsonl")


def test_an_even_pool_keeps_the_scaling_of_the_paper(room):
    write(room / "pool.jsonl", rows(*EVEN))
    _, said = beginning.write(str(room / "mine"), Start("sums", "tiny", "pool.jsonl"))

    assert said == []  # reason_steps is constant, which no scaling changes
    assert cards.load("methods", "my_method").normalise == "minmax"


def test_a_pool_that_cannot_be_read_is_said_and_the_cards_are_there(room):
    write(room / "pool.jsonl", [{"a": 1}])
    written, (said,) = beginning.write(
        str(room / "mine"), Start("sums", "tiny", "pool.jsonl")
    )

    assert written[0].is_file()
    assert "columns" in said


@pytest.mark.parametrize("option", ["pool", "questions"])
def test_a_file_that_is_not_there_stops_it_before_anything_is_written(room, option):
    with pytest.raises(TmapError, match=f"--{option}: No file 'nowhere.jsonl'"):
        beginning.write(str(room / "mine"), Start(**{option: "nowhere.jsonl"}))
    assert not (room / "mine").exists()


def test_the_shipped_folder_is_not_written_to():
    with pytest.raises(TmapError, match="is in the clone"):
        beginning.write(str(ROOT / "mine"), Start())
