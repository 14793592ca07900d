"""The user's own folder, as every command finds it: by `--cards`, `--config`, `--profile`.

`tmap init` makes it. Without these options and TMAP_CARDS, it is the current folder,
one above it, or the one beside the clone.

Where tmap is installed from a wheel, there is no clone: results are in the user's folder,
and a folder below the current one is found, too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tmap import cards
from tmap.cards.starter import CLONE, TIED
from tmap.cards.workflow import WorkflowConfig
from tmap.errors import TmapError

CONFIG = "config.yaml"
PROFILE = Path("profiles/local") / CONFIG


def folder(here: Path) -> Path | None:
    """The folder of `tmap init`: the current one, one above it, or one beside the clone.

    Raises
    ------
    TmapError : several are there
    """
    for place in (here, *here.parents):
        if is_own(place):
            return place
    where, words = CLONE.parent, "beside the clone"
    if cards.INSTALLED:
        where, words = here, f"in '{here}'"
    near = sorted(p.parents[2] for p in where.glob(f"*/{PROFILE}"))
    found = [place for place in near if place != CLONE and is_own(place)]
    if len(found) > 1:
        names = ", ".join(f"'{place}'" for place in found)
        raise TmapError(
            f"Several folders made by `tmap init` are {words}: {names}. Type the "
            "command in one of them, or name one: --cards FOLDER."
        )
    return found[0] if found else None


def workplace(here: Path, own: Path | None = None) -> Path:
    """Where the workflow runs and `results/` is: the clone, else the user's folder.

    Parameters
    ----------
    own : the folder of `tmap init` that an option names; None: it is looked for
    """
    if not cards.INSTALLED:
        return CLONE
    return own or folder(here) or here


def is_own(place: Path) -> bool:
    """Whether `tmap init` made the folder: its profile's first line says so."""
    try:
        with open(place / PROFILE, encoding="utf-8") as file:
            first = TIED.format(name="local", config="").splitlines(True)[0]
            return file.readline() == first
    except (OSError, UnicodeDecodeError):
        return False


def configs_of(profile: Path) -> list[Path]:
    """The config files that a profile names; Snakemake reads them in the clone."""
    path = profile / CONFIG
    if not path.is_file():
        return []
    named = cards.read_yaml(path).get("configfile") or []
    return [CLONE / one for one in ([named] if isinstance(named, str) else named)]


def use(
    named: Sequence[str] | None,
    config: Sequence[Path] | None,
    profile: Path | None,
    *,
    move: bool = False,
) -> tuple[WorkflowConfig, list[Path]]:
    """Look for cards where the options say, else in the folder that is found by itself.

    Parameters
    ----------
    named, config, profile : as typed; None for an option that was not
    named : `--cards`: folders of cards; that of `tmap init` also has a config
    config : `--config`: config files
    profile : `--profile`: a Snakemake profile, which names config files
    move : then go to the clone, where the workflow runs: paths in cards begin there

    Returns
    -------
    The merged config, and its files.
    """
    here = Path.cwd()
    files = [Path(os.path.abspath(path)) for path in config or ()]
    if profile:
        files += configs_of(Path(os.path.abspath(profile)))
    folders = [Path(os.path.abspath(place)) for place in named or ()]
    files += [place / CONFIG for place in folders if (place / CONFIG).is_file()]
    if not (named or config or profile or os.environ.get("TMAP_CARDS")):
        own = folder(here)
        files += configs_of(own / PROFILE.parent) if own else []
    merged = cards.read_config(files)
    cards.use_folders([*map(str, folders)])
    if move and (files or named) and not (here / "Snakefile").is_file():
        os.chdir(workplace(here, next(filter(is_own, folders), None)))
    return merged, files
