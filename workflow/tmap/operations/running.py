"""`tmap run`: Snakemake with the profile of your folder, and one line per finished job."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tmap import cards, dag
from tmap.cards.starter import CLONE
from tmap.jobs import failures
from tmap.operations import own

#: Options whose answer is Snakemake's own output: nothing is built.
ASKING = (
    "-n --dry-run --dryrun --unlock --touch -t --report --dag --rulegraph --filegraph "
    "--d3dag --summary -S --detailed-summary -D --list-rules --list -l --lint --help -h "
    "--version -v --cleanup-metadata --delete-all-output --archive --list-target-rules "
    "--list-changes --print-compilation"
).split()
#: Options that say where cards and configs are; all but profiles take several values.
PROFILES = ("--profile", "--workflow-profile")
OURS = ("--cards", "--config", "--configfile", "--configfiles", *PROFILES)
STEP = re.compile(r"(\d+) of (\d+) steps \(\d+%\) done")
BEGINS = re.compile(r"(?:local)?(?:rule|checkpoint) (\w+):$")
ENDS = re.compile(r"Finished jobid: (\d+) \(Rule: (\w+)\)")
FAILS = re.compile(r"Error in (?:rule|group job) (\w+):$")
NOISE = re.compile(r'\s+File "|Using profile |Config file .* is extended')
WORKS = re.compile(r"\d+/\d+ .*\bETA \S+")


@dataclass
class Call:
    """How Snakemake is called: its options without targets, the targets, and where."""

    options: list[str]
    targets: list[str]
    place: Path = CLONE

    @property
    def asks(self) -> bool:
        """Whether nothing is built, so that Snakemake's output is the answer."""
        return any(option.partition("=")[0] in ASKING for option in self.options)

    @property
    def command(self) -> list[str]:
        found = [sys.executable, "-m", "snakemake", *self.options]
        return [*found, *(["--", *self.targets] if self.targets else [])]

    @property
    def env(self) -> dict[str, str]:
        """Jobs are commands of the environment that this command is from."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return os.environ | {"PATH": path}


def call(arguments: Sequence[str], here: Path) -> Call:
    """Tell targets from options, and add the profile of the user's folder.

    Targets come first, after `--`, or are paths below results/ that follow the values of
    --cards, --config or --configfile. `--cards FOLDER` and `--config FILE` mean what they
    mean in other commands; all other words are Snakemake's. Paths of files become absolute,
    because Snakemake runs in the clone.

    Parameters
    ----------
    arguments : as typed
    here : the folder in which they were typed
    """
    options, targets = list[str](), list[str]()
    ours: dict[str, list[str]] = {name: [] for name in OURS}
    taking = ""
    for place, word in enumerate(arguments):
        if word == "--":
            targets += arguments[place + 1 :]
            break
        name, _, value = word.partition("=")
        if name in OURS:
            taking = name
            ours[name] += [value] if "=" in word else []
        elif word.startswith("-"):
            taking = "-"
            options.append(word)
        elif taking in PROFILES and ours[taking]:
            targets.append(word)
        elif taking in OURS and not word.startswith("results/"):
            ours[taking].append(word)
        elif taking in ("", *OURS):
            targets.append(word)
        else:
            options.append(word)
    settled, found = _settled(ours, here)
    if cards.INSTALLED:
        settled += ["--snakefile", str(CLONE / "Snakefile")]
    pages = dag.comparison.with_pages(targets)
    return Call([*settled, *options], pages, own.workplace(here, found))


def _settled(
    ours: Mapping[str, list[str]], here: Path
) -> tuple[list[str], Path | None]:
    """Profile, config files and values, each option once: Snakemake keeps the last.

    Also the folder of `tmap init` that is used.
    """
    profiles = [_absolute(path, here) for path in ours["--profile"][-1:]]
    files = [
        _absolute(p, here) for n in ("--configfile", "--configfiles") for p in ours[n]
    ]
    values = [value for value in ours["--config"] if "=" in value]
    files += [
        os.path.abspath(here / path) for path in ours["--config"] if "=" not in path
    ]
    folders = [Path(os.path.abspath(here / place)) for place in ours["--cards"]]
    found = next(filter(own.is_own, folders), None)
    if not (profiles or ours["--workflow-profile"]):
        if not (files or folders):
            found = own.folder(here)
        profiles = [str((found or CLONE) / own.PROFILE.parent)]
        folders = [place for place in folders if place != found]
    files += [str(f / own.CONFIG) for f in folders if (f / own.CONFIG).is_file()]
    bare = [str(f) for f in folders if not (f / own.CONFIG).is_file()]
    values += [f"cards={bare}"] if bare else []
    told = {"--profile": profiles, "--workflow-profile": ours["--workflow-profile"]}
    told |= {"--configfile": files, "--config": values}
    words = [word for name, given in told.items() if given for word in (name, *given)]
    return words, found


def _absolute(path: str, here: Path) -> str:
    """A path as typed, so that the clone sees it; a name that is no file stays."""
    return os.path.abspath(here / path) if (here / path).exists() else path


def targets(made: Call) -> list[str]:
    """What a call builds: its targets, else those of the config that it names."""
    if made.targets:
        return made.targets
    config = cards.read_config(_configs(made))
    return dag.comparison.with_pages(config.targets)


def check(made: Call) -> None:
    """Refuse config files that Snakemake would end in a traceback on."""
    for path in _configs(made):
        if path.is_file():  # if not, Snakemake says so
            cards.check_config_file(path)


def _configs(made: Call) -> list[Path]:
    """The config files that a call names, else those of its profile."""
    named = _values(made.options, "--configfile")
    if named:
        return [made.place / path for path in named]
    profiles = _values(made.options, "--profile")
    return [file for path in profiles for file in own.configs_of(made.place / path)]


def _values(options: Sequence[str], name: str) -> list[str]:
    """The values of an option, as `--name value ...` or `--name=value`."""
    found, taking = [], False
    for word in options:
        if word.startswith("-"):
            key, is_joined, value = word.partition("=")
            taking = key == name and not is_joined
            found += [value] if key == name and is_joined else []
        elif taking:
            found.append(word)
    return found


@dataclass
class Progress:
    """Snakemake's output, line by line, as few lines for a person.

    Attributes
    ----------
    began : time at which each job began, and what it is about, by its number
    said : everything since the last job began or ended, to explain a failure
    working : the last progress that a job reported
    """

    began: dict[str, tuple[float, str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    rule: str = ""
    job: str = ""
    working: str = ""
    n_done: int = 0
    ended: list[str] = field(default_factory=list)

    def feed(self, line: str, now: float) -> str | None:
        """The line to print for this line of Snakemake's, if any."""
        line = line.rstrip("\n")
        self.said.append(line)
        if found := BEGINS.match(line.strip()):
            self.rule, self.job = found[1], ""
        elif line.startswith("    jobid: "):
            self.job = line.split()[-1]
            self.began[self.job] = (now, self.rule)
        elif line.startswith("    wildcards: ") and self.job in self.began:
            start, rule = self.began[self.job]
            names = re.findall(r"=([^,]+)", line)
            self.began[self.job] = (start, f"{rule} {' '.join(names)}")
        elif found := ENDS.match(line):
            start, about = self.began.pop(found[1], (now, found[2]))
            self.ended.append(f"{about}  {_duration(now - start)}")
        elif found := STEP.match(line):
            ended, self.ended, self.said = self.ended, [], []
            self.n_done = int(found[1])
            count = f"{found[1]:>{len(found[2])}}/{found[2]}"
            return "\n".join(f"{count}  {about}" for about in ended)
        elif found := FAILS.match(line.strip()):
            return f"failed: {found[1]}"
        elif found := WORKS.search(line):
            self.working = line.strip()
        return None

    def reasons(self) -> list[str]:
        """What a failed run's last words say: our summary, else all since the last job."""
        starts = [
            i for i, line in enumerate(self.said) if re.match(r"\w+ failed: ", line)
        ]
        if starts:
            told = self.said[starts[0] :]
            ends = [i for i, line in enumerate(told) if line.startswith(failures.KEPT)]
            return told[: ends[0] + 1] if ends else told
        return [line for line in self.said[-40:] if not NOISE.match(line)]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def follow(
    lines: Iterable[str],
    console: Console,
    clock: Callable[[], float] = time.monotonic,
) -> Progress:
    """Print what `Progress` makes of the lines; a terminal shows a job's progress, too."""
    progress = Progress()
    with console.status("starting") as status:
        for line in lines:
            said = progress.feed(line, clock())
            if said:
                console.print(said, markup=False, highlight=False)
            running = [about for _, about in progress.began.values()]
            what = progress.working if len(running) == 1 else ""
            now = f"{', '.join(running[:3])}  {what}" if running else "starting"
            status.update(escape(now))
    return progress


def run(made: Call, console: Console) -> int:
    """Call Snakemake in the clone; its exit status."""
    if made.asks:
        return subprocess.call(made.command, cwd=made.place, env=made.env)
    words = f"in {made.place}: {shlex.join(made.command[2:])}"
    console.print(words, style="dim", markup=False, highlight=False)
    with subprocess.Popen(
        made.command,
        cwd=made.place,
        env=made.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout
        try:
            progress = follow(process.stdout, console)
        except KeyboardInterrupt:  # Snakemake got it, too, and ends its jobs
            process.wait()
            console.print("Stopped. Finished jobs are kept; the same command resumes.")
            return 130
    if process.returncode:
        console.print("\n".join(progress.reasons()), markup=False, highlight=False)
    elif not progress.n_done:
        console.print("Nothing to build: everything is current.")
    return process.returncode
