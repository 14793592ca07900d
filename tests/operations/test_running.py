"""`tmap run`: which words are targets, which folder is found, what is printed."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tmap import cards
from tmap.cards import starter
from tmap.errors import TmapError
from tmap.operations import own, pages, running

METRICS, PAGE = "results/a/b/metrics.json", "results/a/b/report.html"


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """An empty folder in place of the clone, so that nothing beside the real one counts."""
    place = tmp_path / "clone"
    place.mkdir()
    for module in (running, own):
        monkeypatch.setattr(module, "CLONE", place)
    return place


def mine(tmp_path, name="mine"):
    for path in starter.write(tmp_path / name):
        assert path.is_file()
    return tmp_path / name


@pytest.mark.parametrize(
    ("words", "options", "targets"),
    [
        ([METRICS], [], [METRICS, PAGE]),
        ([], [], []),
        (["results/a/pool.parquet", "-n"], ["-n"], ["results/a/pool.parquet"]),
        (["--cores", "4", "-k", "--", PAGE], ["--cores", "4", "-k"], [PAGE]),
        ([PAGE, "--rerun-triggers", "mtime"], ["--rerun-triggers", "mtime"], [PAGE]),
        (["--config", "seeds=1", PAGE], ["--config", "seeds=1"], [PAGE]),
        # A value that is a path is no target.
        ([PAGE, "--forcerun", METRICS], ["--forcerun", METRICS], [PAGE]),
    ],
)
def test_targets_are_told_from_options(clone, words, options, targets):
    made = running.call(words, clone)

    assert made.options == ["--profile", str(clone / "profiles/local"), *options]
    assert made.targets == targets
    assert made.command[3:] == [*made.options, *(["--", *targets] if targets else [])]


@pytest.mark.parametrize(
    "given", [["--profile", "p"], ["--profile=p"], ["--workflow-profile", "p"]]
)
def test_a_profile_that_is_named_is_the_only_one(clone, given):
    assert running.call(given, clone).options == [*given[0].split("="), *given[1:]]


def test_cards_and_config_mean_what_they_mean_in_other_commands(tmp_path, clone):
    place = mine(tmp_path)
    (tmp_path / "bare").mkdir()
    local = ["--profile", str(clone / "profiles/local")]
    config = ["--configfile", str(place / "config.yaml")]

    def options(*words):
        return running.call([*words, PAGE], tmp_path).options

    assert options("--cards", "mine") == ["--profile", str(place / "profiles/local")]
    assert running.call(["--cards=mine", "-n"], tmp_path).options[2:] == ["-n"]
    assert options("--config", "mine/config.yaml") == [*local, *config]
    assert options("--configfile", "mine/config.yaml") == [*local, *config]
    assert options("--cards", "bare") == [
        *local,
        *("--config", f"cards={[str(tmp_path / 'bare')]}"),
    ]
    # Snakemake keeps the last of an option, so each is given once.
    both = options("--config", "mine/config.yaml", "seeds=1", "--config", "keep=x")
    assert both == [*local, *config, "--config", "seeds=1", "keep=x"]
    slurm = str(place / "profiles/slurm")
    assert options("--profile", "mine/profiles/slurm") == ["--profile", slurm]
    assert options("--cards", "mine", "--profile", slurm) == [
        *("--profile", slurm),
        *config,
    ]
    assert running.call(["--cards", "mine", PAGE], tmp_path).targets == [PAGE]
    for given in (["--profile", slurm], [f"--profile={slurm}"]):
        assert running.call([*given, "results.txt"], tmp_path).targets == [
            "results.txt"
        ]


@pytest.mark.parametrize(
    "how",
    [
        {"named": ["mine"]},
        {"config": [Path("mine/config.yaml")]},
        {"profile": Path("mine/profiles/local")},
        {},  # found beside the clone
    ],
)
def test_the_folder_is_the_same_by_each_option(tmp_path, clone, monkeypatch, how):
    place = mine(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TMAP_CARDS")
    given = {"named": [], "config": [], "profile": None} | how
    settings, files = own.use(*given.values(), move=True)

    assert files == [place / "config.yaml"]
    assert "my_method" in settings.methods
    assert "my_method" in cards.names("methods", own=True)
    assert Path.cwd() == clone


def test_a_folder_of_init_is_found_inside_it_and_beside_the_clone(tmp_path, clone):
    assert own.folder(clone) is None
    place = mine(tmp_path)

    assert own.folder(place / "datasets") == place
    assert own.folder(clone) == place
    named = running.call([], clone).options
    assert named == ["--profile", str(place / "profiles/local")]
    shipped = running.call(["--configfile", "x.yaml"], clone).options
    assert shipped[:2] == ["--profile", str(clone / "profiles/local")]


def test_of_two_folders_beside_the_clone_none_is_guessed(tmp_path, clone):
    mine(tmp_path), mine(tmp_path, "other")

    with pytest.raises(TmapError, match=r"Several folders made by `tmap init`"):
        own.folder(clone)
    assert own.folder(tmp_path / "other") == tmp_path / "other"


def test_the_targets_of_a_config_are_known(tmp_path, clone):
    place = mine(tmp_path)
    made = running.call([], place)
    room = "results/my_data/my_model"

    assert running.targets(made) == [f"{room}/metrics.json", f"{room}/report.html"]
    assert running.targets(running.call([PAGE], place)) == [PAGE]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("since: 2024-13-45\n", "line 1: '2024-13-45' is read as a date and is none"),
        ("seeds: 3\nseeds: 5\n", "seeds"),
        ("methods: [base\n", "line"),
    ],
)
def test_a_config_is_read_before_snakemake_reads_it(tmp_path, clone, text, said):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    made = running.call(["--configfile", str(path)], clone)
    with pytest.raises(TmapError, match=said):
        running.check(made)
    path.write_text("seeds: 3\n")
    running.check(made)
    path.unlink()
    running.check(made)


def test_options_that_only_ask_show_what_snakemake_says(clone):
    assert running.call(["-n"], clone).asks
    assert running.call(["--report=x.html"], clone).asks
    assert not running.call(["--cores", "2"], clone).asks


OUTPUT = """\
Building DAG of jobs...

[Sat Nov 28 17:50:15 2026]
rule search_weights:
    input: results/a/pool.parquet
    jobid: 3
    wildcards: dataset=a, model=b, method=tmap, seed=0
    resources: tmpdir=/x
[Sat Nov 28 17:50:15 2026]
localrule fit_irt:
    jobid: 1
    wildcards: dataset=a
iteration 9/25 reward 0.4000 (best 0.5) 1.2s, ETA 1m49s
[Sat Nov 28 17:50:29 2026]
Finished jobid: 1 (Rule: fit_irt)
1 of 12 steps (8%) done
Finished jobid: 3 (Rule: search_weights)
2 of 12 steps (17%) done
"""


def test_one_line_per_finished_job_with_its_time():
    clock, out = iter(range(0, 10_000, 10)), io.StringIO()
    console = Console(file=out, width=100)
    progress = running.follow(OUTPUT.splitlines(True), console, lambda: next(clock))

    assert out.getvalue().splitlines() == [
        " 1/12  fit_irt a  40 s",
        " 2/12  search_weights a b tmap 0  1 min 50 s",
    ]
    assert progress.working.endswith("ETA 1m49s")
    assert progress.n_done == 2


def test_of_a_failed_run_the_reason_is_printed():
    lines = ["Error in rule train_adapter:", "    jobid: 4", "Traceback", "", *REASONS]
    lines += ["Complete log(s): x.log", "WorkflowError:"]
    progress = running.Progress()
    printed = [progress.feed(line, 0.0) for line in lines]

    assert printed[0] == "failed: train_adapter"
    assert progress.reasons() == REASONS


REASONS = [
    "train_adapter failed: no GPU was found.",
    "  its log: results/logs/train_adapter/a.log",
    "Finished jobs are kept. To resume: snakemake -c2",
]


def test_before_any_job_the_sentence_is_all_that_is_said():
    said = [
        "Using profile p for setting default command line arguments.",
        'TmapError in file "Snakefile", line 32:',
        "No model card 'tny'. Did you mean 'tiny'?",
        '  File "Snakefile", line 32, in <module>',
    ]
    progress = running.Progress(said=said)
    assert progress.reasons() == said[1:3]


def test_what_runs_is_told_apart_from_what_ends(clone, monkeypatch):
    """A real process in Snakemake's place: its status, and what is printed."""
    script = f"print('''{OUTPUT}'''); raise SystemExit(1)"
    monkeypatch.setattr(running.Call, "command", [sys.executable, "-c", script])
    out = io.StringIO()

    status = running.run(running.Call([], []), Console(file=out, width=100))

    assert status == 1
    assert " 1/12  fit_irt a" in out.getvalue()


def test_a_page_is_found_by_folder_file_or_names(tmp_path):
    room = tmp_path / "clone" / "results" / "a" / "b"
    room.mkdir(parents=True)
    (room / "report.html").touch()
    found = (room / "report.html").resolve()

    for target in ("a/b", "results/a/b", PAGE, METRICS, str(room)):
        assert pages.find(target, tmp_path, tmp_path / "clone") == found
    with pytest.raises(TmapError, match=r"tmap run results/a/c/report\.html"):
        pages.find("a/c", tmp_path, tmp_path / "clone")
