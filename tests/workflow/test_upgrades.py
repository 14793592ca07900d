"""Follow docs/how-to/upgrades.md: what a change makes stale, and how it is accepted."""

import shutil

import pytest

from clones import TARGET, Clone

pytestmark = pytest.mark.workflow

STATUS = ("tmap", "status", TARGET, "--configfile", "world/config.yaml")
EDITED = "workflow/tmap/search/posterior.py"


@pytest.fixture
def copied(finished_clone, tmp_path):
    """Copy the finished clone, with Snakemake's own records or without."""

    def copy(*without: str) -> Clone:
        path = tmp_path / "copy"
        ignore = shutil.ignore_patterns(*without)
        shutil.copytree(finished_clone.path, path, ignore=ignore)
        return Clone(path, finished_clone.env | {"PYTHONPATH": str(path / "workflow")})

    return copy


def refactor(clone):
    path = clone.path / EDITED
    path.write_text(path.read_text() + "\n\nANOTHER_NAME = 1\n")


def test_every_artifact_says_what_made_it_and_is_current_without_snakemakes_records(
    copied,
):
    clone = copied(".snakemake")

    said = clone.run(*STATUS)
    shutil.rmtree(clone.path / "results/demo/random_llama")

    assert "All 31 artifacts are current." in said
    assert "metrics.json  " in clone.run(*STATUS, check=False)


def test_a_refactor_is_named_and_touch_accepts_it_without_running_anything(copied):
    clone = copied()
    refactor(clone)
    assert any("search_weights" in job for job in clone.plan())
    said = clone.run(*STATUS, check=False)
    assert "code tmap.search.posterior: edited" in said
    before = (clone.path / TARGET).read_bytes()

    clone.snakemake("--touch", "--", TARGET)

    assert clone.plan() == set()
    assert (clone.path / TARGET).read_bytes() == before
    # The file still records what really made it.
    assert "code tmap.search.posterior: edited" in clone.run(*STATUS, check=False)


def test_results_of_another_place_are_accepted_by_touch_once_status_has_spoken(copied):
    clone = copied(".snakemake")
    clone.run(*STATUS)

    clone.snakemake("--touch", "--", TARGET)

    assert clone.plan() == set()
