"""A job in a fork is the process that its command would have been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tmap.jobs import fork_server

pytestmark = pytest.mark.skipif(
    not hasattr(os, "pidfd_open") or os.path.exists("/dev/nvidiactl"),
    reason="jobs are not forked on this machine",
)

#: A package `tmap` whose command tells what kind of process it is in.
CLI = """
import json, os, signal, sys, time

def main():
    print(json.dumps({
        "arguments": sys.argv[1:], "folder": os.getcwd(), "path": sys.path,
        "environment": dict(os.environ), "group": os.getpgid(0), "pid": os.getpid(),
        "library": "library" in sys.modules, "read": sys.stdin.read(),
    }), flush=True)
    print("words", file=sys.stderr, flush=True)
    how = sys.argv[1]
    if how == "sleep":
        time.sleep(60)
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(3 if how == "fail" else 0)
"""


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A folder with a small tmap, whose fork server imports a library of one line."""
    package = tmp_path / "code/tmap"
    (package / "jobs").mkdir(parents=True)
    source = Path(fork_server.__file__)
    text = source.read_text()
    start = text.index("LIBRARIES = (")
    end = text.index("\n)\n", start) + 3
    text = text[:start] + 'LIBRARIES = ("library", "not_there")\n' + text[end:]
    (package / "jobs/fork_server.py").write_text(text)
    (package / "__init__.py").touch()
    (package / "jobs/__init__.py").touch()
    (package / "cli.py").write_text(CLI)
    main = source.parents[1] / "__main__.py"
    (package / "__main__.py").write_text(main.read_text())
    (tmp_path / "code/library.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    sockets = tmp_path / "s"
    sockets.mkdir()
    owner = subprocess.Popen(["sleep", "600"])
    monkeypatch.setenv(fork_server.OFFERED, f"{owner.pid}:{sockets}")
    yield sockets
    owner.kill()
    owner.wait()
    until(lambda: not servers(sockets))


def servers(sockets: Path) -> list[psutil.Process]:
    return [
        one
        for one in psutil.process_iter(["cmdline"])
        if any(word.startswith(f"{sockets}/") for word in one.info["cmdline"] or ())
    ]


def until(holds) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Ended, if perhaps not yet waited for."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def start(*arguments: str, **how) -> subprocess.Popen:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, "-m", "tmap", *arguments]
    return subprocess.Popen(command, text=True, **(pipes | how))


def ask(*arguments: str, **how) -> tuple[int, dict, str]:
    process = start(*arguments, **how)
    out, err = process.communicate("a line", timeout=60)
    return process.returncode, json.loads(out), err


def test_a_fork_has_the_commands_arguments_folder_files_environment_and_group(
    room, tmp_path
):
    here = tmp_path / "elsewhere"
    here.mkdir()
    for word in ("one", "two"):  # of one server: OWN differs
        environment = os.environ | {"OLDPWD": word}
        status, found, err = ask("score", word, cwd=here, env=environment)
        assert status == 0 and err == "words\n"
        assert found["arguments"] == ["score", word]
        assert found["folder"] == str(here)
        assert found["read"] == "a line"
        assert found["library"]
        assert found["group"] == os.getpgid(0)
        told = found["environment"]
        assert {k: told[k] for k in environment} == environment
        assert told.get("HF_HUB_OFFLINE") == environment.get("HF_HUB_OFFLINE")
    assert len(list(room.glob("*.log"))) == 1


def test_its_modules_are_found_where_those_of_a_cold_start_are(room):
    _, forked, _ = ask("score")
    _, cold, _ = ask("fetch-pool")
    assert not cold["library"]
    assert forked["path"] == cold["path"]


def test_another_environment_has_another_server(room):
    for value in ("1", "2"):
        ask("score", env=os.environ | {"OMP_NUM_THREADS": value})
    assert len(list(room.glob("*.log"))) == 2


def test_options_of_tmap_itself_do_not_hide_the_command(room):
    _, found, _ = ask("--job", "fetch.log", "0", "60", "train-adapter", "llama")
    assert found["library"]
    _, found, _ = ask("--job", "x.log", "0", "60", "fetch-pool", "--fast")
    assert not found["library"]


@pytest.mark.parametrize(("how", "status"), [("fail", 3), ("die", -signal.SIGKILL)])
def test_a_command_ends_as_its_job_did(room, how, status):
    assert ask(how)[0] == status


def test_a_job_ends_with_its_command(room):
    process = start("sleep")
    process.stdin.close()
    pid = json.loads(process.stdout.readline())["pid"]
    assert pid != process.pid and psutil.pid_exists(pid)
    process.kill()
    process.wait()
    until(lambda: is_gone(pid))


def test_an_interrupt_of_the_group_ends_both(room):
    process = start("sleep", process_group=0)
    process.stdin.close()
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=20)
    assert "KeyboardInterrupt" in process.stderr.read()


def test_a_server_that_is_killed_is_told_and_takes_its_jobs_along(room):
    process = start("sleep")
    process.stdin.close()
    pid = json.loads(process.stdout.readline())["pid"]
    psutil.Process(pid).parent().kill()
    assert process.wait(timeout=20) == 1
    assert "The fork server of this run was killed" in process.stderr.read()
    until(lambda: is_gone(pid))
    assert ask("score")[1]["library"]  # another one was started


def test_without_a_server_the_command_does_it_itself(room, monkeypatch):
    monkeypatch.setenv(fork_server.OFFERED, f"{os.getpid()}:{room}/gone")
    status, found, _ = ask("score")
    assert status == 0 and not found["library"]


def test_a_server_that_cannot_start_leaves_the_job_to_the_command(room, tmp_path):
    code = tmp_path / "code/tmap/jobs/fork_server.py"
    code.write_text(code.read_text().replace("    _import()\n", "    raise OSError\n"))
    status, found, _ = ask("score")
    assert status == 0 and not found["library"]


def test_every_library_exists():
    command = (
        "import importlib, sys; [importlib.import_module(n) for n in sys.argv[1:]]"
    )
    subprocess.run([sys.executable, "-c", command, *fork_server.LIBRARIES], check=True)


def test_the_libraries_start_no_thread_and_ask_no_gpu():
    """A thread of the server would be missing in its forks; jemalloc knows forks."""
    told = subprocess.run(
        [
            *(sys.executable, "-c"),
            "from tmap.jobs import fork_server; import pathlib, sys\n"
            "fork_server._import()\n"
            "threads = pathlib.Path('/proc/self/task').glob('*/comm')\n"
            "names = [path.read_text().strip() for path in threads]\n"
            "print(len([name for name in names if name != 'jemalloc_bg_thd']))\n"
            "print(sys.modules['torch'].cuda.is_initialized())\n"
            "print([m for m in sys.modules if m.startswith('tmap.')])",
        ],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert told.stdout == "1\nFalse\n['tmap.jobs', 'tmap.jobs.fork_server']\n"
