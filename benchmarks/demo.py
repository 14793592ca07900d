"""How long does the demo take? This working tree beside another commit.

    python benchmarks/demo.py --against 086ff2d

Builds the demo's table and page twice on this machine, one after the other, with an empty
store. JSON goes to stdout: seconds of the clock and of the processor, seconds by rule (from
Snakemake's benchmark files; jobs run side by side, so they add up to more), ratios, and the
two tables.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from revisions import by_rule, checked_out, timed

ROOM = "results/arith/tiny"


def table(folder: Path) -> dict[str, Any]:
    """Method -> accuracy, number of trainings, and whether it is better than random."""
    metrics = json.loads((folder / ROOM / "metrics.json").read_text(encoding="utf-8"))
    return {
        name: {
            "accuracy": round(found["accuracy"], 4),
            "runs": found["n_seeds"],
            "better": (found["against_random"] or {}).get("better"),
        }
        for name, found in metrics["methods"].items()
    }


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", default="HEAD", help="commit to compare with")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    command = ["snakemake", "--profile", "profiles/local", "--cores", str(given.cores)]
    command += ["--configfile", "config/embedded/config.yaml"]
    command += ["--quiet", "rules", "--", f"{ROOM}/report.html"]
    found: dict[str, Any] = {"against": given.against, "cores": given.cores}
    with checked_out(given.against) as folders:
        for which, folder in folders.items():
            found[which] = timed(command, folder)
            found[which] |= {"by_rule": by_rule(folder), "table": table(folder)}
    for key in ("seconds", "processor_seconds"):
        found[f"{key}_ratio"] = round(found["before"][key] / found["after"][key], 2)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
