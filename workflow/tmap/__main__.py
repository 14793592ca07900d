"""`python -m tmap` is the command `tmap`."""

from tmap.cli import main

if __name__ == "__main__":
    main()
