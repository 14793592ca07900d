"""The cards of config/real are valid, complete, and say what the registered study says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from project import ROOT
from tmap import cards, dag, indicators

HERE = ROOT / "config" / "real"
FOLDERS = [[str(HERE)], [str(HERE), str(HERE / "hub")]]


@pytest.fixture(params=FOLDERS, ids=["files", "hub"])
def real(request, monkeypatch):
    monkeypatch.setenv("TMAP_CARDS", ":".join(request.param))


def names(kind):
    return sorted(path.stem for path in (HERE / kind).glob("*.yaml"))


def test_every_card_loads_and_names_cards_that_exist(real):
    for kind in ("datasets", "models", "methods", "judges"):
        assert names(kind)
        for name in names(kind):
            cards.load(kind, name)
    for name in names("datasets"):
        dag.indicators.check_options(name)
        dag.indicators.check_cards(name)


@pytest.mark.parametrize("config", ["config", "hub", "study"])
def test_every_method_of_a_config_exists_and_needs_no_model_of_a_hub(real, config):
    wanted = yaml.safe_load((HERE / f"{config}.yaml").read_text())
    for target in wanted["targets"]:
        dataset, model = Path(target).parts[1:3]
        assert cards.load("models", model).source.package
        for method in wanted["methods"]:
            for column in cards.load("methods", method).indicator_names():
                used = dag.indicators.model_of_indicator(dataset, model, column)
                known = indicators.get(column).looks_at in ("text", "gradients")
                assert known or cards.load("models", used).source.package, column


def test_the_study_is_as_large_as_its_registration_says(real):
    page = (ROOT / "docs/decisions/0018-real-study.md").read_text()
    arc = cards.load("datasets", "arc_easy_noisy")
    distilled = cards.load("datasets", "distilled_arithmetic")
    tmap, groups = (cards.load("methods", n).search for n in ("tmap", "tmap_groups"))

    assert f"**Chosen**: {arc.fraction:.0%}".replace("%", " %") in page
    assert f"**Chosen**: {distilled.fraction:.0%}".replace("%", " %") in page
    assert f"{tmap.n_initial + tmap.n_iterations} points" in page
    assert f"({groups.groups.n_answers} answers)" in page
    assert arc.reward_share == 0.75 / 2
    for method in yaml.safe_load((HERE / "study.yaml").read_text())["methods"]:
        assert f"`{method}`" in page
