"""The embedded world's workflow, run by the benchmarks that need what it makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CARDS = "config/embedded"


def dataset(pool: int) -> str:
    """The dataset card of a pool seed."""
    return f"arith_p{pool}" if pool else "arith"


def write_card(folder: str, kind: str, name: str, card: dict[str, Any]) -> None:
    """A card that a benchmark makes up, in a card folder of its own."""
    write(f"{folder}/{kind}/{name}.yaml", card)


def write(path: str, content: dict[str, Any]) -> None:
    """A YAML file below the project."""
    place = ROOT / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(yaml.safe_dump(content), encoding="utf-8")


def build(targets: list[str], config: str, cores: int) -> None:
    """Run the workflow for these files; progress goes to stderr."""
    command = ["snakemake", "--profile", "profiles/local", "--cores", str(cores)]
    command += ["--max-jobs-per-timespan", "1000/15s"]  # hundreds wait: look seldom
    command += ["--quiet", "rules", "--configfile", config, "--", *targets]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
