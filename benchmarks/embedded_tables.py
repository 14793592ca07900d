"""Every table of the embedded world, and docs/results.md with the times that they took.

    python benchmarks/embedded_tables.py --pool 100 --cores 4

Runs the experiment cards of config/embedded/experiments on one pool seed: Table 1 first and
alone, then all others, which share its trainings. The page is written to --output and says
command, date and seeds. What is finished is not run again; then the page names no times.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tmap import cards, files

ROOT = Path(__file__).resolve().parents[1]
ROOM = Path(".embedded/tables")
FIRST = "table1"
SEEDS = "pool seed {pool}; training and selection seeds 0, 1, 2; search seed 0"


def names() -> list[str]:
    """Experiment cards of the embedded world, the first one first."""
    found = (ROOT / "config/embedded/experiments").glob("*.yaml")
    return sorted({path.stem for path in found}, key=lambda name: (name != FIRST, name))


def write(folder: str, name: str, card: dict) -> None:
    path = ROOT / ROOM / "cards" / folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(card), encoding="utf-8")


def write_cards(pool: int, wanted: list[str]) -> None:
    """The same experiments on another pool, and that pool distilled."""
    here = dataset(pool)
    teacher = cards.load("datasets", "arith_distilled").distil
    assert teacher is not None
    write(
        "datasets",
        "arith_distilled",
        {"extends": here, "distil": {"judge": teacher.judge}},
    )
    for name in wanted:
        [on] = cards.load("experiments", name).datasets
        other = here if on == "arith" else on
        write("experiments", name, {"extends": name, "datasets": [other]})
    config = {
        "methods": ["base", "random"],
        "cards": ["config/embedded", str(ROOM / "cards")],
    }
    (ROOT / ROOM / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def build(wanted: list[str], cores: int) -> float:
    """Run the workflow for these tables; minutes."""
    command = ["snakemake", "--profile", "profiles/local", "--cores", str(cores)]
    command += ["--max-jobs-per-timespan", "1000/15s"]  # hundreds wait: look seldom
    command += ["--quiet", "rules", "--configfile", str(ROOM / "config.yaml"), "--"]
    command += [f"results/tables/{name}.parquet" for name in wanted]
    begun = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return (time.monotonic() - begun) / 60


def begun(pool: int) -> bool:
    """Whether something of an earlier run lies here, so that times say little."""
    return any((ROOT / "results").glob(f"{dataset(pool)}/*"))


def dataset(pool: int) -> str:
    return f"arith_p{pool}" if pool else "arith"


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
        "Small models on generated problems: what follows shows that the whole program",
        "runs and what comes out, faults included. It is no evidence about real models",
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
    parser.add_argument("--output", type=Path, default=ROOT / "docs/results.md")
    args = parser.parse_args()
    wanted = names() if not args.tables else args.tables.split(",")
    wanted = [FIRST, *(name for name in wanted if name != FIRST)]
    cards.use_folders(["config/embedded"])
    write_cards(args.pool, wanted)
    continued = begun(args.pool)
    minutes = [build([FIRST], args.cores), build(wanted, args.cores)]
    times = (
        "Some of it was finished before, so no times are given."
        if continued
        else f"Table 1 took {minutes[0]:.0f} minutes, the others {minutes[1]:.0f} more."
    )
    files.write_text(args.output, page(args.pool, wanted, args.cores, times))


if __name__ == "__main__":
    main()
