"""Snakemake that asks Slurm after its jobs every two seconds.

Its plugin waits ten seconds longer each time that nothing ended. That spares the
controller of a large cluster, but here would take most of the tests' time.
"""

import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

RemoteExecutor.next_seconds_between_status_checks = property(
    lambda self: 2, lambda self, seconds: None
)

if __name__ == "__main__":
    sys.exit(main())
