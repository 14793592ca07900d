"""Mutate inputs of every parser of foreign text for a number of seconds.

    python benchmarks/fuzz.py --seconds 3600 --seed 1

Prints executions and crashes per parser, and writes the input of each crash to
`benchmarks/results/fuzz/`. Exit status 1 if there is one. Add each to tests/fuzz.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "tests" / "support")]

import fuzzing  # noqa: E402  # found in the folders above


def main() -> None:
    """Run, report, and keep what crashed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/fuzz")
    given = parser.parse_args()
    found = fuzzing.run(seconds=given.seconds, seed=given.seed)
    for name, n in sorted(found.executions.items()):
        crashes = [key[1:] for key in found.crashes if key[0] == name]
        print(f"{name}: {n} inputs, {len(crashes)} crashes {crashes or ''}")
    print(f"{sum(found.executions.values())} inputs, {len(found.crashes)} crashes")
    for data in found.crashes.values():
        given.out.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(data).hexdigest()[:12]
        (given.out / name).write_bytes(data)
    sys.exit(bool(found.crashes))


if __name__ == "__main__":
    main()
