"""The command `tmap`, and `python -m tmap`."""

import sys

from tmap.jobs import fork_server


def main() -> None:
    """Run the command: in a fork of the run's fork server, if there is one, else here."""
    if sys.argv[1:2] == [fork_server.SERVE]:
        fork_server.serve(*sys.argv[2:])  # returns in each fork, as the job's process
    else:
        fork_server.hand_over(sys.argv[1:])
    from tmap import cli

    cli.main()


if __name__ == "__main__":
    main()
