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
