"""Where the page of a result is, and how to open it."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from tmap.dag.comparison import METRICS, PAGE
from tmap.errors import TmapError


def find(target: str, here: Path, clone: Path) -> Path:
    """The page that a target names: itself, or the one beside or below it.

    Parameters
    ----------
    target : a report.html or metrics.json, its folder, or DATASET/MODEL
    here, clone : folders in which it is looked for, in this order

    Raises
    ------
    TmapError : there is none
    """
    path = Path(target)
    folder = path.parent if path.name in (METRICS, PAGE) else path
    tried = [
        place / part for place in (here, clone) for part in (folder, "results" / folder)
    ]
    for place in tried:
        if (place / PAGE).is_file():
            return (place / PAGE).resolve()
    build = f"results/{folder}" if len(folder.parts) == 2 else str(folder)
    raise TmapError(
        f"There is no {PAGE} in '{folder}'. Name results/DATASET/MODEL of a finished run, "
        f"or build it: tmap run {build}/{PAGE}"
    )


def show(path: Path) -> bool:
    """Open the page in the user's browser; False where there is none."""
    return webbrowser.open(path.as_uri())
