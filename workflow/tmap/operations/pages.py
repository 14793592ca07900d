"""Where the page of a result is, and how to open it."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from tmap.dag.comparison import METRICS, PAGE
from tmap.errors import TmapError


def find(target: str, here: Path, clone: Path, name: str = PAGE) -> Path:
    """The page of a run that a target names: itself, or the one beside or below it.

    Parameters
    ----------
    target : a report.html or metrics.json, its folder, or DATASET/MODEL
    here, clone : folders in which it is looked for, in this order
    name : of the file in the run's folder, which need not be its page

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
        if (place / name).is_file():
            return (place / name).resolve()
    build = f"results/{folder}" if len(folder.parts) == 2 else str(folder)
    raise TmapError(
        f"There is no {name} in '{folder}'. Name results/DATASET/MODEL of a finished run, "
        f"or build it: tmap run {build}/{name}"
    )


def show(path: Path) -> bool:
    """Open the page in the user's browser; False where there is none."""
    return webbrowser.open(path.as_uri())
