"""Progress lines that a person can read while a job runs."""

from __future__ import annotations

import logging
import sys
import time

from tmap.artifacts import secrets


def setup(verbose: bool = False) -> None:
    """Send `tmap` records to standard error, one line each; quiet the other libraries.

    No record of any library contains a secret, whichever handler prints it.
    """
    logging.setLogRecordFactory(secrets.Record)
    logging.captureWarnings(True)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(secrets.Hiding("%(asctime)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tmap").setLevel(logging.DEBUG if verbose else logging.INFO)


def duration(seconds: float) -> str:
    """`75` -> `1m15s`; whole seconds under a minute, hours from an hour on."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class Progress:
    """Rate and remaining time of a long loop, as a line at most every `every` seconds.

    With `tokens`, the total of all rows, the remaining time is estimated from tokens: if
    the longest rows come first, an estimate from rows would be far too long.

    >>> progress = Progress("ifd", total=7473, unit="rows")
    >>> progress.advance(64)
    """

    def __init__(
        self,
        what: str,
        total: int,
        unit: str = "rows",
        every: float = 5.0,
        tokens: int = 0,
    ) -> None:
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.all_tokens, self.tokens, self.done = tokens, 0, 0
        self.start = self.last = time.monotonic()
        self.logger = logging.getLogger("tmap.progress")

    def advance(self, n: int = 1, note: str = "", tokens: int = 0) -> None:
        """Count `n` more; print when a line is due and at the end, with `note` added."""
        self.done += n
        self.tokens += tokens
        now = time.monotonic()
        if now - self.last < self.every and self.done < self.total:
            return
        self.last = now
        elapsed = max(now - self.start, 1e-9)
        done, total = self.done, self.total
        if self.all_tokens:
            done, total = self.tokens, self.all_tokens
            speed = f"{self.tokens / elapsed:.0f} tokens/s"
            note = f"{speed}, {note}" if note else speed
        left = (total - done) * elapsed / done if done else float("inf")
        self.logger.info(
            "%s %d/%d %s, %.1f %s/s, %sETA %s",
            self.what,
            self.done,
            self.total,
            self.unit,
            self.done / elapsed,
            self.unit,
            note and f"{note}, ",
            duration(left) if left < float("inf") else "unknown",
        )
