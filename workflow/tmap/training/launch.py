"""Train one adapter in several processes, one per GPU, with `accelerate launch`.

The command starts as many copies of itself as the card says, and waits. Each process
reads its share of every batch; the first one writes. Together they use the same rows
per step as one process would; sums differ only by rounding.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tmap.artifacts.secrets import hide
from tmap.errors import OutOfMemory, TmapError
from tmap.jobs import attempts
from tmap.jobs.failures import ERROR

if TYPE_CHECKING:
    from tmap.cards.model import TrainSection

#: The launcher prints the first if the system killed the first process to fail; a process
#: prints the second if it asked for more host memory than there is.
KILLED, REFUSED = "failed (exitcode: -9)", "DefaultCPUAllocator"
FSDP = {
    "fsdp_version": "1",
    "fsdp_sharding_strategy": "FULL_SHARD",
    "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "fsdp_state_dict_type": "FULL_STATE_DICT",
    "fsdp_backward_prefetch": "BACKWARD_PRE",
    "fsdp_use_orig_params": "false",
    "fsdp_cpu_ram_efficient_loading": "false",
    "fsdp_sync_module_states": "true",
}


def command(settings: TrainSection, arguments: Sequence[str]) -> list[str]:
    """The command line that runs `tmap ARGUMENTS` in the card's processes.

    Parameters
    ----------
    settings : `processes` and `parallel` of the model card
    arguments : of `tmap`
    """
    how = ["--multi_gpu"]
    if settings.parallel == "fsdp":
        how = ["--use_fsdp"]
        how += [word for name, value in FSDP.items() for word in (f"--{name}", value)]
    return [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--num_processes", str(settings.processes), "--num_machines", "1"),
        # Port 0: any free port, because other trainings may run on this machine.
        *("--main_process_port", "0"),
        *("--mixed_precision", "no", "--dynamo_backend", "no"),
        *how,
        *("--module", "tmap", *arguments),
    ]


def run(settings: TrainSection, arguments: Sequence[str]) -> None:
    """Run `tmap ARGUMENTS` in the card's processes and wait for them.

    Raises
    ------
    OutOfMemory : one of them was killed, or got no memory
    TmapError : one of them failed for another reason; with its message
    """
    environment = {**os.environ, **attempts.share()}
    words, starved = "", False
    with subprocess.Popen(
        command(settings, arguments),
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            starved |= KILLED in line or REFUSED in line
            if line.startswith(ERROR):
                words = words or line.removeprefix(ERROR).strip()
            else:
                print(hide(line), end="", file=sys.stderr, flush=True)
    if process.returncode:
        fault = OutOfMemory if starved else TmapError
        raise fault(
            words
            or f"One of {settings.processes} training processes ended without a message, "
            "so it was killed, most often because memory ran out. Read the lines above, "
            "or raise `resources: mem_mb` in the model card."
        )


def rank() -> int | None:
    """The number of this process among several, from 0; None if it is the only one."""
    return int(os.environ["RANK"]) if "LOCAL_RANK" in os.environ else None


def enter() -> None:
    """Take this process's own GPU, and its place in the attempt."""
    import torch

    attempts.join()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def any_of(mine: bool) -> bool:
    """Whether `mine` is true in any process; all get the same answer."""
    import torch
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return mine
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    found = torch.tensor(int(mine), device=device)
    distributed.all_reduce(found, op=distributed.ReduceOp.MAX)
    return bool(found.item())
