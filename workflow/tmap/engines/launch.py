"""Start a server for a job, wait until it answers, and end it with the job."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import httpx

from tmap.artifacts.addresses import direct
from tmap.artifacts.secrets import hide, learn_command
from tmap.cards.judge import PORT
from tmap.errors import TmapError
from tmap.jobs.log import duration

if TYPE_CHECKING:
    from tmap.cards.model import AnsweringSection

logger = logging.getLogger(__name__)
#: Seconds between two checks, and seconds that a server has to shut down.
EVERY, PEACE = 1.0, 20.0
#: Most bytes of its output that are read at once.
LINE = 2**16


class Launched:
    """A server process; it ends with this process, even if that is killed (Linux).

    Parameters
    ----------
    card : `engine: server:` of a model card, with `launch:`; {port} in its address and
        command becomes a free port
    path : the model's folder, for {path} in the command

    Attributes
    ----------
    card : with the address of this server

    Raises
    ------
    TmapError
        If something already answers at the address, or the command is not found.
    """

    def __init__(self, card: AnsweringSection, path: str) -> None:
        launch = card.launch
        assert launch is not None
        port = str(_free_port()) if PORT in card.url else PORT
        card = card.model_copy(update={"url": card.url.replace(PORT, port)})
        self.card, self.most = card, launch.wait
        if answers(card):
            raise TmapError(
                f"Something already answers at {card.url}, so `launch:` would start a "
                "second server. End it, use another port, or leave `launch:` out."
            )
        words = shlex.split(launch.command)
        command = [word.replace(PORT, port).replace("{path}", path) for word in words]
        learn_command(launch.command)
        logger.info("launch: %s", hide(shlex.join(command)))
        try:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        except OSError as fault:
            raise TmapError(
                f"`launch: command:` does not start: {fault}. Name the program in the "
                "server's own environment by its full path."
            ) from None
        self._heard = threading.Thread(target=self._hear, daemon=True)
        self._heard.start()
        atexit.register(self.end)

    def _hear(self) -> None:
        """Print what the server prints, without secrets, to this job's log."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline(LINE):
            text = line.decode("utf-8", "replace")
            with contextlib.suppress(OSError, ValueError):  # no log any more
                print(hide(text), end="", file=sys.stderr, flush=True)

    def wait(self) -> None:
        """Return when the server answers.

        Raises
        ------
        TmapError
            If it ends first, or does not answer in time.
        """
        start = time.monotonic()
        while not self._is_ready():
            if time.monotonic() - start > self.most:
                self.end()
                raise TmapError(
                    f"The launched server did not answer at {self.card.url} within "
                    f"{duration(self.most)}. Raise `launch: wait:`, or fix `url:`."
                )
            time.sleep(EVERY)
        logger.info("launch: ready after %s", duration(time.monotonic() - start))

    def _is_ready(self) -> bool:
        """Whether it answers; if it has ended, another server is answering."""
        ready = answers(self.card)
        code = self.process.poll()
        if code is None:
            return ready
        self._heard.join(PEACE)
        raise TmapError(
            f"The launched server ended with status {code}"
            + (f", and another answers at {self.card.url}" if ready else "")
            + ". Its output is above; fix `launch: command:` in the model card, or "
            "write {port} there and in `url:` if ports collide."
        )

    def end(self) -> None:
        """End the server and the processes that it started."""
        atexit.unregister(self.end)
        for how, patience in ((signal.SIGTERM, PEACE), (signal.SIGKILL, PEACE)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                self._heard.join(EVERY)
                return


def answers(card: AnsweringSection) -> bool:
    """Whether a server is ready at this address: asks /health, or else for one token."""
    root = card.url.removesuffix("/v1")
    body = {"model": card.model, "prompt": "1", "max_tokens": 1, "temperature": 0}
    try:
        with httpx.Client(mounts=direct(card.url), timeout=60) as client:
            health = client.get(f"{root}/health", timeout=5)
            if health.status_code != 404:
                return health.is_success
            return client.post(f"{card.url}/completions", json=body).is_success
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    """A port on which nothing listens now, so that jobs on one node do not collide."""
    with socket.socket() as found:
        found.bind(("", 0))
        port: int = found.getsockname()[1]
    return port


def _die_with_parent() -> None:
    if sys.platform == "linux":  # PR_SET_PDEATHSIG: a killed job leaves no server
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
