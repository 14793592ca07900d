"""Build every table of the embedded world, and docs/explanation/results.md with the times.

    python benchmarks/embedded_tables.py --pool 100 --cores 4

Runs the experiment cards of config/embedded/experiments on one pool seed: Table 1 first and
alone, then all others, which share its trainings. The page is written to --output and says
command, date and seeds. What is finished is not run again, and times add up.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import time
from pathlib import Path

from embedded import CARDS, ROOT, build, dataset, write, write_card

from tmap import cards
from tmap.artifacts import files

MADE = ".embedded/tables/cards"
CONFIG = ".embedded/tables/config.yaml"
TIMES = ".embedded/tables/minutes.json"
FIRST = "table1"
SEEDS = "pool seed {pool}; training and selection seeds 0, 1, 2; search seed 0"


def names() -> list[str]:
    """Experiment cards of the embedded world, the first one first."""
    found = (ROOT / CARDS / "experiments").glob("*.yaml")
    return sorted({path.stem for path in found}, key=lambda name: (name != FIRST, name))


def write_cards(pool: int, wanted: list[str]) -> None:
    """The same experiments on another pool, and that pool distilled."""
    here = dataset(pool)
    teacher = cards.load("datasets", "arith_distilled").distil
    assert teacher is not None
    card = {"extends": here, "distil": {"judge": teacher.judge}}
    write_card(MADE, "datasets", "arith_distilled", card)
    for name in wanted:
        [on] = cards.load("experiments", name).datasets
        other = here if on == "arith" else on
        card = {"extends": name, "datasets": [other]}
        write_card(MADE, "experiments", name, card)
    write(CONFIG, {"methods": ["base", "random"], "cards": [CARDS, MADE]})


def minutes(stage: str, wanted: list[str], cores: int) -> float:
    """Run the workflow for these tables; minutes, with those of runs that were ended."""
    path = ROOT / TIMES
    known = files.read_json(path) if path.exists() else {}
    begun = time.monotonic()
    try:
        build([f"results/tables/{name}.parquet" for name in wanted], CONFIG, cores)
    finally:
        known[stage] = known.get(stage, 0) + (time.monotonic() - begun) / 60
        files.write_json(path, known)
    return known[stage]


def page(pool: int, wanted: list[str], cores: int, times: str) -> str:
    """The Markdown page."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        check=True,
        text=True,
        capture_output=True,
    ).stdout.strip()
    lines = [
        "# Every table, in the embedded world",
        "",
        "<!-- Made by benchmarks/embedded_tables.py. -->",
        "",
        "Small models on generated problems. These tables show that the whole program",
        "runs and what comes out, faults included. They are no evidence about real models",
        "([why](embedded-world.md)).",
        "",
        "```",
        f"python benchmarks/embedded_tables.py --pool {pool} --cores {cores}",
        "```",
        "",
        f"{datetime.date.today()}, commit {commit}; {SEEDS.format(pool=pool)}; "
        f"{cores} of {os.cpu_count()} CPU cores. {times}",
    ]
    for name in wanted:
        table = (ROOT / f"results/tables/{name}.md").read_text(encoding="utf-8")
        title, _, rest = table.partition("\n")
        lines += ["", f"## {title}", "", f"`{name}`", "", rest.strip()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pool", type=int, default=0, help="pool seed: 0-4, 100-104")
    parser.add_argument("--tables", default="", help="beside Table 1; '': every one")
    parser.add_argument("--cores", type=int, default=4)
    parser.add_argument("--note", default="", help="what else readers must know")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs/explanation/results.md"
    )
    args = parser.parse_args()
    wanted = names() if not args.tables else args.tables.split(",")
    wanted = [FIRST, *(name for name in wanted if name != FIRST)]
    cards.use_folders([CARDS])
    write_cards(args.pool, wanted)
    took = [
        minutes(f"{args.pool} first", [FIRST], args.cores),
        minutes(f"{args.pool} all", wanted, args.cores),
    ]
    times = f"Table 1 took {took[0]:.0f} minutes, the others {took[1]:.0f} more."
    times += f" {args.note}" if args.note else ""
    files.write_text(args.output, page(args.pool, wanted, args.cores, times))


if __name__ == "__main__":
    main()
