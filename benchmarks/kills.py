"""Kill full runs at random moments, let them go on each time, and compare the results.

    python benchmarks/kills.py --kills 60 --seed 1

In copies of the project, it runs each stage below undisturbed, and again with SIGKILL,
SIGTERM or SIGINT to the whole process group at moments drawn from the seed, until it has
made its share of the kills (a run that ends is deleted and begins again). Then it compares
each artifact without its clocks, and looks for processes and temporary files that are left.
JSON goes to stdout, progress to stderr; exit status 1 if anything differs. Takes about half
a minute for a kill.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "tests" / "support")]

import clones  # noqa: E402  # found in the folders above
import judging  # noqa: E402
from tmap.artifacts import tables  # noqa: E402

#: Seconds that a run may take on a busy machine.
HOURS = 4 * 3600
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
#: What a run measures of its own time, or of the attempts that it took.
CLOCKS = {"seconds", "checksum", "inputs", "beside", "cost", "created"}
#: Not results: what was kept on the way, and records of clocks.
APART = {"store", "logs", "benchmarks", "checkpoints"}
#: Measured times, and a page that shows some: made of files that are compared.
WITH_CLOCKS = {"timings.parquet", "report.html"}
ROOM = "results/demo/random_llama"
COLUMNS = ["ifd", "reason_steps", "output_length", "perplexity"]


@dataclass(frozen=True)
class Stage:
    """What is run: cards and keys of the config beside those of the random world."""

    targets: list[str]
    config: dict[str, Any] = field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)


_GRADIENTS = {"extends": "demo", "gradients": {"dim": 256, "share": 0}}
_ROUNDS = {"extends": "evoselect_rounds", "rounds": {"n_candidates": 16}}
_MODEL: dict[str, Any] = {
    "source": {"path": "world/models/random_llama"},
    "prompt": {"template": "plain"},
    "engine": {"max_new_tokens": 24, "dtype": "float32", "device": "cpu"},
    "train": {
        "rank": 4,
        "alpha": 8,
        "max_steps": 4,
        "max_length": 512,
        "batch_size": 8,
        "micro_batch_size": 8,
    },
    "resources": {"gpu": 0, "threads": 1, "mem_mb": 2000},
}
STAGES = {
    "results": Stage(
        [f"{ROOM}/report.html"], {"methods": ["base", "random", "uniform", "tmap"]}
    ),
    "groups": Stage(
        [f"{ROOM}/tmap_groups/s0/subset.parquet"],
        cards={
            "methods/tmap_groups": {
                "extends": "tmap_groups",
                "indicators": COLUMNS,
                "search": {"groups": {"n_answers": 48}, "n_shots": 2},
            }
        },
    ),
    "gradients": Stage(
        ["results/g/random_llama/less/s0/subset.parquet"],
        cards={"datasets/g": _GRADIENTS},
    ),
    "certificate": Stage(
        [f"{ROOM}/tmap/s0/{name}.json" for name in ("certificate", "explain")],
        {"certify": ["tmap"]},
    ),
    "consensus": Stage(
        [f"{ROOM}/agreed/s0/subset.parquet"],
        cards={
            "models/other_llama": _MODEL,
            "methods/agreed": {
                "extends": "tmap",
                "weights": "consensus",
                "models": ["random_llama", "other_llama"],
            },
        },
    ),
    "judge": Stage(
        ["results/rated/indicators/alpagasus.parquet"],
        cards={
            "datasets/rated": {
                "extends": "demo",
                "max_unscored": 1.0,
                "indicators": {"alpagasus": {"judge": "served"}},
            },
            "judges/served": {
                "version": 1,
                "server": {"url": "SERVER", "model": "some-model"},
                "limits": {"attempts": 3, "max_wait": 0.1, "timeout": 30},
                "forms": {"accuracy": {"template": "{instruction}\n{response}\nA:\n"}},
            },
        },
    ),
    "rounds": Stage(
        ["results/arith/tiny/evoselect_rounds/s0/t0/predictions.parquet"],
        {"cards": ["config/embedded", "world/cards"]},
        {
            "datasets/arith": {**_GRADIENTS, "extends": "arith"},
            "methods/evoselect_rounds": _ROUNDS,
        },
    ),
    "distillation": Stage(
        ["results/arith_distilled/pool.parquet"],
        {"cards": ["config/embedded", "world/cards"]},
    ),
    "processes": Stage(
        ["results/demo/two/uniform/s0/t0/predictions.parquet"],
        cards={
            "models/two": {
                **_MODEL,
                "train": {**_MODEL["train"], "processes": 2, "micro_batch_size": 4},
                "engine": {**_MODEL["engine"], "data_parallel": 2},
            }
        },
    ),
}


def plain(value: Any) -> Any:
    """A JSON value without clocks."""
    if isinstance(value, dict):
        return {k: plain(part) for k, part in value.items() if k not in CLOCKS}
    return [plain(part) for part in value] if isinstance(value, list) else value


def digest(path: Path) -> str:
    """A digest of an artifact's content that no clock is in."""
    if path.name in WITH_CLOCKS:
        return "not compared"
    if path.suffix == ".parquet":
        about = plain(tables.metadata(path))
        frame = tables.read(about["schema"], path)
        clocked = [name for name in frame if "seconds" in name or "elapsed" in name]
        text = json.dumps(about, sort_keys=True)
        text += frame.drop(columns=clocked).to_json(orient="split", double_precision=15)
    elif path.suffix == ".json":
        text = json.dumps(plain(json.loads(path.read_text())), sort_keys=True)
    elif path.name == "ledger.jsonl":
        text = "\n".join(sorted(set(path.read_text().splitlines())))
    elif path.name == "README.md":
        text = path.read_text().partition("<!-- tmap:")[0]
    else:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digests(results: Path) -> dict[str, str]:
    """Artifact -> digest."""
    found = sorted(path for path in results.rglob("*") if path.is_file())
    inner = [path.relative_to(results) for path in found]
    return {str(p): digest(results / p) for p in inner if not APART & set(p.parts)}


class Copy:
    """A copy of the project in which a stage is run."""

    def __init__(self, folder: Path, stage: Stage, url: str) -> None:
        self.clone = clones.Clone.make(folder)
        self.targets = stage.targets
        self.clone.run("tmap", "make-world", "world")
        world = folder / "world"
        for name, card in stage.cards.items():
            path = world / f"cards/{name}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(yaml.safe_dump(card).replace("SERVER", url))
        path = world / "config.yaml"
        config = yaml.safe_load(path.read_text()) | {"seeds": 1} | stage.config
        path.write_text(yaml.safe_dump(config))

    @property
    def results(self) -> Path:
        return self.clone.path / "results"

    def finish(self) -> float:
        """Run to the end; seconds."""
        began = time.monotonic()
        self.clone.snakemake("--", *self.targets, cores=1, timeout=HOURS)
        return time.monotonic() - began

    def start(self) -> subprocess.Popen:
        """Snakemake and its jobs, in a process group of their own."""
        command = ["snakemake", "--profile", "profiles/local", "--cores", "1"]
        command += ["--configfile", "world/config.yaml", "--", *self.targets]
        return subprocess.Popen(
            command,
            cwd=self.clone.path,
            env=self.clone.env,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A parent that ignores SIGINT, as `nohup` and `&` do, would hand that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def left(self) -> list[str]:
        """Temporary files of results, and living processes that work in the copy."""
        found = [str(p) for p in self.results.rglob(".*.tmp")]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").resolve() == self.clone.path:
                    found.append((process / "cmdline").read_bytes().decode()[:80])
            except OSError:
                continue
        return found

    def job(self) -> str:
        """The log that was written last: about the job that was killed."""
        logs = list((self.results / "logs").rglob("*.log"))
        newest = max(logs, key=lambda path: path.stat().st_mtime, default=None)
        return str(newest.relative_to(self.results / "logs")) if newest else "none"


def compare(want: dict[str, str], torn: Copy) -> dict[str, Any]:
    """What differs, and what is left."""
    got = digests(torn.results)
    every = want.keys() | got.keys()
    return {
        "artifacts": len(want),
        "differ": sorted(path for path in every if want.get(path) != got.get(path)),
        "left": torn.left(),
    }


def killed(whole: Copy, torn: Copy, n: int, dice: random.Random) -> dict[str, Any]:
    """Kill n times, run to the end, compare; a run that ends before is compared, too."""
    seconds = whole.finish()
    want = digests(whole.results)
    found: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    while len(found) < n:
        how = dice.choice(SIGNALS)
        # Snakemake needs a few seconds to start the first job.
        after = dice.uniform(3, 3 + max(5.0, 0.5 * seconds))
        process = torn.start()
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, how)
            process.wait(300)
            time.sleep(0.5)
            found.append({"signal": how.name, "after": round(after, 1)})
            found[-1] |= {"job": torn.job(), "left": len(torn.left())}
            print(f"kill {len(found)} of {n}: {found[-1]}", file=sys.stderr, flush=True)
            torn.clone.snakemake("--unlock", "--", *torn.targets)
        else:
            torn.finish()
            ended.append(compare(want, torn))
            shutil.rmtree(torn.results)
    torn.finish()
    ended.append(compare(want, torn))
    return {"seconds": round(seconds, 1), "kills": found, "runs": ended}


def answer(number: int, body: dict[str, Any]) -> tuple[int, dict, Any]:
    """A judge that says a number which depends on the text."""
    return 200, {}, judging.chat_answer(f"{len(str(body['messages'])) % 5}.5")


def main() -> None:
    """Run both, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=24, help="of all stages together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", default=",".join(STAGES), help=", ".join(STAGES))
    given = parser.parse_args()
    names = given.stages.split(",")
    server = judging.FakeServer(answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    dice = random.Random(given.seed)
    found: dict[str, Any] = {}
    for number, name in enumerate(names):
        share = given.kills // len(names) + (number < given.kills % len(names))
        with tempfile.TemporaryDirectory(prefix="tmap-kills-") as room:
            copies = [
                Copy(Path(room, which), STAGES[name], server.url)
                for which in ("whole", "torn")
            ]
            found[name] = killed(*copies, share, dice)
        print(f"{name}: {found[name]['runs']}", file=sys.stderr, flush=True)
    server.shutdown()
    runs = [run for one in found.values() for run in one["runs"]]
    bad = [run for run in runs if run["differ"] or run["left"]]
    told = {
        "seed": given.seed,
        "kills": sum(len(one["kills"]) for one in found.values()),
        "runs": len(runs),
        "runs_that_differ": len(bad),
        "stages": found,
    }
    print(json.dumps(told, indent=1))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
