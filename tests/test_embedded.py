"""The embedded world has a signal, and the workflow finds it: real models, real judge.

The bounds lie far below what docs/embedded-world.md reports, for other processors round
differently and one training seed is noisy; a broken stage misses them all the same.
"""

import json

import pytest

from clones import CORES, Clone
from tmap import tables

pytestmark = pytest.mark.workflow

TARGET = "results/arith/tiny/metrics.json"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    clone = Clone.make(tmp_path_factory.mktemp("embedded") / "clone")
    clone.run(
        *["snakemake", "--profile", "profiles/local", "--cores", str(CORES)],
        *["--configfile", "config/embedded/config.yaml"],
        *["--config", "methods=[base,random,uniform,tmap,oracle]", "seeds=1"],
        *["--", TARGET],
    )
    return clone


def test_the_learned_selection_teaches_more_than_a_random_one(world):
    found = json.loads((world.path / TARGET).read_text())["methods"]
    accuracy = {method: about["accuracy"] for method, about in found.items()}
    assert accuracy["oracle"] >= accuracy["random"] + 0.15
    assert accuracy["tmap"] >= accuracy["random"] + 0.05


def test_the_learned_selection_holds_more_clean_rows_than_any_one_column_finds(world):
    room = world.path / "results/arith"
    clean = tables.read("pool_labels", room / "pool_labels.parquet")
    clean = clean.set_index("sample_id")["is_clean"]
    learned = tables.read("subset", room / "tiny/tmap/s0/subset.parquet")
    columns = [*room.glob("indicators/*.parquet"), *room.glob("tiny/indicators/*")]
    alone = {}
    for path in columns:
        scores = tables.read("indicator", path).set_index("sample_id")["score"]
        top = scores.sort_values(ascending=False, kind="stable").index[: len(learned)]
        alone[path.stem] = clean.loc[top].mean()
    assert len(alone) == 8
    assert clean.loc[learned["sample_id"]].mean() > max(alone.values()) + 0.05
