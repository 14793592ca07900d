"""How many runs a results table takes, look by look."""

import json

import pytest

from tmap import cards, dag
from tmap.errors import TmapError


def config(**verdict):
    methods = ["base", "random", "uniform", "tmap"]
    return cards.workflow_config({"methods": methods, "verdict": verdict})


def test_only_random_and_the_primary_methods_get_more_runs():
    looks = config(sequential=True, method=[3, 4], random=[3, 9], spend=[0.4, 0.6])
    assert dag.comparison.seeds(looks, 1) == {
        "base": 3,
        "random": 9,
        "uniform": 3,
        "tmap": 4,
    }
    assert dag.comparison.plan(looks) == {
        "primary": ["tmap"],
        "looks": [[3, 3, 0.4], [4, 9, 0.6]],
        "runs": {"random": 3, "uniform": 3, "tmap": 3},
    }
    assert dag.comparison.plan(config())["looks"] == []
    assert set(dag.comparison.seeds(config()).values()) == {3}


def test_single_methods_may_have_other_numbers_of_runs():
    methods = ["base", "random", "uniform", "tmap"]
    own = {"methods": methods, "seeds_of": {"random": 5, "uniform": 1}}
    found = cards.workflow_config(own)
    assert dag.comparison.plan(found)["runs"] == {"random": 5, "uniform": 1, "tmap": 3}
    assert dag.training.arms("random", dag.comparison.seeds(found))[-1] == (4, 4)


def test_the_config_is_heard_before_a_method_card(tmp_path, monkeypatch):
    path = tmp_path / "methods/uniform.yaml"
    path.parent.mkdir()
    path.write_text("extends: uniform\nseeds: 2\n")
    monkeypatch.setenv("TMAP_CARDS", str(tmp_path))
    asked = {"methods": ["random", "uniform"]}
    for own, n in [({}, 2), ({"seeds_of": {"uniform": 4}}, 4)]:
        found = dag.comparison.seeds(cards.workflow_config(asked | own))
        assert len(dag.training.arms("uniform", found)) == n
    assert len(dag.training.arms("uniform", 3)) == 2


@pytest.mark.parametrize("named", ["random", "tmap"])
def test_looks_and_the_config_do_not_both_count_runs(named):
    methods = ["base", "random", "tmap"]
    own = {"methods": methods, "verdict": {"sequential": True}, "seeds_of": {named: 5}}
    with pytest.raises(TmapError, match="Remove one of the two"):
        dag.comparison.plan(cards.workflow_config(own))


def test_runs_of_a_method_that_is_not_compared_count_nothing_and_a_misspelt_one_is_told():
    own = {"methods": ["base", "tmap"], "seeds_of": {"oracle": 5}}
    assert dag.comparison.seeds(cards.workflow_config(own)) == {"base": 3, "tmap": 3}
    own["seeds_of"] = {"orcale": 5}
    with pytest.raises(TmapError, match="Did you mean 'oracle'"):
        dag.comparison.seeds(cards.workflow_config(own))


@pytest.mark.parametrize(("decided", "looks"), [([], 0), ([False], 1), ([True], 0)])
def test_the_last_look_is_the_one_that_decided(decided, looks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for look, value in enumerate(decided):
        path = tmp_path / dag.comparison.look_file("arith", "tiny", look)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"decided": value}))
    assert dag.comparison.last_look("arith", "tiny", config(sequential=True)) == looks


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ({"primary": ["oracle"]}, "which is not among `methods:`"),
        ({"primary": ["random"]}, "is no method to compare with random"),
        ({"spend": [0.5, 0.5]}, "need one value per step"),
        ({"spend": [0.5, 0.5, 0.5, 0.5]}, "the steps can spend 1 at most"),
        ({"random": [3, 4, 2, 10]}, "must not fall from step to step"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(verdict, said):
    with pytest.raises(TmapError, match=said):
        dag.comparison.plan(config(**verdict))
