"""How long do commands and jobs take to start? This working tree beside another commit.

    python benchmarks/startup.py --against 086ff2d

Builds the random world's target in both, on this machine, one after the other; its jobs
have next to nothing to compute, so their seconds are those of starting. Then it asks the
commands that people type, the shortest of some tries. JSON goes to stdout.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from revisions import by_rule, checked_out, timed

TARGET = "results/demo/random_llama/metrics.json"
SNAKEMAKE = [
    *("snakemake", "--profile", "profiles/local", "--configfile", "world/config.yaml"),
    *("--quiet", "rules"),
]
#: What people type, in a folder with results.
COMMANDS = {
    "--version": ["tmap", "--version"],
    "--help": ["tmap", "--help"],
    "plan": ["tmap", "plan", "--configfile", "world/config.yaml", TARGET],
    "status": ["tmap", "status", "--configfile", "world/config.yaml", TARGET],
    "show-metrics": ["tmap", "show-metrics", TARGET],
    "snakemake -n": [*SNAKEMAKE, "-n", "--", TARGET],
}


def measured(folder: Path, cores: int, tries: int) -> dict[str, Any]:
    """The small world's run, and each command."""
    timed(["tmap", "make-world", "world"], folder)
    config = folder / "world/config.yaml"
    config.write_text(config.read_text(encoding="utf-8") + "seeds: 1\n")
    run = timed([*SNAKEMAKE, "--cores", str(cores), "--", TARGET], folder)
    asked = {
        name: min(timed(words, folder)["seconds"] for _ in range(tries))
        for name, words in COMMANDS.items()
    }
    return run | {"by_rule": by_rule(folder), "commands": asked}


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", default="HEAD", help="commit to compare with")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--tries", type=int, default=5)
    given = parser.parse_args()
    found: dict[str, Any] = {"against": given.against, "cores": given.cores}
    with checked_out(given.against) as folders:
        for which, folder in folders.items():
            found[which] = measured(folder, given.cores, given.tries)
    for key in ("seconds", "processor_seconds"):
        found[f"{key}_ratio"] = round(found["before"][key] / found["after"][key], 2)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
