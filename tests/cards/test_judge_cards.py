"""What a judge card may contain, and which columns an edit re-runs."""

from __future__ import annotations

import pytest

from tmap import cards, dag, indicators
from tmap.artifacts import provenance
from tmap.errors import TmapError

QUALITY = "quality: {template: '{instruction} {response} Rating:'}"
MINE = f"""
version: 1
model: gpt2
forms:
  {QUALITY}
  accuracy: {{template: '{{instruction}} {{response}} Accuracy:'}}
"""
SERVER = "server: {url: 'https://host/v1', model: m}"
DATASET = """
extends: gsm8k
indicators:
  deita_quality: {judge: mine}
  alpagasus: {judge: mine}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for kind in cards.KINDS:
        (tmp_path / kind).mkdir()
    monkeypatch.setenv("TMAP_CARDS", str(tmp_path))
    cards._load.cache_clear()
    yield tmp_path
    cards._load.cache_clear()


@pytest.fixture
def judge(folder):
    """Write the judge card `mine` and a data set that uses it."""
    (folder / "datasets/own.yaml").write_text(DATASET)

    def write(text=MINE):
        (folder / "judges/mine.yaml").write_text(text)
        cards._load.cache_clear()
        return cards.load("judges", "mine")

    write()
    return write


FAULTS = [
    (SERVER, "there is model and server"),
    ("model: null", "there is none"),
    ("version: 0", "version: .*greater than or equal to 1"),
    ("forms: {quality: {template: '{instruction} {output}'}}", "no field {output}"),
    (
        "forms: {quality: {template: '{instruction} {respons}'}}",
        "Did you mean 'response'",
    ),
    ("forms: {quality: {template: '{response}'}}", "must contain {instruction}"),
    ("forms: {accuracy: {template: '{instruction}'}}", "must contain {response}"),
    ("forms: {helpful: {template: '{instruction}'}}", "forms.helpful"),
    ("forms: {}", "forms: "),
    ("api_key: sk-1", "no key 'api_key'"),
    ("limits: {key_env: sk-1}", "limits.key_env"),
    (
        "model: null\nserver: {url: 'https://me:pw@host/v1', model: m}",
        "must contain no key",
    ),
    (
        "model: null\nserver: {url: 'https://host/v1?key=1', model: m}",
        "must contain no key",
    ),
    ("model: null\nserver: {url: 'host/v1', model: m}", "give a base address"),
    (
        "style: completion\nforms: {complexity: {template: '{instruction}', system: x}}",
        "needs style: chat",
    ),
]


@pytest.mark.parametrize(("line", "reason"), FAULTS)
def test_a_faulty_card_is_named_with_its_key(judge, line, reason):
    given = {part.split(":")[0] for part in line.splitlines()}
    kept, drop = [], False
    for old in MINE.strip().splitlines():
        drop = old.split(":")[0] in given if not old.startswith(" ") else drop
        kept += [] if drop else [old]

    with pytest.raises(TmapError, match=reason):
        judge("\n".join([*kept, line]))


def test_braces_that_are_no_field_may_stand_in_a_template(judge):
    card = judge(MINE.replace("Rating:", 'as {"score": 1} {}'))

    assert '{"score": 1} {}' in card.forms["quality"].template


def test_a_judge_without_the_form_that_a_column_needs_is_named(folder, judge):
    own = DATASET.replace("deita_quality", "deita_complexity")
    (folder / "datasets/own.yaml").write_text(own)

    with pytest.raises(
        TmapError, match=r"'mine' has no form 'complexity'; it has qual"
    ):
        dag.params.score_indicator("own", "deita_complexity")


def params(name):
    return dag.params.of("score_indicator", dataset="own", indicator=name)


def test_an_edit_of_one_form_concerns_its_column_only(judge):
    before = {name: params(name) for name in indicators.names()}
    judge(MINE.replace("Rating:", "Grade:"))

    changed = {name for name in before if params(name) != before[name]}

    assert changed == {"deita_quality"}


@pytest.mark.parametrize("line", ["version: 2", "style: completion", "model: llama3"])
def test_what_can_change_a_reply_concerns_all_columns_of_the_judge(judge, line):
    before = {name: params(name) for name in indicators.names()}
    kept = [s for s in MINE.splitlines() if not s.startswith(line.split(":")[0])]
    judge("\n".join([*kept, line]))

    changed = {name for name in before if params(name) != before[name]}

    assert changed == {"deita_quality", "alpagasus"}


def test_limits_and_the_name_of_the_keys_variable_are_in_no_params(judge):
    def on_a_server(limits):
        judge(
            MINE.replace("model: gpt2", f"{SERVER}\n{limits}\ndescription: {limits!r}")
        )
        return params("deita_quality")

    one = on_a_server("limits: {key_env: MY_KEY, concurrency: 2}")

    assert one == on_a_server("limits: {max_requests: 5}")
    assert "MY_KEY" not in one


def test_every_column_names_the_model_that_computes_it(judge):
    def model(name, target=None):
        return dag.indicators.model_of_indicator("own", target, name)

    assert model("deita_quality") == "gpt2"
    assert model("deita_complexity") == "deita_complexity_scorer"
    assert model("ifd") == "gpt2"
    assert model("perplexity", "llama3") == "llama3"
    assert model("output_length") is None
    assert model("deita_score") is None
    assert dag.indicators.models_of_indicator("own", None, "alpagasus") == [
        "results/models/gpt2.json"
    ]
    judge(MINE.replace("model: gpt2", SERVER))
    assert model("deita_quality") is None
    assert dag.machines.minutes("own", None, "deita_quality") == 240
    assert dag.machines.minutes("own", None, "output_length") == 30


def test_recorded_replies_are_an_input_of_their_columns(judge):
    judge(MINE.replace("model: gpt2", "recorded: {path: replies.jsonl}"))

    assert dag.indicators.recordings("own", "alpagasus") == ["replies.jsonl"]
    assert dag.indicators.recordings("own", "ifd") == []


def test_the_joint_score_is_made_from_the_two_tables():
    assert dag.indicators.columns_of_indicator("gsm8k", None, "deita_score") == [
        "results/gsm8k/indicators/deita_quality.parquet",
        "results/gsm8k/indicators/deita_complexity.parquet",
    ]


def test_only_columns_of_judges_depend_on_how_judges_work():
    def depends(name):
        found = provenance.closure(
            "tmap.commands.score_indicator", f"tmap.indicators.{name}"
        )
        return "tmap.judges.server" in found

    assert {name for name in indicators.names() if depends(name)} == {
        "alpagasus",
        "deita_complexity",
        "deita_quality",
    }


def test_the_default_judges_are_shipped_and_fit_their_columns():
    for name in indicators.names():
        about = indicators.get(name)
        if about.looks_at == "judge":
            found = dag.params.score_indicator("gsm8k", name)
            assert list(found["judge"].forms) == [about.form]
            assert found["judge"].model in cards.names("models")


def test_the_papers_method_weighs_the_eight_of_table_7():
    eight = {
        *("alpagasus", "deita_complexity", "deita_quality", "deita_score"),
        *("ifd", "reason_steps", "output_length", "perplexity"),
    }

    for method in ("tmap", "uniform"):
        assert set(cards.load("methods", method).indicators) == eight


def test_the_published_scorers_read_their_own_format_to_the_blank():
    quality = cards.load("judges", "deita_quality_scorer").forms["quality"].template
    complexity = cards.load("judges", "deita_complexity_scorer").forms["complexity"]

    fields = " \n #Question#:\n{instruction}\n#Response#:\n{response} \n##Quality: "
    assert quality.endswith(fields)
    assert complexity.template.endswith(" \n##Query: {instruction}  \n##Complexity: ")
