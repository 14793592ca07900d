"""Put a chosen subset on the hub, as its export describes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tmap.dag import origin
from tmap.errors import TmapError
from tmap.selection.export import ALPACA, MESSAGES

CARD, TABLE = "README.md", "subset.parquet"
FILES = (CARD, ALPACA, MESSAGES, "dataset_info.json", TABLE)


def push(folder: Path, name: str, public: bool) -> str:
    """Create the dataset on the hub if it is not there, and add the files in one commit.

    Parameters
    ----------
    folder : results/DATASET/MODEL/METHOD/sS
    name : OWNER/NAME
    public : whether a new dataset is; one that is there keeps what it is

    Returns
    -------
    The address of the dataset

    Raises
    ------
    TmapError : a file is missing or is not as it was exported, the licence of the source
        is unknown and it would be public, or the hub refuses
    """
    check(folder, public)
    from huggingface_hub import HfApi

    hub = HfApi()
    with _told(name):
        address = hub.create_repo(
            name, repo_type="dataset", private=not public, exist_ok=True
        )
        hub.upload_folder(
            repo_id=name,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=list(FILES),
            commit_message="A subset that tmap chose",
        )
    return str(address)


def check(folder: Path, public: bool) -> None:
    """Refuse a folder that is not a whole export, and an unknown licence in public."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise TmapError(
            f"'{folder}' has no {', '.join(missing)}. Name a folder such as "
            f"results/DATASET/MODEL/METHOD/s0, or build it: tmap run {folder}/{CARD}"
        )
    about = origin.read(folder / CARD)
    for name in (ALPACA, MESSAGES, "dataset_info.json"):
        if origin.file_digest(folder / name) != about.get("beside", {}).get(name):
            raise TmapError(
                f"{folder / name} is not the file that its {CARD} describes; it was edited "
                f"or damaged. Delete it, then build the {CARD} again."
            )
    if public and _licence(folder / CARD) in (None, "unknown"):
        raise TmapError(
            "The licence of the source is unknown, so nobody can tell whether it may be "
            "public. Name it under `pool: licence:` in the dataset card and build the "
            f"{CARD} again, or leave --public out."
        )


def _licence(card: Path) -> str | None:
    from huggingface_hub import DatasetCard

    text = card.read_text(encoding="utf-8")
    found: str | None = getattr(DatasetCard(text).data, "license", None)
    return found


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Every error of the hub as a sentence; none of its own messages is passed on."""
    from huggingface_hub import errors

    http_error: type[BaseException] = errors.HfHubHTTPError.__mro__[1]
    try:
        yield
    except errors.HFValidationError:
        raise TmapError(
            f"'{name}' is not the name of a dataset. It has the form OWNER/NAME."
        ) from None
    except (errors.LocalTokenNotFoundError, errors.HfHubHTTPError) as fault:
        status = getattr(getattr(fault, "response", None), "status_code", None)
        said = f"status {status}" if status else "no token"
        raise TmapError(
            f"The hub did not take dataset '{name}' ({said}). Set HF_TOKEN to a token that "
            "may write there, and check the owner's name; after a status of 500 or more, "
            "try again later."
        ) from None
    except (http_error, ConnectionError, TimeoutError, errors.OfflineModeIsEnabled):
        raise TmapError(
            f"The hub cannot be reached to push '{name}'. Run this where there is network "
            "(unset HF_HUB_OFFLINE)."
        ) from None
