"""`tmap init`: cards that run, in a folder that no upgrade touches."""

from pathlib import Path

import pytest
import yaml

from project import ROOT
from tmap import cards
from tmap.cards import starter
from tmap.errors import TmapError


@pytest.fixture
def mine(tmp_path, monkeypatch):
    folder = tmp_path / 'my "own" #1'
    starter.write(folder)
    monkeypatch.setenv("TMAP_CARDS", str(folder))
    return folder


def test_the_cards_are_read_whatever_the_folder_is_called(mine):
    data = cards.load("datasets", "my_data")
    model = cards.load("models", "my_model")
    assert data.pool.path == str(mine / "pool.jsonl")
    assert data.questions.path == str(mine / "questions.jsonl")
    assert (ROOT / model.source.path / "config.json").is_file()
    assert model.prompt.stop == ["\n\n"]


def test_the_uniform_method_weighs_the_same_columns_as_the_learned_one(mine):
    learned = cards.load("methods", "my_method")
    uniform = cards.load("methods", "my_uniform")
    assert (learned.weights, uniform.weights) == ("learned", "uniform")
    assert learned.indicators == uniform.indicators
    assert learned.search.n_iterations == 20


def test_the_config_names_the_folder_and_methods_that_exist(mine):
    config = cards.workflow_config(yaml.safe_load((mine / "config.yaml").read_text()))
    assert config.cards == [str(mine)]
    assert set(config.methods) <= set(cards.names("methods"))


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_a_profile_is_the_shipped_one_with_the_config(mine, name):
    shipped = yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text())
    own = yaml.safe_load((mine / f"profiles/{name}/config.yaml").read_text())
    assert own == shipped | {"configfile": [str(mine / "config.yaml")]}


def test_every_commented_value_may_be_taken_in(mine):
    path = mine / "datasets" / "my_data.yaml"
    text = path.read_text().replace("  # columns:", "  columns:")
    path.write_text(text)
    columns = cards.validate(
        cards.KINDS["datasets"], cards.read_yaml(path), "card"
    ).pool.columns
    assert columns == {"instruction": "prompt", "response": "completion"}


def test_one_file_that_exists_stops_it_before_anything_is_written(tmp_path):
    own = tmp_path / "models" / "my_model.yaml"
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(TmapError, match=r"my_model.yaml' exists and would be over"):
        starter.write(tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [own]
    assert own.read_text() == "mine"


@pytest.mark.parametrize("inside", ["mine", "config", "docs/../config/mine"])
def test_a_folder_in_the_clone_is_refused(inside):
    with pytest.raises(TmapError, match="is in the clone"):
        starter.write(ROOT / inside)
    assert not (ROOT / inside / "config.yaml").exists() or inside == "config"


def test_a_relative_folder_stays_relative_in_the_cards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    starter.write(Path("../" + tmp_path.name) / "mine")
    config = yaml.safe_load(Path("mine/config.yaml").read_text())
    assert config["cards"] == [f"../{tmp_path.name}/mine"]
