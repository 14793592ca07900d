"""Files behind a URL: downloaded once and checked against their checksum."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import tenacity

from tmap.artifacts.addresses import direct
from tmap.artifacts.files import atomic, cache_folder
from tmap.artifacts.secrets import learn_address, public_address
from tmap.data.sources.files import ending
from tmap.errors import TmapError

logger = logging.getLogger(__name__)
CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fetch(url: str, sha256: str) -> Path:
    """Return a local copy of `url` whose SHA-256 is `sha256`.

    The request has the whole address; logs and errors name it without user and query.

    Raises
    ------
    TmapError
        The URL does not answer, or the checksum differs (the file is not kept).
    """
    want = sha256.strip().lower()
    target = cache_folder() / f"{want}{''.join(ending(urlsplit(url).path))}"
    if target.is_file() and sha256_of(target) == want:
        return target
    learn_address(url)
    place = public_address(url)
    logger.info("downloading %s", place)
    with atomic(target) as temporary:
        _download(url, temporary)
        got = sha256_of(temporary)
        if got != want:
            raise TmapError(
                f"{place} has sha256 {got}, but the card says {want}; the file was not "
                "kept. Check that it is the file you mean, then fix `sha256:`."
            )
    return target


def _is_passing(fault: BaseException) -> bool:
    if isinstance(fault, httpx.HTTPStatusError):
        return fault.response.status_code >= 500 or fault.response.status_code == 429
    return isinstance(fault, httpx.TransportError)


def _download(url: str, target: Path) -> None:
    place = public_address(url)
    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_passing),
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_exponential(multiplier=1, max=10),
        reraise=True,
    )
    try:
        tries(_stream, url, target)
    except httpx.HTTPStatusError as fault:
        raise TmapError(
            f"{place} answered with status {fault.response.status_code}. Check `url:` in "
            "the card, or download the file and name it under `path:`."
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        raise TmapError(
            f"{place} cannot be reached ({type(fault).__name__}). Check the network and "
            "`url:` in the card, or name a local copy under `path:`."
        ) from None


def _stream(url: str, target: Path) -> None:
    with (
        httpx.Client(mounts=direct(url), timeout=60) as client,
        client.stream("GET", url, follow_redirects=True) as reply,
        open(target, "wb") as handle,
    ):
        reply.raise_for_status()
        for chunk in reply.iter_bytes(CHUNK):
            handle.write(chunk)
