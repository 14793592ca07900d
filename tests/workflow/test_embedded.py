"""The demo on one machine; if there is a Slurm, test_slurm.py runs it there."""

import pytest

import cluster
import embedded_demo
from clones import CORES, Clone

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(
        not cluster.missing(), reason="test_slurm.py runs the demo on a cluster"
    ),
]


def test_the_demo_finds_what_teaches(tmp_path):
    clone = Clone.make(tmp_path / "clone")
    clone.run(
        *["snakemake", "--profile", "profiles/local", "--cores", str(CORES)],
        *[
            "--configfile",
            embedded_demo.CONFIG,
            *embedded_demo.OPTIONS,
            "--",
            embedded_demo.TARGET,
        ],
    )
    embedded_demo.check(clone)
