"""Run jobs in forks of a process that has imported torch and transformers already.

On one machine Snakemake starts a Python for every job, and for a small model the imports
take longer than the job. After `offer`, the first job starts a *fork server*, which imports
the libraries once, and tmap never. Every job is then a fork of it: a process of its own,
with the environment, folder, files and process group of the command that asked for it. If
that cannot be had, the command runs the job itself.

Only the standard library is imported here: every job imports this before anything else.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import hashlib
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

#: Environment variable: the folder of the sockets, and the process that they serve.
OFFERED = "TMAP_FORK_SERVER"
#: What jobs import; what else a job needs, it imports itself.
LIBRARIES = (
    *("typer", "rich.console", "pydantic", "yaml", "jinja2", "psutil"),
    *("numpy", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn.linear_model"),
    *("torch", "peft", "safetensors.torch", "transformers.models.auto.modeling_auto"),
    *("transformers.models.llama.modeling_llama", "transformers.generation"),
    *("transformers.tokenization_utils_tokenizers", "trl.trainer.sft_trainer"),
)
#: Variables that differ between the jobs of one run and that no library reads.
OWN = frozenset({"PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES"})
#: What may ask a hub, and what people type. The libraries are imported for work offline.
COLD = ("fetch-", "init", "check", "run", "plan", "status", "open", "show-", "store-gc")
#: Seconds that the server's imports may take.
PATIENCE = 120
#: The first argument of the server's own process.
SERVE = "--serve-forks"
BEGUN = b"begun\n"
PR_SET_PDEATHSIG = 1


def offer() -> None:
    """Let the commands that this process starts share a fork server; it ends with us.

    Not beside an NVIDIA GPU, because CUDA cannot be used in a fork of a process that asked
    for it; not without pidfd (Linux), by which the server watches processes; and not if
    `TMAP_FORK_SERVER` is set already: empty, it means none.
    """
    possible = hasattr(os, "pidfd_open") and not os.path.exists("/dev/nvidiactl")
    if possible and OFFERED not in os.environ:
        folder = tempfile.mkdtemp(prefix="tmap-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ[OFFERED] = f"{os.getpid()}:{folder}"


def hand_over(arguments: list[str]) -> None:
    """Have the fork server run `tmap ARGUMENTS`, and end as that job ends.

    Returns only if this process is to run the job itself.
    """
    owner, _, folder = os.environ.get(OFFERED, "").partition(":")
    if not folder or _command(arguments).startswith(COLD):
        return
    line = _connect(Path(folder), owner)
    if line is None:
        return
    with line:
        try:
            _send(line, arguments)
            if line.recv(len(BEGUN), socket.MSG_WAITALL) != BEGUN:
                return
        except OSError:
            return
        # Of a Ctrl-C the job, which is in this process's group, is told as well.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        status = line.recv(16, socket.MSG_WAITALL)
    if not status:
        print("error: The fork server of this run was killed.", file=sys.stderr)
    _end(int(status or 1))


def _command(arguments: list[str]) -> str:
    """The subcommand, after the options of `tmap` itself."""
    rest = arguments[4:] if arguments[:1] == ["--job"] else arguments
    return next((text for text in rest if not text.startswith("-")), COLD[0])


def _end(status: int) -> NoReturn:
    """End as a process did; `status` as `os.waitstatus_to_exitcode` gives it."""
    if status < 0:
        with suppress(OSError):  # SIGKILL has no other way
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status if status >= 0 else 1)


def _connect(folder: Path, owner: str) -> socket.socket | None:
    """A line to the server for this Python and environment, started if there is none."""
    same = sorted((k, v) for k, v in os.environ.items() if k not in OWN)
    told = json.dumps([sys.executable, os.getsid(0), same])
    name = folder / hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
    line = socket.socket(socket.AF_UNIX)
    try:
        with open(f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with suppress(FileNotFoundError, ConnectionRefusedError):
                line.connect(str(name))
                return line
            _start(name, owner)
            line.connect(str(name))
            return line
    except OSError:
        line.close()
        return None


def _start(name: Path, owner: str) -> None:
    """Start a server and wait until it takes requests."""
    name.unlink(missing_ok=True)  # left by one that was killed
    with open(f"{name}.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tmap", SERVE, str(name), owner],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    end = time.monotonic() + PATIENCE
    while not name.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def _send(line: socket.socket, arguments: list[str]) -> None:
    about = {
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": sys.path,
        "group": os.getpgid(0),
    }
    body = json.dumps(about).encode()
    socket.send_fds(line, [len(body).to_bytes(8, "big")], [0, 1, 2])
    line.sendall(body)


def _receive(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    line.settimeout(10)
    header, files, _, _ = socket.recv_fds(line, 8, 3)
    body = line.recv(int.from_bytes(header, "big"), socket.MSG_WAITALL)
    line.settimeout(None)
    return json.loads(body), files


def serve(path: str, owner: str) -> None:
    """Import the libraries and fork until the owner has ended; returns in each fork."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _import()
    Server(Path(path), int(owner)).serve()


class Server:
    """Listens at a path, and forks for every request until its owner has ended."""

    def __init__(self, path: Path, owner: int) -> None:
        self._folder = path.parent
        self._watch = selectors.DefaultSelector()
        self._lines: dict[int, socket.socket] = {}
        self._listen = socket.socket(socket.AF_UNIX)
        hidden = path.with_suffix(".new")
        self._listen.bind(str(hidden))
        self._listen.listen(64)
        self._on(os.pidfd_open(owner), "owner")
        self._on(self._listen, "request")
        hidden.rename(path)  # from here on, commands find it

    def _on(self, file: Any, event: str, pid: int = 0) -> None:
        self._watch.register(file, selectors.EVENT_READ, (event, pid))

    def serve(self) -> None:
        """Fork for every request; returns in each fork."""
        while True:
            for key, _ in self._watch.select():
                event, pid = key.data
                if event == "owner":
                    self._leave()
                elif event == "request":
                    if self._fork() == 0:
                        return
                elif event == "command left":  # killed: so is its job
                    self._watch.unregister(key.fileobj)
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                else:
                    self._watch.unregister(key.fileobj)
                    os.close(key.fd)
                    self._tell(pid)

    def _fork(self) -> int:
        """As `os.fork`; -1 if there was none."""
        line, _ = self._listen.accept()
        try:
            request, files = _receive(line)
            pid = os.fork()
        except (OSError, ValueError):
            line.close()
            return -1
        if pid == 0:
            self._watch.close()
            for other in (self._listen, line, *self._lines.values()):
                other.close()
            _become(request, files)
            return 0
        for file in files:
            os.close(file)
        with suppress(OSError):
            line.sendall(BEGUN)
        self._lines[pid] = line
        self._on(line, "command left", pid)
        self._on(os.pidfd_open(pid), "job ended", pid)
        return pid

    def _tell(self, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        line = self._lines.pop(pid)
        with suppress(KeyError):
            self._watch.unregister(line)
        with suppress(OSError):
            line.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        line.close()

    def _leave(self) -> NoReturn:
        for pid in self._lines:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(0)


def _become(request: dict[str, Any], files: list[int]) -> None:
    """Turn this fork into the process that the command would have been."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setpgid(0, request["group"])
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:] = request["path"]
    sys.argv[:] = ["tmap", *request["arguments"]]


def _import() -> None:
    """Import the libraries; the job that needs a missing one says so."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["HF_HUB_OFFLINE"] = "1"
    gc.disable()
    for library in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(library)
    gc.freeze()
    gc.enable()
