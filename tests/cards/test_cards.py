import os

import pytest
import yaml

from project import ROOT
from tmap import cards, dag, indicators
from tmap.errors import TmapError


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two empty card folders on the search path, the second one wins."""
    found = [tmp_path / "first", tmp_path / "second"]
    for folder in found:
        for kind in cards.KINDS:
            (folder / kind).mkdir(parents=True)
    monkeypatch.setenv("TMAP_CARDS", os.pathsep.join(map(str, found)))
    cards._load.cache_clear()
    yield found
    cards._load.cache_clear()


def write(folder, name, text, kind="datasets"):
    (folder / kind / f"{name}.yaml").write_text(text, encoding="utf-8")


MINE = """
task: generation
pool: {path: pool.jsonl}
questions: {path: q.jsonl}
"""
SHIPPED = [(kind, name) for kind in cards.KINDS for name in cards.names(kind)]


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_every_shipped_card_loads(kind, name):
    assert isinstance(cards.load(kind, name), cards.KINDS[kind])


def test_the_cards_of_the_paper_are_shipped():
    assert {"gsm8k", "gsm8k_paper", "arc_c", "musr", "gpqa"} <= set(
        cards.names("datasets")
    )
    assert {"llama3", "mistral", "qwen2_5", "llama2_13b", "gpt2"} <= set(
        cards.names("models")
    )


@pytest.mark.parametrize(
    ("name", "fraction"), [("gsm8k", 0.3), ("arc_c", 0.3), ("musr", 0.1), ("gpqa", 0.1)]
)
def test_fractions_are_the_papers(name, fraction):
    assert cards.load("datasets", name).fraction == fraction


def test_gsm8k_paper_differs_from_gsm8k_in_protocol_only():
    base, paper = (cards.load("datasets", n) for n in ("gsm8k", "gsm8k_paper"))
    assert paper.protocol == "paper"
    ours = {"protocol", "description"}
    assert paper.model_dump(exclude=ours) == base.model_dump(exclude=ours)


def test_shipped_histories_hold_no_model_of_the_paper():
    from tmap.data.responses import is_excluded

    aliases = [
        alias
        for name in ("llama3", "mistral", "qwen2_5", "llama2_13b")
        for alias in cards.load("models", name).aliases
    ]
    for name in ("gsm8k", "arc_c"):
        source = cards.load("datasets", name).responses
        assert [s for s in source.subjects if is_excluded([s], aliases)] == []
        assert [s for s in source.subjects if is_excluded([s], source.exclude)] == []
        assert len(set(source.subjects)) == len(source.subjects) >= 80


def test_shipped_cards_need_no_local_file_but_those_that_come_along():
    for name in cards.names("datasets"):
        card = cards.load("datasets", name)
        parts = (card.pool, card.questions, card.responses)
        named = [part.path for part in parts if part and part.path]
        assert all(path.startswith("resources/") for path in named)
        assert all((ROOT / path).is_file() for path in named)


def test_extends_changes_what_is_written_below(folders):
    write(folders[0], "mine", MINE + "tiny: {n_anchors: 30, seed: 5}\n")
    changes = "extends: mine\ntiny: {n_anchors: 40}\nreward_share: 0.5\n"
    write(folders[0], "other", changes)
    card = cards.load("datasets", "other")
    assert (card.tiny.n_anchors, card.tiny.seed) == (40, 5)
    assert card.reward_share == 0.5
    assert card.pool.path == "pool.jsonl"


def test_the_last_folder_wins_over_the_first_and_the_shipped(folders):
    write(folders[0], "gsm8k", MINE + "fraction: 0.1\n")
    write(folders[1], "gsm8k", MINE + "fraction: 0.2\n")
    assert cards.load("datasets", "gsm8k").fraction == 0.2


def test_a_card_that_extends_its_own_name_builds_on_the_next_folder(folders):
    write(folders[0], "gsm8k", "extends: gsm8k\nfraction: 0.1\n")
    write(folders[1], "gsm8k", "extends: gsm8k\nreward_share: 0.5\n")
    card = cards.load("datasets", "gsm8k")
    assert (card.fraction, card.reward_share) == (0.1, 0.5)
    assert card.pool.hub == "openai/gsm8k"


def test_all_faults_of_a_card_are_told_at_once(folders):
    write(folders[0], "mine", "task: generation\nfraction: 5\n")
    with pytest.raises(TmapError) as fault:
        cards.load("datasets", "mine")
    for part in ("'pool' is missing", "'questions' is missing", "fraction"):
        assert part in str(fault.value)


@pytest.mark.parametrize("name", ["models", "Upper", "with-dash"])
def test_names_that_cannot_be_a_path_are_refused(folders, name):
    write(folders[0], name, MINE)
    with pytest.raises(TmapError, match=f"'{name}' cannot name a card"):
        cards.load("datasets", name)


def test_params_hold_what_a_rule_reads_and_no_more():
    text = dag.params.of("fetch_pool", dataset="gsm8k")
    assert '"hub": "openai/gsm8k"' in text
    assert "reward_share" not in text
    assert text == dag.params.of("fetch_pool", dataset="gsm8k_paper").replace(
        "gsm8k_paper", "gsm8k"
    )


def test_an_edit_of_decoding_trains_no_adapter_anew(folders):
    card = "source: {path: m}\nengine: {dtype: float32, max_new_tokens: %d}\n"
    seen = []
    for number in (8, 9):
        write(folders[1], "mine", card % number, "models")
        cards._load.cache_clear()
        names = {"dataset": "gsm8k", "model": "mine"}
        trained = dag.params.of("train_adapter", model="mine")
        seen.append((trained, dag.params.of("evaluate_adapter", **names)))
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] != seen[1][1]


def test_a_method_may_be_trained_fewer_times_than_the_others(folders):
    write(folders[0], "once", "weights: random\nseeds: 1\n", kind="methods")
    assert dag.training.arms("once", 3) == [(0, 0)]
    assert dag.training.arms("random", 3) == [(0, 0), (1, 1), (2, 2)]
    assert dag.training.arms("uniform", 3) == [(0, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize("name", ["._mine", "My Card", "with-dash", "models", "Ünï"])
def test_a_stray_file_in_a_card_folder_stops_no_run(folders, name, caplog):
    write(folders[0], "mine", MINE)
    (folders[0] / "datasets" / f"{name}.yaml").write_bytes(b"\x00\x05\x16\x07")
    cards._warn_of.cache_clear()
    assert name not in cards.names("datasets")
    assert "mine" in dag.data.distilled() + cards.names("datasets")
    assert caplog.text.count("is ignored") == 1
    with pytest.raises(TmapError, match="cannot name a card"):
        cards.load("datasets", name)


def test_yaml_that_people_write_keeps_its_meaning(folders, tmp_path):
    text = (
        "\ufeff# a comment\r\n"
        "base: &base {a: 1, b: [x, 'no', \"\\n\"]}\r\n"
        "own: {<<: *base, a: 2}\r\n"
        "both:\n  <<: [*base, {c: 0x10}]\n  d: 1_000\n"
        "numbers: [0, -0, 1.5, 1.0e-3, .5, 0, 00]\n"
        "e: 1e-3\nnothing:\nmap: {5: a, 1.5: b}\n"
    )
    path = tmp_path / "some.yaml"
    path.write_bytes(text.encode("utf-8"))
    base = {"a": 1, "b": ["x", "no", "\n"]}
    assert cards.read_yaml(path) == {
        "base": base,
        "own": {**base, "a": 2},
        "both": {**base, "c": 16, "d": 1000},
        "numbers": [0, 0, 1.5, 0.001, 0.5, 0, 0],
        "e": "1e-3",
        "nothing": None,
        "map": {5: "a", 1.5: "b"},
    }


def test_every_yaml_file_of_the_clone_reads_as_pyyaml_reads_it():
    for path in [*(ROOT / "config").rglob("*.yaml"), *(ROOT / "tests").rglob("*.yaml")]:
        known = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert cards.read_yaml(path) == (known or {})


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null\n"])
def test_an_empty_file_has_no_keys(tmp_path, text):
    (tmp_path / "some.yaml").write_text(text)
    assert cards.read_yaml(tmp_path / "some.yaml") == {}


def test_a_json_config_is_left_to_snakemake(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{\n\t"seeds": 3\n}')
    cards.check_config_file(path)
    path = path.rename(tmp_path / "config.yaml")
    with pytest.raises(TmapError, match="tabs"):
        cards.check_config_file(path)


def test_options_of_indicators_that_fit_are_unchanged():
    check = indicators.get("evoselect").check_options
    assert check({"mu": 1, "steps": 5})["mu"] == 1
    assert indicators.get("data_whisperer").check_options({"layer": None})
    assert indicators.get("reason_steps").check_options({"answer_mark": ""})
