"""How a failed run ends: one sentence per failed rule, its log, and how to resume."""

import pytest

from clones import CORES, Clone
from tmap import cli
from tmap.jobs import failures

SNAKEMAKE = """\
RuleException:
Command 'tmap fit-irt demo 2>&1 | tee {log}' returned non-zero exit status 1.
[Sat Nov 21 09:17:25 2026]
Error in rule fit_irt:
    message: None
    jobid: 4
    output: results/demo/irt.parquet
    log: {log} (check log file(s) for error details)
    shell:
        tmap fit-irt demo
        (command exited with non-zero exit code)
Logfile {log}:
"""
COMMAND = ["snakemake", "--configfile", "my own.yaml", "--", "results/demo/irt.parquet"]


@pytest.fixture
def summary(tmp_path):
    """The summary of a run whose rule fit_irt, tried `tries` times, left this log."""

    def of(job_log, tries=1):
        log, run = tmp_path / "demo.log", tmp_path / "run.log"
        if job_log is not None:
            log.write_text(job_log)
        run.write_text(SNAKEMAKE.format(log=log) * tries)
        return failures.summary([run], COMMAND).replace(str(log), "LOG").splitlines()

    return of


def test_the_sentence_the_log_and_the_command_that_resumes_are_the_last_words(summary):
    assert summary("09:00:01 working\nerror: No rows. Name a file with rows.\n") == [
        "",
        "fit_irt failed: No rows. Name a file with rows.",
        "  its log: LOG",
        "Finished jobs are kept. To resume: "
        "snakemake --configfile 'my own.yaml' -- results/demo/irt.parquet",
    ]


def test_a_sentence_of_several_lines_is_told_whole_and_an_earlier_one_is_not(summary):
    told = summary("error: of a try before\n12:00:00 on\nerror: One,\n  two.\n")

    assert told[1] == "fit_irt failed: One,   two."


@pytest.mark.parametrize("job_log", [None, "", "09:00:01 working\n"])
def test_a_job_that_ended_without_a_word_was_killed(summary, job_log):
    assert "was killed or never started" in summary(job_log)[1]


def test_a_job_that_failed_at_every_try_is_told_once(summary):
    assert (
        len([line for line in summary("error: No.\n", tries=3) if "No." in line]) == 1
    )


def test_a_job_that_a_later_attempt_finished_is_not_told(tmp_path):
    told = {}
    for name, number in [("repaired", 4), ("lost", 5), ("late", 6)]:
        log = tmp_path / f"{name}.log"
        log.write_text(f"error: It is {name}.\n")
        told[name] = SNAKEMAKE.format(log=log).replace("jobid: 4", f"jobid: {number}")
    done = "[Sat Nov 21 09:18:25 2026]\nFinished jobid: {} (Rule: fit_irt)\n"
    run = tmp_path / "run.log"
    # Number 45 is another job, and number 6 failed after it was done: a file was lost.
    whole = [done.format(6), *told.values(), done.format(45), done.format(4)]
    run.write_text("".join(whole))

    said = failures.summary([run], COMMAND)

    assert "repaired" not in said
    assert "It is lost." in said and "It is late." in said


GROUP = """\
[Sat Nov 21 09:17:25 2026]
    message: Error in group shards
    jobs:
        rule measure_shard:
            jobid: 3
            output: {room}/1.parquet
            log: {room}/1.log (check log file(s) for error details)
Logfile {room}/1.slurm:
=====
[Sat Nov 21 09:17:24 2026]
Error in rule measure_shard:
    jobid: 0
    output: {room}/1.parquet
    log: {room}/1.log (check log file(s) for error details)
=====
    [Sat Nov 21 09:17:25 2026]
    Error in rule measure_shard:
        jobid: 3
        output: {room}/1.parquet
        log: {room}/1.log, {room}/1.slurm (check log file(s) for error details)
    [Sat Nov 21 09:17:25 2026]
    Error in rule measure_shard:
        jobid: 4
        output: {room}/2.parquet
        log: {room}/2.log (check log file(s) for error details)
"""


@pytest.fixture
def group(tmp_path):
    """The summary of a cluster run; of two jobs in a group, the first left this log."""

    def of(words):
        (tmp_path / "1.log").write_text(words)
        run = tmp_path / "run.log"
        run.write_text(GROUP.format(room=tmp_path))
        return failures.summary([run], COMMAND).replace(f"{tmp_path}/", "")

    return of


def test_of_a_group_those_are_told_that_say_why(group):
    assert group("error: No.\n").splitlines()[1:3] == [
        "measure_shard failed: No.",
        "  its log: 1.log",
    ]
    assert "2.log" not in group("error: No.\n")


def test_of_a_group_that_was_killed_all_jobs_are_told(tmp_path):
    run = tmp_path / "run.log"
    run.write_text(GROUP[GROUP.rindex("=====\n") :].format(room=tmp_path))

    said = failures.summary([run], COMMAND)

    assert said.count("ended without a message") == 2


def test_a_job_whose_output_is_there_was_made_good(group, tmp_path):
    (tmp_path / "1.parquet").touch()

    said = group("error: Time is up.\n")

    assert "Time is up" not in said and "2.log" in said


def test_an_unforeseen_fault_ends_in_a_sentence_below_its_traceback(
    monkeypatch, capsys
):
    def broken(**options):
        raise ValueError("3 is\nnot 4")

    monkeypatch.setattr(cli, "app", broken)

    with pytest.raises(SystemExit) as end:
        cli.main()

    said = capsys.readouterr().err
    assert end.value.code == 1
    assert said.startswith("Traceback")
    assert said.splitlines()[-1].startswith(
        "error: ValueError: 3 is not 4. This is unex"
    )


@pytest.mark.workflow
def test_a_failed_rule_is_told_at_the_end_of_the_run(tmp_path):
    clone = Clone.make(tmp_path / "clone")
    clone.run("tmap", "make-world", "world")
    (clone.path / "world/pool.jsonl").write_text("\n")

    said = clone.snakemake("--", "results/demo/pool.parquet", check=False)

    last = said[said.index("\nfetch_pool failed:") :].splitlines()
    assert "has no rows. Name a file with rows." in last[1]
    assert last[2] == "  its log: results/logs/fetch_pool/demo.log"
    assert (clone.path / "results/logs/fetch_pool/demo.log").is_file()
    assert last[3].endswith(
        f"snakemake --profile profiles/local --cores {CORES} --configfile "
        "world/config.yaml -- results/demo/pool.parquet"
    )
