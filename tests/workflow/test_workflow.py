"""The whole DAG on the small world, requested as a user would."""

import json
import re
import time

import pytest

from clones import TARGET, Clone, blocks, rules_of
from tmap.artifacts import tables

pytestmark = pytest.mark.workflow

KINDS = {
    "pool.parquet": "pool",
    "pool.rejected.parquet": "pool_rejected",
    "questions_reward.parquet": "questions",
    "questions_test.parquet": "questions",
    "question_ngrams.parquet": "question_ngrams",
    "responses.parquet": "responses",
    "irt.parquet": "irt",
    "abilities.parquet": "abilities",
    "tiny.parquet": "tiny",
    "confirm.parquet": "tiny",
    "trace.parquet": "trace",
    "timings.parquet": "search_timings",
    "subset.parquet": "subset",
    "predictions.parquet": "predictions",
}


def test_every_artifact_opens_and_fits_its_schema(finished_clone):
    seen = set()
    for path in (finished_clone.path / "results/demo").rglob("*.parquet"):
        kind = KINDS.get(path.name, "indicator")
        frame = tables.read(kind, path)
        about = tables.metadata(path)
        assert len(frame) == about["rows"]["total"]
        assert len(about["code"]) == 16
        seen.add(path.name)
    assert set(KINDS) <= seen
    assert {"ifd.parquet", "perplexity.parquet", "output_length.parquet"} <= seen


def test_metrics_compare_all_four_methods(finished_clone):
    metrics = json.loads((finished_clone.path / TARGET).read_text())
    assert list(metrics["methods"]) == ["base", "random", "uniform", "tmap"]
    for method in metrics["methods"].values():
        low, high = method["interval"]
        assert 0 <= low <= method["accuracy"] <= high <= 1
    against = metrics["methods"]["tmap"]["against_random"]
    assert against["better"] == "untested"  # one seed per arm cannot show more


#: Put on PYTHONPATH: every command notes what it imported.
WITNESS = """
import atexit, os, sys

def note():
    words = sys.argv[1:]
    if words and os.path.basename(sys.argv[0]) == "tmap":
        command = words[4 if words[0] == "--job" else 0]
        with open(os.environ["WITNESS"] + "/" + command, "a") as file:
            print(*sys.modules, file=file)

atexit.register(note)
"""


@pytest.fixture(scope="module")
def cold(finished_clone, tmp_path_factory):
    """The same target built without a fork server, and what each command imported."""
    other = Clone.make(tmp_path_factory.mktemp("cold") / "clone")
    other.run("tmap", "make-world", "world")
    other.run("cp", str(finished_clone.path / "world/config.yaml"), "world/")
    seen = other.path / "seen"
    seen.mkdir()
    (seen / "sitecustomize.py").write_text(WITNESS)
    env = {
        "PYTHONPATH": f"{seen}:{other.env['PYTHONPATH']}",
        "PYTHONHASHSEED": "4711",
        "TMAP_FORK_SERVER": "",
        "WITNESS": str(seen),
    }
    other.snakemake("--", TARGET, cores=1, **env)
    for command in ("plan", "status"):
        other.run("tmap", command, "--configfile", "world/config.yaml", TARGET, **env)
    other.run("tmap", "show-metrics", TARGET, **env)
    found = {
        path.name: [set(line.split()) for line in path.read_text().splitlines()]
        for path in seen.iterdir()
        if not path.suffix and path.is_file()
    }
    return other, found


#: Commands that run no model, and what none of them may import.
LIGHT = {
    *("fetch-model", "fetch-pool", "fetch-questions", "fetch-responses"),
    *("select-subset", "export-subset", "collect-metrics"),
    *("plan", "status", "show-metrics"),
}
HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "sklearn", "skopt"}


def test_no_command_imports_what_it_does_not_use(cold):
    _, found = cold
    assert LIGHT <= set(found)
    for command in LIGHT:
        for modules in found[command]:
            assert not HEAVY & modules, command
    assert not {"scipy", "matplotlib"} & set.union(*found["plan"])
    assert not {"numpy", "pandas"} & set.union(*found["show-metrics"])
    columns = [bool(HEAVY & modules) for modules in found["score-indicator"]]
    assert True in columns and False in columns  # of a model; of the text


def test_other_cores_hash_seeds_and_no_forks_give_identical_tables(
    finished_clone, cold
):
    other, _ = cold
    compared = 0
    built = [finished_clone.path / "results" / name for name in ("demo", "models")]
    for path in (path for folder in built for path in folder.rglob("*")):
        if path.name == "timings.parquet" or path.is_dir() or is_log(path):
            continue
        theirs = other.path / path.relative_to(finished_clone.path)
        assert theirs.read_bytes() == path.read_bytes(), path.name
        compared += path.suffix == ".parquet"
    assert compared > 20


def is_log(path) -> bool:
    return "logs" in path.parts or "benchmarks" in path.parts


def test_only_three_rules_read_the_test_questions(finished_clone):
    out = finished_clone.snakemake("-n", "--forceall", "--", TARGET)
    assert set(readers_of_test_questions(out)) == {
        "evaluate_adapter",
        "collect_metrics",
    }


def test_certificates_explanations_and_searches_read_no_test_questions(tmp_path):
    """Nor does a table: only the answers of parts do, and never a sentinel's."""
    clone = Clone.make(tmp_path / "clone")
    room = "results/gsm8k/llama3/tmap/s0"
    targets = [f"{room}/certificate.json", f"{room}/explain.json"]
    targets += [
        f"results/tables/{n}.parquet" for n in ("table3", "table8", "fraction_curve")
    ]
    out = clone.run("snakemake", "-n", "--cores", "1", "--", *targets)
    planned = rules_of_text(out)
    assert {
        "certify_proxy",
        "explain_weights",
        "search_consensus",
        "make_table",
    } <= planned
    readers = readers_of_test_questions(out)
    assert set(readers) == {"evaluate_adapter", "evaluate_part", "evaluate_shown"}
    assert not [path for path in readers["evaluate_part"] if "/k" in path]
    sentinels = [b for b in blocks(out) if re.search(r"^ +output: \S+/k\d+/t", b, re.M)]
    asked = [b for b in sentinels if "questions_reward.parquet" in b]
    assert len(asked) == 24


def readers_of_test_questions(out: str) -> dict[str, list[str]]:
    """Rules of a dry run that read them, with what each job writes."""
    found: dict[str, list[str]] = {}
    for block in blocks(out):
        if re.search(r"^ +input: .*questions_test\.parquet", block, re.M):
            rule = block.split("rule ")[1].split(":")[0]
            written = re.search(r"^ +output: (\S+)", block, re.M)
            found.setdefault(rule, []).append(written[1])
    return found


def test_only_the_oracle_reads_what_is_known_of_the_pool(tmp_path):
    clone = Clone.make(tmp_path / "clone")
    methods = "methods=[base,random,uniform,tmap,full,oracle]"
    target = "results/arith/tiny/metrics.json"
    out = clone.run("snakemake", "-n", "--config", methods, "--", target)
    readers = [
        re.search(r"^ +output: (\S+)", block, re.M)[1]
        for block in blocks(out)
        if re.search(r"^ +input: .*pool_labels\.parquet", block, re.M)
    ]
    assert readers == ["results/arith/tiny/oracle/s0/subset.parquet"]


def test_multiple_choice_runs_the_log_likelihood_path(finished_clone):
    target = "results/demo_mc/random_llama/metrics.json"
    finished_clone.snakemake("--config", "methods=[base,tmap]", "--", target)
    metrics = json.loads((finished_clone.path / target).read_text())
    assert metrics["metric"] in ("acc", "acc_norm")
    assert 0 < metrics["methods"]["base"]["accuracy"] < 1


def test_the_report_is_written(finished_clone):
    finished_clone.snakemake("--report", "report.html", "--", TARGET)
    assert (finished_clone.path / "report.html").stat().st_size > 100_000


@pytest.mark.parametrize("profile", ["local", "slurm"])
def test_the_real_target_is_planned_without_network_in_seconds(tmp_path, profile):
    clone = Clone.make(tmp_path / "clone")
    start = time.monotonic()
    out = clone.run(
        "snakemake",
        "-n",
        "--profile",
        f"profiles/{profile}",
        "results/gsm8k/llama3/metrics.json",
    )
    assert time.monotonic() - start < 120  # guards against a hang; not a speed test
    assert {"fetch_model", "search_weights", "train_adapter"} <= rules_of_text(out)


def rules_of_text(text: str) -> set[str]:
    from clones import jobs

    return rules_of(jobs(text))


@pytest.mark.parametrize(
    ("target", "fix"),
    [
        ("results/gsm8kk/llama3/metrics.json", "Did you mean 'gsm8k'"),
        ("results/gsm8k/lama3/metrics.json", "Did you mean 'llama3'"),
        ("results/gsm8k/llama3/tmpa/s0/weights.json", "Did you mean 'tmap'"),
    ],
)
def test_a_misspelt_card_in_a_path_is_told_with_the_nearest(tmp_path, target, fix):
    clone = Clone.make(tmp_path / "clone")
    out = clone.run("snakemake", "-n", "--cores", "1", target, check=False)
    assert fix in out


def test_any_card_may_be_named_in_a_path(tmp_path):
    clone = Clone.make(tmp_path / "clone")
    out = clone.run(
        "snakemake",
        "-n",
        "--cores",
        "1",
        "results/arc_c/mistral/random/s7/t2/predictions.parquet",
    )
    assert "train_adapter" in rules_of_text(out)


def test_lint_and_format_are_clean(tmp_path):
    clone = Clone.make(tmp_path / "clone")
    clone.run("snakemake", "--lint")
    clone.run("snakefmt", "--check", "Snakefile", "rules")
