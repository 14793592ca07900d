"""The Hugging Face hub: pinned revisions, and each of its errors as one sentence.

`huggingface_hub` itself reads the token from the environment (HF_TOKEN). The token is never
an argument or a card value, and no message of the hub client is passed on.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from tmap.errors import TmapError

Kind = Literal["model", "dataset"]
#: A disk that is full, over quota, read-only, or not ours.
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def door(kind: Kind, name: str, revision: str) -> Iterator[None]:
    """Turn every hub error inside the block into a TmapError that says how to fix it."""
    from huggingface_hub import errors

    # The root error of whichever HTTP library the hub client is built on.
    http_error: type[BaseException] = errors.HfHubHTTPError.__mro__[1]
    try:
        yield
    except TmapError:
        raise
    except errors.GatedRepoError:
        raise TmapError(_gated(kind, name)) from None
    except errors.RepositoryNotFoundError:
        raise Missing(_missing(kind, name)) from None
    except errors.RevisionNotFoundError:
        raise TmapError(
            f"The hub {kind} '{name}' has no revision '{revision}'. Name a branch, tag "
            "or commit of it under `revision:` in the card; 'main' always exists."
        ) from None
    except errors.HFValidationError:
        raise TmapError(
            f"'{name}' is not a hub id. An id has the form ORGANISATION/NAME; fix `hub:` "
            "in the card."
        ) from None
    except errors.HfHubHTTPError as fault:
        raise TmapError(_refused(kind, name, _status(fault))) from None
    except (http_error, ConnectionError, TimeoutError, errors.LocalEntryNotFoundError):
        raise Unreachable(kind, name) from None
    except OSError as fault:
        if fault.errno not in DISK:
            raise
        raise TmapError(
            f"The hub cache cannot store {kind} '{name}' ({fault.strerror}). Free some "
            "space, or set HF_HOME to a folder on another disk that you may write to."
        ) from None


class Missing(TmapError):
    """The hub answers that it does not have it; trying again later will not help."""


class Unreachable(TmapError):
    """The hub cannot be reached: no network, or the client is set to offline."""

    def __init__(self, kind: Kind, name: str) -> None:
        cache = ", and the cache has no complete copy of it" * (kind == "model")
        super().__init__(
            f"The hub cannot be reached for {kind} '{name}'{cache}. Run this step "
            "where there is network (unset HF_HUB_OFFLINE), or name a local copy under "
            "`path:` in the card."
        )


def _status(fault: BaseException) -> int | None:
    return getattr(getattr(fault, "response", None), "status_code", None)


def _page(kind: Kind, name: str) -> str:
    return f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{name}"


def _gated(kind: Kind, name: str) -> str:
    return (
        f"The hub {kind} '{name}' is gated and your account has no access. Accept its "
        f"terms at {_page(kind, name)}, then set HF_TOKEN to a read token of that "
        "account and run again."
    )


def _missing(kind: Kind, name: str) -> str:
    return (
        f"The hub has no {kind} '{name}', or it is private. Check the id under `hub:` "
        "in the card; for a private one set HF_TOKEN to a token that may read it."
    )


def _refused(kind: Kind, name: str, status: int | None) -> str:
    if status in (401, 403):
        return (
            f"The hub refused the token for {kind} '{name}' (status {status}). Set "
            "HF_TOKEN to a valid read token, or unset it for public data."
        )
    return (
        f"The hub answered with status {status} for {kind} '{name}'. Try again later; "
        "if that does not help, name a local copy under `path:` in the card."
    )


def dataset_commit(name: str, revision: str) -> str:
    """The commit that `revision` of a hub dataset points to now, 40 hex digits."""
    from huggingface_hub import HfApi

    with door("dataset", name, revision):
        commit: str | None = HfApi().dataset_info(name, revision=revision).sha
    return commit or revision
