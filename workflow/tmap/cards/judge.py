"""A judge card: who rates samples, and the exact wording of the question."""

from __future__ import annotations

import os
import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from tmap.artifacts.secrets import learn, learn_address
from tmap.cards.base import (
    MOST_HOST,
    Ending,
    FilledPath,
    JsonValue,
    Name,
    Section,
)
from tmap.errors import TmapError, nearest

#: What a template may take from a sample.
FIELDS = ("instruction", "input", "response")
FormName = Literal["quality", "complexity", "accuracy", "reasoning", "candidate"]
Needs = {
    "quality": ("instruction", "response"),
    "complexity": ("instruction",),
    "accuracy": ("instruction", "response"),
    "reasoning": ("instruction",),  # a teacher may be told the answer, or not
    "candidate": ("instruction",),
}


class FormSection(Section):
    """One question to the judge, whose answer is a digit or a written reply."""

    template: str = Field(
        description="the prompt; {instruction} {input} {response} are replaced, other "
        "braces stay. Without {input}, the input is put below the instruction"
    )
    system: str = Field(default="", description="style: chat: the system message")
    max_new_tokens: int = Field(
        default=16,
        ge=1,
        le=1_000_000,
        description="of a written reply; a digit needs one",
    )
    stop: list[Ending] = Field(default=[], description="texts that end a written reply")

    def words(self, style: str) -> dict[str, str]:
        """The wording of the prompt without the sample, as it enters the store's keys."""
        return {"style": style, "system": self.system, "template": self.template}

    @field_validator("template")
    @classmethod
    def _known_fields(cls, template: str) -> str:
        for name in re.findall(r"\{(\w+)\}", template):
            if name not in FIELDS:
                raise ValueError(
                    f"no field {{{name}}}.{nearest(name, FIELDS)} A template may use "
                    f"{', '.join(f'{{{field}}}' for field in FIELDS)}"
                )
        return template


#: Placeholder for a free port in a launched server's command and address.
PORT = "{port}"


def bare_address(url: str) -> str:
    """A server's base address without a final slash; it must not contain a key."""
    learn_address(url)  # even if refused: errors quote it
    if re.search(r"[\x00-\x20\x7f-\xa0]", url):
        raise ValueError(
            "an address must have no spaces, line ends or control characters"
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("give a base address, such as https://api.openai.com/v1")
    if parts.query or parts.username or parts.password:
        raise ValueError(
            "an address must contain no key and no '?'; name an environment variable "
            "under `limits: {key_env: ...}`"
        )
    if parts.fragment:
        raise ValueError("a base address has no '#'; remove it and what follows")
    _check_host(parts.hostname)
    try:
        _ = urlsplit(url.replace(PORT, "1")).port
    except ValueError:
        raise ValueError(
            "a port is a number up to 65535, after the host's ':'"
        ) from None
    return url.rstrip("/")


def _check_host(host: str) -> None:
    """Refuse a host that no name server can look up."""
    try:
        ascii_host = host.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_host = "." * (MOST_HOST + 1)
    if len(ascii_host) > MOST_HOST:
        raise ValueError(
            f"a host has at most {MOST_HOST} characters, and 1 to 63 between its dots"
        )


class ServerSection(Section):
    """An OpenAI-compatible server: everything that can change a reply."""

    url: str = Field(description="base address, e.g. https://api.openai.com/v1")
    model: Name = Field(description="the server's name for it; a dated one if there is")
    top_logprobs: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="digits: number of likeliest tokens to request",
    )
    extra: dict[str, JsonValue] = Field(
        default={}, description="more fields of every request; null removes one"
    )

    _bare = field_validator("url")(bare_address)


class LimitSection(Section):
    """Limits on the requests to a server. They change no reply, so re-run nothing."""

    key_env: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable with the key; never the key itself",
    )
    concurrency: int = Field(
        default=8, ge=1, le=10_000, description="requests under way at once"
    )
    timeout: float = Field(
        default=60.0, gt=0, le=1_000_000, description="seconds per request"
    )
    attempts: int = Field(
        default=6,
        ge=1,
        le=1000,
        description="per request, after 429, 5xx, timeouts, lost lines",
    )
    max_wait: float = Field(
        default=120.0,
        ge=0,
        le=1_000_000,
        description="longest pause before a repeat, in seconds",
    )
    runtime: int = Field(
        default=240, ge=1, le=527_040, description="minutes to request from the cluster"
    )
    max_requests: int | None = Field(
        default=None, ge=1, description="requests per run, repeats included"
    )
    max_tokens: int | None = Field(
        default=None, ge=1, description="prompt and reply tokens per run, as billed"
    )

    @field_validator("key_env")
    @classmethod
    def _hidden(cls, name: str | None) -> str | None:
        learn(os.environ.get(name or "", ""))
        return name


class RecordedSection(Section):
    """Replies that were recorded earlier: no model, no network, no key."""

    path: FilledPath = Field(
        description="JSON lines or parquet with columns request and reply, or a folder "
        "of such parquet files; relative to the working directory"
    )


class JudgeCard(Section):
    """Keys of config/judges/NAME.yaml."""

    # Excluded fields are in no params: editing them re-runs nothing.
    description: str = Field(
        default="", exclude=True, description="one line for readers"
    )
    version: int = Field(ge=1, description="of the wording below; raise it on a change")
    style: Literal["chat", "completion"] = Field(
        default="chat",
        description="chat: one user message; completion: the text unchanged, after the "
        "model's BOS if it has one",
    )
    model: Name | None = Field(default=None, description="a model card's name")
    server: ServerSection | None = None
    recorded: RecordedSection | None = None
    limits: LimitSection = Field(default=LimitSection(), exclude=True)
    forms: dict[FormName, FormSection] = Field(
        min_length=1,
        description="quality, complexity: a digit 1-6; accuracy: 0-5 in the first line; "
        "reasoning: a path to the known answer (distillation), closed by '#### ANSWER'; "
        "candidate: after worked examples ({instruction}), one more, for `rounds:`",
    )

    @model_validator(mode="after")
    def _one_place(self) -> JudgeCard:
        given = [k for k in ("model", "server", "recorded") if getattr(self, k)]
        if len(given) != 1:
            raise ValueError(
                "name exactly one of model, server or recorded; "
                f"there is {' and '.join(given) or 'none'}"
            )
        for name, form in self.forms.items():
            for field in Needs[name]:
                if f"{{{field}}}" not in form.template:
                    raise ValueError(f"forms.{name}.template must contain {{{field}}}")
            if form.system and self.style == "completion":
                raise ValueError(
                    f"forms.{name}.system needs style: chat; write it into the template"
                )
        return self

    def with_form(self, form: str, name: str) -> JudgeCard:
        """The card with one form only, which is all that a column of this form reads."""
        kept = {key: value for key, value in self.forms.items() if key == form}
        if not kept:
            raise TmapError(
                f"Judge card '{name}' has no form '{form}'; it has "
                f"{', '.join(self.forms)}. Add `forms: {{{form}: {{template: ...}}}}` "
                f"to it, or name another judge under `indicators:` in the dataset card."
            )
        return self.model_copy(update={"forms": kept})
