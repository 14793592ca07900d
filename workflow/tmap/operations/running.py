"""`tmap run`: Snakemake with the profile of your folder, and one line per finished job."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from rich.console import Console
from rich.markup import escape

from tmap import cards, dag
from tmap.cards.starter import CLONE, TIED
from tmap.errors import TmapError
from tmap.jobs import failures

PROFILE = Path("profiles/local/config.yaml")
#: Options whose answer is Snakemake's own output: nothing is built.
ASKING = (
    "-n --dry-run --dryrun --unlock --touch -t --report --dag --rulegraph --filegraph "
    "--d3dag --summary -S --detailed-summary -D --list-rules --list -l --lint --help -h "
    "--version -v --cleanup-metadata --delete-all-output --archive --list-target-rules "
    "--list-changes --print-compilation"
).split()
#: Options that take any number of values, so that a target after them would be one.
GREEDY = ("--configfile", "--configfiles", "--config")
STEP = re.compile(r"(\d+) of (\d+) steps \(\d+%\) done")
BEGINS = re.compile(r"(?:local)?(?:rule|checkpoint) (\w+):$")
ENDS = re.compile(r"Finished jobid: (\d+) \(Rule: (\w+)\)")
FAILS = re.compile(r"Error in (?:rule|group job) (\w+):$")
NOISE = re.compile(r'\s+File "|Using profile |Config file .* is extended')
WORKS = re.compile(r"\d+/\d+ .*\bETA \S+")


@dataclass
class Call:
    """How Snakemake is called: its options without targets, and the targets."""

    options: list[str]
    targets: list[str]

    @property
    def asks(self) -> bool:
        """Whether nothing is built, so that Snakemake's output is the answer."""
        return any(option.partition("=")[0] in ASKING for option in self.options)

    @property
    def command(self) -> list[str]:
        snakemake = Path(sys.executable).with_name("snakemake")
        name = str(snakemake) if snakemake.exists() else "snakemake"
        return [name, *self.options, *(["--", *self.targets] if self.targets else [])]


def call(arguments: Sequence[str], here: Path) -> Call:
    """Tell targets from options, and add the profile of the user's folder.

    Targets come first, after `--`, or are paths below results/ that follow the values of
    --configfile or --config. All other words are Snakemake's.

    Parameters
    ----------
    arguments : as typed
    here : the folder in which they were typed
    """
    options, targets, greedy = list[str](), list[str](), ""
    for place, word in enumerate(arguments):
        if word == "--":
            targets += arguments[place + 1 :]
            break
        if word.startswith("-"):
            greedy = word if word in GREEDY else "-"
            options.append(word)
        elif not greedy or (greedy in GREEDY and word.startswith("results/")):
            targets.append(word)
        else:
            options.append(word)
    named = {option.partition("=")[0] for option in options}
    if not named & {"--profile", "--workflow-profile"}:
        own = None if named & {"--configfile", "--configfiles"} else folder(here)
        options[:0] = ["--profile", str((own or CLONE) / PROFILE.parent)]
    pages = dag.comparison.with_pages(targets)
    return Call(options, pages)


def folder(here: Path) -> Path | None:
    """The folder of `tmap init`: the current one, one above it, or one beside the clone.

    Raises
    ------
    TmapError : several are beside the clone
    """
    for place in (here, *here.parents):
        if _is_own(place):
            return place
    beside = sorted(p.parents[2] for p in CLONE.parent.glob(f"*/{PROFILE}"))
    found = [place for place in beside if place != CLONE and _is_own(place)]
    if len(found) > 1:
        names = ", ".join(f"'{place}'" for place in found)
        raise TmapError(
            f"Several folders made by `tmap init` are beside the clone: {names}. Type the "
            "command in one of them, or name one: --profile FOLDER/profiles/local."
        )
    return found[0] if found else None


def _is_own(place: Path) -> bool:
    """Whether `tmap init` made the folder: its profile's first line says so."""
    try:
        with open(place / PROFILE, encoding="utf-8") as file:
            return (
                file.readline()
                == TIED.format(name="local", config="").splitlines(True)[0]
            )
    except (OSError, UnicodeDecodeError):
        return False


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
    named = _values(made.options, "--configfile") + _values(
        made.options, "--configfiles"
    )
    for profile in [] if named else _values(made.options, "--profile"):
        path = CLONE / profile / "config.yaml"
        if path.is_file():
            settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            configs = settings.get("configfile") or []
            named += [configs] if isinstance(configs, str) else configs
    return [CLONE / path for path in named]


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
        return subprocess.call(made.command, cwd=CLONE)
    words = f"in {CLONE}: snakemake {shlex.join(made.command[1:])}"
    console.print(words, style="dim", markup=False, highlight=False)
    with subprocess.Popen(
        made.command,
        cwd=CLONE,
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
