"""A server that is started for a job, waited for, and ended with it."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx

from tmap.errors import TmapError
from tmap.log import duration

if TYPE_CHECKING:
    from tmap.cards.model import AnsweringSection

logger = logging.getLogger(__name__)
#: Seconds between two looks, and that a server has to end in peace.
EVERY, PEACE = 1.0, 20.0


class Launched:
    """A server process; it ends when this process does, also when it is killed (Linux).

    Parameters
    ----------
    card : `engine: server:` of a model card, with `launch:`
    path : the model's folder, for {path} in the command

    Raises
    ------
    TmapError
        If something answers at the address already, or the command is not found.
    """

    def __init__(self, card: AnsweringSection, path: str) -> None:
        assert card.launch is not None
        self.card, self.most = card, card.launch.wait
        if answers(card):
            raise TmapError(
                f"Something answers at {card.url} already, so `launch:` would start a "
                "second server. End it, take another port, or leave `launch:` out."
            )
        words = shlex.split(card.launch.command)
        command = [word.replace("{path}", path) for word in words]
        logger.info("launch: %s", shlex.join(command))
        try:
            self.process = subprocess.Popen(
                command,
                stdout=sys.stderr,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        except OSError as fault:
            raise TmapError(
                f"`launch: command:` does not start: {fault}. Name the program of the "
                "server's own environment with its whole path."
            ) from None
        atexit.register(self.end)

    def wait(self) -> None:
        """Return when the server answers.

        Raises
        ------
        TmapError
            If it ends before, or does not answer in time.
        """
        start = time.monotonic()
        while not answers(self.card):
            code = self.process.poll()
            if code is not None:
                raise TmapError(
                    f"The launched server ended with status {code} before it answered. "
                    "Its words stand above; mend `launch: command:` in the model card."
                )
            if time.monotonic() - start > self.most:
                self.end()
                raise TmapError(
                    f"The launched server did not answer at {self.card.url} within "
                    f"{duration(self.most)}. Raise `launch: wait:`, or mend `url:`."
                )
            time.sleep(EVERY)
        logger.info("launch: ready after %s", duration(time.monotonic() - start))

    def end(self) -> None:
        """End the server and what it started."""
        atexit.unregister(self.end)
        for how, patience in ((signal.SIGTERM, PEACE), (signal.SIGKILL, PEACE)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                return


def answers(card: AnsweringSection) -> bool:
    """Whether a server is ready at this address: by /health, else by one token."""
    root = card.url.removesuffix("/v1")
    body = {"model": card.model, "prompt": "1", "max_tokens": 1, "temperature": 0}
    try:
        health = httpx.get(f"{root}/health", timeout=5)
        if health.status_code != 404:
            return health.is_success
        return httpx.post(f"{card.url}/completions", json=body, timeout=60).is_success
    except httpx.HTTPError:
        return False


def _die_with_parent() -> None:
    if sys.platform == "linux":  # PR_SET_PDEATHSIG: a killed job leaves no server
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
