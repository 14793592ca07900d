"""The embedded world has a signal, and the workflow finds it: real models, real judge.

The bounds are far below the values in docs/explanation/embedded-world.md, because
processors round differently and one training seed is noisy. A broken stage still misses
them.
"""

import json

import pytest

from clones import CORES, Clone
from tmap.artifacts import tables

pytestmark = pytest.mark.workflow

TARGET = "results/arith/tiny/metrics.json"
CONFIG = "config/embedded/config.yaml"
#: The paper's search is left out: its 4,320 answers take longest, its rewards say little on
#: this pool, and other tests run it, on a cluster as well.
METHODS = ["base", "random", "tmap_groups", "oracle"]
#: What `make demo` builds, of these methods and one training seed.
OPTIONS = (
    "--config",
    f"methods=[{','.join(METHODS)}]",
    "seeds=1",
    "seeds_of={random: 1}",
)


def test_the_demo_finds_what_teaches(tmp_path):
    clone = Clone.make(tmp_path / "clone")
    options = ("--configfile", CONFIG, *OPTIONS, "--", TARGET)
    clone.run(
        "snakemake", "--profile", "profiles/local", "--cores", str(CORES), *options
    )
    about = json.loads((clone.path / TARGET).read_text())
    assert list(about["methods"]) == METHODS
    assert about["n_questions"] == 300 and about["pool"]["n"] == 1000
    accuracy = {name: one["accuracy"] for name, one in about["methods"].items()}
    assert "a verdict needs 3 runs" in about["methods"]["tmap_groups"]["verdict"]
    _check_files(clone, accuracy)
    _check_that_the_learned_selection_teaches_more_than_a_random_one(accuracy)
    _check_that_it_holds_more_clean_rows_than_any_one_column_finds(clone)


def _check_files(clone: Clone, accuracy: dict[str, float]) -> None:
    for method in METHODS[1:]:
        room = clone.path / "results/arith/tiny" / method / "s0"
        assert len(tables.read("subset", room / "subset.parquet")) == 300
        told = tables.read("predictions", room / "t0/predictions.parquet")
        assert told["is_correct"].mean() == pytest.approx(accuracy[method])


def _check_that_the_learned_selection_teaches_more_than_a_random_one(
    accuracy: dict[str, float],
) -> None:
    assert accuracy["oracle"] >= accuracy["random"] + 0.15
    assert accuracy["tmap_groups"] >= accuracy["random"] + 0.10


def _check_that_it_holds_more_clean_rows_than_any_one_column_finds(
    clone: Clone,
) -> None:
    room = clone.path / "results/arith"
    clean = tables.read("pool_labels", room / "pool_labels.parquet")
    clean = clean.set_index("sample_id")["is_clean"]
    learned = tables.read("subset", room / "tiny/tmap_groups/s0/subset.parquet")
    columns = [*room.glob("indicators/*.parquet"), *room.glob("tiny/indicators/*")]
    alone = {}
    for path in columns:
        scores = tables.read("indicator", path).set_index("sample_id")["score"]
        top = scores.sort_values(ascending=False, kind="stable").index[: len(learned)]
        alone[path.stem] = clean.loc[top].mean()
    assert len(alone) == 8
    assert clean.loc[learned["sample_id"]].mean() > max(alone.values()) + 0.05
