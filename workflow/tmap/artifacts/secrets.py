"""Secrets, and how texts are printed, logged and published without them.

A secret is the user part, a query or the fragment of an address; a value after a name such
as `api_key`, `--token` or `Authorization:`; a text of a well-known form (`hf_...`); the
value of an environment variable whose name says so (HF_TOKEN); and what `learn` was given,
such as the variables that cards name. `hide` serves people: logs, errors, the screen.
`published` serves files and params, which must be the same in every process.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlsplit

HIDDEN = "***"
#: Shortest text that `learn` hides anywhere, and shortest part of a cut key.
SHORTEST, PART = 4, 8

#: Each pattern that is searched for is bounded, or begins where no other match can: a log
#: may quote a megabyte without a space.
_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]{0,100})://([^\s\"'`<>]+)", re.I)
_WHOLE = re.compile(r"\s*([a-z][a-z0-9+.-]*)://(.+)", re.I | re.S)
#: A host, perhaps with a port; a sentence may continue after it.
_HOST = re.compile(r"(\[[0-9a-f:.%]*\]|[^:@]*)(:(\d*|\{port\}))?[.,;:)\]}\\]*", re.I)
#: An address with a password, such as a proxy's.
_WITH_USER = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/@:]*:(\S+)@[^\s@]+", re.I)
#: user:password@host without a scheme.
_BARE = re.compile(
    r"(?<![^\s:/\"'`(])[^\s:/\"'`(]{1,2000}:(?!//)[^\s\"'`]{1,2000}@(?=[\w\[.-]+)"
)
_NAME = (
    r"(?:(?:[\w-]{0,60}[_-])?(?:(?:api|access|secret|private|account|auth|master|signing"
    r"|subscription)[_-]?keys?|apikey|(?:access|auth|client|id|refresh|session)?token"
    r"|(?:client|app)?secret|[a-z]{0,9}password|(?<=[_-])pwd|passwd|passphrase|credentials?"
    r"|(?:sharedaccess)?signature|authorization|cookie|jwt|pat|sig))"
)
#: Names of `_NAME` whose values are no secrets.
_PLAIN = r"(?!(?:\w*[_-])?(?:bos|eos|pad|unk|sep|cls|mask|stop|per|new)_token\b)"
_QUOTE = r"\\?[\"']?"
_SCHEME = r"(?:bearer|basic|token|api-?key|key|digest|negotiate)"
_VALUE = rf"(?:(?<=\")[^\"\\]+|(?<=')[^'\\]+|(?:{_SCHEME}\s+)?[^\s\"',;&|)}}\]]+)"
_NAMED = re.compile(
    rf"(?<![\w-]){_PLAIN}({_NAME}{_QUOTE}\s*(?:=|:(?!//))\s*{_QUOTE})({_VALUE})", re.I
)
_OPTION = re.compile(
    rf"(?<![\w-])(--?(?:{_NAME}|key|pass|user|auth|bearer|pwd){_QUOTE}(?:\s*=\s*|\s*,\s*|\s+)"
    r"(?:\\?\"([^\"]*)\\?\"|'([^']*)'|[^\s\"',]+)|(?<!\S)-u\s+\S+:\S+)",
    re.I,
)
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{4,}", re.I)
_FORM = re.compile(
    r"\b(?:sk-(?=[\w-]*\d)[\w-]{10,}|hf_[A-Za-z0-9]{8,}|gh[pousr]_\w{8,}"
    r"|github_pat_\w{8,}|glpat-[\w-]{8,}|xox[abprs]-[\w-]{8,}|AKIA[A-Z0-9]{12,}"
    r"|AIza[\w-]{20,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)"
)
_KEY = re.compile(_PLAIN + _NAME, re.I)
#: Last words of the names of environment variables that contain secrets.
_VARIABLE = re.compile(
    r"(?:.*_)?(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|CREDENTIALS?"
    r"|PAT|AUTH|SIGNATURE)",
    re.I,
)
_learned: dict[str, None] = {}


def learn(*secrets: str | None) -> None:
    """Hide these from now on in this process, also quoted, encoded or cut."""
    for secret in secrets:
        for text in _spellings((secret or "").strip()):
            if len(text) >= SHORTEST:
                _learned[text] = None


def learn_address(url: str) -> None:
    """Hide the secret parts of an address from now on."""
    rest = url.partition("://")[2] or url
    user, found, _ = rest.split("?")[0].split("#")[0].rpartition("@")
    if not found and "@" in rest:  # '?' or '#' in a password that is not encoded
        user = rest.rpartition("@")[0]
    name, _, password = user.partition(":")
    learn(password, unquote(password))
    if user:
        pair = f"{unquote(name)}:{unquote(password)}"
        learn(base64.b64encode(pair.encode()).decode())
    if not password or _is_drawn(name):
        learn(name, unquote(name))
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    pairs = parse_qsl(parts.query) or [("", unquote_plus(parts.query))]
    raw = [pair.partition("=")[2] or pair for pair in parts.query.split("&")]
    for key, value in [*pairs, *(("", value) for value in raw), ("", parts.fragment)]:
        if _is_drawn(value) or _KEY.fullmatch(key):
            learn(value)


def learn_command(command: str) -> None:
    """Hide the secrets in a command line from now on."""
    for found in _OPTION.finditer(command):
        words = re.split(r"[\s=,]+", found[0], maxsplit=1)
        learn(words[-1].strip("\"'"))
    for found in _NAMED.finditer(command):
        learn(re.sub(rf"^{_SCHEME}\s+", "", found[2], flags=re.I))
    for found in _ADDRESS.finditer(command):
        learn_address(found[0])


def public_address(url: str) -> str:
    """An address without user part, query and fragment; other texts unchanged."""
    found = _WHOLE.fullmatch(url)
    if not found:
        return url
    scheme, rest = found[1], found[2].strip()
    return f"{scheme}://{_without_user(re.split('[?#]', rest)[0], rest)[0]}"


def hide(text: str) -> str:
    """The text without secrets, for people; what was hidden is `***`."""
    whole = [*_learned, *_of_environment()]
    return _by_shape(_replace(text, whole, cut=True))


def published(value: Any) -> Any:
    """A JSON value without secrets, for files and params.

    A text with a secret ends in `[sha256 ...]`: 12 hex digits of the SHA-256 of the whole
    original text, unsalted. So a changed secret is noticed, and is not published. A short
    password can be guessed from it: use long ones. A published value stays as it is.
    """
    known = [text for text in _of_environment() if len(text) >= 16]
    return _published(value, "", known)


def _published(value: Any, name: str, known: list[str]) -> Any:
    if isinstance(value, dict):
        return {
            _text(k, "", known) if isinstance(k, str) else k: _published(
                part, str(k), known
            )
            for k, part in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_published(part, name, known) for part in value]
    return _text(value, name, known) if isinstance(value, str) else value


def _text(value: str, name: str, known: list[str]) -> str:
    if _KEY.fullmatch(name):
        shown = value if len(value) < SHORTEST or value[:3] == HIDDEN else HIDDEN
    elif name == "url" and _WHOLE.fullmatch(value) and "[sha256 " not in value:
        shown = _hidden_address(value)
    else:
        shown = _replace(value, known, cut=False)
        # Wordings may speak of keys; only commands and addresses have them.
        shown = _by_shape(shown) if name == "command" else _in_addresses(shown)
        shown = _FORM.sub(HIDDEN, shown)
    return shown if shown == value else f"{shown} [sha256 {_digest(value)}]"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _by_shape(text: str) -> str:
    text = _OPTION.sub(_hide_option, _in_addresses(text))
    text = _NAMED.sub(lambda found: found[1] + HIDDEN, text)
    text = _BARE.sub(f"{HIDDEN}@", text)
    text = _BEARER.sub(lambda found: f"{found[1]} {HIDDEN}", text)
    return _FORM.sub(HIDDEN, text)


def _hide_option(found: re.Match[str]) -> str:
    start = re.match(r"\S*?[\w]+[\\\"']*(?:\s*=\s*|\s*,\s*|\s+)", found[0])
    return (start[0] if start else "") + HIDDEN


def _in_addresses(text: str) -> str:
    return _ADDRESS.sub(lambda found: _hidden_address(found[0]), text)


def _hidden_address(url: str) -> str:
    """An address with `***` in the place of each secret part."""
    found = _WHOLE.fullmatch(url)
    assert found
    scheme, rest = found[1], found[2].rstrip()
    head = re.split("[?#]", rest)[0]
    shown, whole = _without_user(head, rest)
    if shown != head:
        shown = f"{HIDDEN}@{shown}" if shown != HIDDEN else shown
    if whole or len(head) == len(rest):
        return f"{scheme}://{shown}"
    return f"{scheme}://{shown}{rest[len(head)]}{HIDDEN}"


def _without_user(head: str, rest: str) -> tuple[str, bool]:
    """Host and path of an address, and whether nothing of a query is left to hide.

    Parameters
    ----------
    head : the address without scheme, up to its query or fragment
    rest : with them, as a password that is not encoded may contain / ? # and @
    """
    authority, slash, path = head.partition("/")
    host = authority.rpartition("@")[2]
    if _HOST.fullmatch(host):
        return host + slash + path, False
    user, found, place = rest.rpartition("@")
    if found and user:
        host, slash, path = re.split("[?#]", place)[0].partition("/")
        if _HOST.fullmatch(host):
            return host + slash + path, True
    return HIDDEN, True


def _replace(text: str, secrets: Iterable[str], cut: bool) -> str:
    found = sorted(secrets, key=len, reverse=True)
    for secret in found:
        if len(secret) >= 12:
            text = text.replace(secret, HIDDEN)
        elif secret in text:
            # A short one may be part of a word.
            pattern = rf"(?<!\w){re.escape(secret)}(?!\w)"
            text = re.sub(pattern, HIDDEN, text)
    for secret in found if cut else ():
        if len(secret) >= 12 and _is_drawn(secret):
            text = _without_parts(text, secret)
    return text


def _without_parts(text: str, secret: str) -> str:
    """Hide parts of a secret, which servers like to repeat."""
    at = 0
    while at + PART <= len(secret):
        size = PART
        if secret[at : at + size] in text:
            while at + size < len(secret) and secret[at : at + size + 1] in text:
                size += 1
            text = text.replace(secret[at : at + size], HIDDEN)
            at += size
        else:
            at += 1
    return text


def _spellings(secret: str) -> set[str]:
    """The text as it is, and as JSON, repr and log lines write it."""
    found = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    found |= {" ".join(secret.split()), unquote(secret), quote(secret, safe="")}
    code = base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode()
    return found | {code, code.rstrip("=")}


def _of_environment() -> list[str]:
    found: list[str] = []
    for name, value in os.environ.items():
        value = value.strip()
        if _VARIABLE.fullmatch(name) and _is_drawn(value):
            found += _spellings(value)
        elif (proxy := _WITH_USER.fullmatch(value)) and len(proxy[1]) >= SHORTEST:
            found += _spellings(proxy[1])
    return found


def _is_drawn(text: str) -> bool:
    """Whether a text looks like a key rather than a word, a number or a path."""
    if len(text) < PART or "://" in text or text[0] in "/~." or text.isdigit():
        return False
    has_digit, has_letter = re.search(r"\d", text), re.search(r"[A-Za-z]", text)
    return bool(has_digit and has_letter) or len(text) >= 16


class Hiding(logging.Formatter):
    """Formats log records, with their tracebacks, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return hide(super().format(record))


class Record(logging.LogRecord):
    """A log record whose message has no secrets, whatever handler prints it."""

    def getMessage(self) -> str:
        return hide(super().getMessage())
