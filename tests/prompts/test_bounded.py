"""A chat template is somebody else's code: it ends, and it needs little."""

from __future__ import annotations

import os
import time

import pytest
from jinja2 import TemplateError

from tmap.errors import TmapError
from tmap.prompts import bounded
from tmap.prompts.chat_template import Chat

REST = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture
def tokenizer(tiny_llama):
    from tmap.engines import load_tokenizer

    return load_tokenizer(tiny_llama)


def test_a_text_comes_back():
    assert bounded.render(lambda: "é\n" * 50_000) == "é\n" * 50_000


def test_the_error_of_a_template_is_a_refusal_and_others_are_not():
    def refuse():
        raise TemplateError("roles must alternate")

    def fail():
        raise LookupError("nope")

    with pytest.raises(bounded.Failed, match="roles must alternate") as refused:
        bounded.render(refuse)
    with pytest.raises(bounded.Failed, match="LookupError: nope") as failed:
        bounded.render(fail)

    assert (refused.value.is_refusal, failed.value.is_refusal) == (True, False)


def test_a_process_that_dies_is_an_error():
    with pytest.raises(bounded.Failed, match="its process died"):
        bounded.render(lambda: os.kill(os.getpid(), 9))


def test_no_process_and_no_open_file_is_left(monkeypatch):
    monkeypatch.setattr(bounded, "SECONDS", 0.2)
    before = len(os.listdir("/proc/self/fd"))

    made = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: made.append(fork()) or made[-1])
    with pytest.raises(bounded.Failed, match="more than 0 s"):
        bounded.render(lambda: time.sleep(60))

    assert len(os.listdir("/proc/self/fd")) == before
    (child,) = made
    with pytest.raises(ChildProcessError):  # it was waited for
        os.waitpid(child, os.WNOHANG)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (
            "{% for i in range(9999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "s)",
        ),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ '{0}'.format() }}", "IndexError"),
        ("{{ '{x}'.format() }}", "KeyError"),
        ("{{ 'x'.encode('nope') }}", "LookupError"),
        ("{{ 'a' * 10 ** 10 }}", "more than 1024 MB"),
        ("{{ 'a' * 10 ** 7 }}", "more than 1,048,576 characters"),
        ("{{ 2.0 ** 100000 }}", "OverflowError"),
        ("{% for i in range(10 ** 12) %}{% endfor %}", "OverflowError"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself"),
        ("{{ 9 ** (9 ** 9) }}", "s)"),
        ("{% if %}", "Expected an expression"),
    ],
)
def test_any_template_that_fails_is_one_sentence(tokenizer, monkeypatch, start, reason):
    if reason == "s)":  # it has no end
        monkeypatch.setattr(bounded, "SECONDS", 1.0)
    tokenizer.chat_template = start + REST

    with pytest.raises(TmapError) as fault:
        Chat(tokenizer)

    assert reason in str(fault.value)
    assert str(fault.value).startswith("The chat template fails on 1 exchanges")
    assert "\n" not in str(fault.value)
