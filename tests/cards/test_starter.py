"""`tmap init`: cards that run, in a folder that no upgrade touches."""

import os
from pathlib import Path

import pytest
import yaml

from project import ROOT
from tmap import cards
from tmap.cards import starter
from tmap.cards.starter import Start
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
    assert learned.search.groups.n_answers == 576
    assert uniform.search.groups is None


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


def test_a_relative_folder_stays_relative_only_in_the_clone(tmp_path, monkeypatch):
    """The workflow runs in the clone, where a path from another folder leads elsewhere."""
    monkeypatch.chdir(ROOT)
    named = os.path.relpath(tmp_path / "mine")
    starter.write(named)
    config = yaml.safe_load((tmp_path / "mine/config.yaml").read_text())
    assert config["cards"] == [named]

    monkeypatch.chdir(tmp_path)
    starter.write("yours")
    config = yaml.safe_load(Path("yours/config.yaml").read_text())
    assert config["cards"] == [str(tmp_path / "yours")]
    profile = yaml.safe_load(Path("yours/profiles/local/config.yaml").read_text())
    assert profile["configfile"] == [str(tmp_path / "yours/config.yaml")]


def test_names_and_files_are_those_that_were_given(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    given = Start("sums", "mine_8b", "../pool.jsonl", "/asked.jsonl")
    starter.write(tmp_path / "mine", given)
    monkeypatch.setenv("TMAP_CARDS", str(tmp_path / "mine"))

    card = cards.load("datasets", "sums")
    assert card.pool.path == str(tmp_path / "pool.jsonl")  # as the clone sees it
    assert card.questions.path == "/asked.jsonl"
    assert cards.load("models", "mine_8b").description == "my own model"
    config = yaml.safe_load((tmp_path / "mine/config.yaml").read_text())
    assert config["targets"] == ["results/sums/mine_8b/metrics.json"]
    text = (tmp_path / "mine/datasets/sums.yaml").read_text()
    assert "tmap check sums --model mine_8b --cards" in text


def test_a_path_that_is_typed_in_the_clone_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    starter.write(tmp_path / "mine", Start(pool="../pool.jsonl"))
    text = (tmp_path / "mine/datasets/my_data.yaml").read_text()
    assert yaml.safe_load(text)["pool"]["path"] == "../pool.jsonl"


def test_a_shipped_model_is_used_as_it_is(tmp_path):
    written = starter.write(tmp_path / "mine", Start(model="tiny"))
    assert not [path for path in written if path.parent.name == "models"]
    config = yaml.safe_load((tmp_path / "mine/config.yaml").read_text())
    assert config["targets"] == ["results/my_data/tiny/metrics.json"]


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (Start("My Data"), "--dataset 'My Data' cannot name a card"),
        (Start(model="../x"), "--model '../x' cannot name a card"),
        (Start("results/x"), "--dataset 'results/x' cannot name a card"),
        (Start("logs"), "--dataset 'logs' cannot name a card"),
        (Start("gsm8k"), "--dataset gsm8k is a shipped card"),
    ],
)
def test_a_name_that_no_card_may_have_is_refused(tmp_path, start, told):
    with pytest.raises(TmapError, match=told):
        starter.write(tmp_path / "mine", start)
    assert not (tmp_path / "mine").exists()


def test_a_method_scales_by_rank_and_says_why(mine):
    starter.scale_by_rank(mine, ["perplexity: row 'r: {x' # flattens it.", "y" * 300])
    for name in ("my_method", "my_uniform"):
        assert cards.load("methods", name).normalise == "rank"
    assert (
        "# perplexity: row 'r: {x' # flattens it.\n"
        in (mine / "methods/my_method.yaml").read_text()
    )
