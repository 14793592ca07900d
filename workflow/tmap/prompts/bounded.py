"""Render a model's chat template within bounds: it is code that someone else wrote.

The sandbox of transformers keeps a template from files and attributes, but not from loops
without end or texts without limit. So it runs in a process of its own, which has a limit of
time and memory.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

#: Seconds, bytes of memory beyond those of this process, and characters of the text.
SECONDS, MEMORY, CHARACTERS = 20.0, 2**30, 2**20


class Failed(Exception):
    """The template raised an error, or reached a bound.

    `is_refusal` is whether it raised one of Jinja's own errors, as templates do that refuse
    a role.
    """

    def __init__(self, reason: str, is_refusal: bool = False) -> None:
        super().__init__(reason)
        self.is_refusal = is_refusal


def render(make: Callable[[], str]) -> str:
    """The text that `make` returns, made in a copy of this process.

    Raises
    ------
    Failed : it raises any error, takes too long, or needs too much
    """
    from jinja2 import sandbox  # noqa: F401  # imported once, not in every copy

    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(ours)
        _answer(make, theirs)
    os.close(theirs)
    try:
        kind, text = _read(ours)
    finally:
        os.close(ours)
        _end(child)
    if kind != "text":
        raise Failed(text, is_refusal=kind == "refusal")
    return text


def _answer(make: Callable[[], str], pipe: int) -> NoReturn:
    """Write (kind, text) to the pipe, and end without any of the parent's clean-up."""
    gc.disable()
    try:
        kind, text = _made(make)
        data = memoryview(pickle.dumps((kind, text)))
        while data:
            data = data[os.write(pipe, data) :]
    finally:
        os._exit(0)


def _made(make: Callable[[], str]) -> tuple[str, str]:
    from jinja2 import TemplateError

    _bound_memory()
    try:
        text = make()
    except TemplateError as fault:
        return "refusal", _short(fault)
    except MemoryError:
        return "error", f"it needs more than {MEMORY // 2**20} MB"
    except RecursionError:
        return "error", "it calls itself without end"
    except Exception as fault:
        return "error", f"{type(fault).__name__}: {_short(fault)}"
    if len(text) > CHARACTERS:
        return "error", f"it writes more than {CHARACTERS:,} characters"
    return "text", text


def _short(fault: BaseException) -> str:
    return " ".join(str(fault).split())[:200]


def _bound_memory() -> None:
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = used + MEMORY
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _read(pipe: int) -> Any:
    end, data = time.monotonic() + SECONDS, b""
    while (left := end - time.monotonic()) > 0:
        if not select.select([pipe], [], [], left)[0]:
            break
        piece = os.read(pipe, 2**16)
        if not piece:
            return pickle.loads(data) if data else ("error", "its process died")
        data += piece
    return "error", f"it takes more than {SECONDS:.0f} s"


def _end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
