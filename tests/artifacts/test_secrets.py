"""What a secret is, and how texts look without it."""

from __future__ import annotations

import json
import logging
import time

import pytest

from tmap import cards, dag
from tmap.artifacts import secrets
from tmap.artifacts.secrets import hide, public_address, published

PLAIN = [
    "see https://host/a/b@c, or http://127.0.0.1:{port}/v1.",
    "http://[::1]:8000/v1 answers: status 500",
    "max_tokens: 5, 400 tokens/s; eos_token: </s>; 12:30:01 me@host",
    "no key 'x'. Known: a, b. Write lines `key: value`.",
    "Set HF_TOKEN to a read token, or `limits: {key_env: MY_KEY}`.",
    "task-1234567890 disk-1234567890abc",
    "snakemake --cores 1 --configfile mine/config.yaml",
]


@pytest.fixture(autouse=True)
def nothing_learned(monkeypatch):
    monkeypatch.setattr(secrets, "_learned", {})


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_stays_as_it_is(text):
    assert hide(text) == text
    assert published({"command": text, "note": text}) == {"command": text, "note": text}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:pw@h:8/p?a=b#c", "https://***@h:8/p?***"),
        ("https://h/p#c", "https://h/p#***"),
        ("https://token@h", "https://***@h"),
        ("https://u:p/w?x#y@z@h/p?a=b", "https://***@h/p"),
        ("https://u:cut-before-the-host ...", "https://*** ..."),
        ("u:pw@h/v1", "***@h/v1"),
        ("serve --api-key abc --port 8", "serve --api-key *** --port 8"),
        ("serve --api-key='a b c' x", "serve --api-key=*** x"),
        ("curl -u me:pw h", "curl -u *** h"),
        ("MY_API_KEY=abc serve", "MY_API_KEY=*** serve"),
        ("Authorization: Bearer abc", "Authorization: ***"),
        ('{"api_key": "a b"}', '{"api_key": "***"}'),
        ("Authorization: Token abc", "Authorization: ***"),
        ("authorization: ApiKey abc", "authorization: ***"),
        ("Ocp-Apim-Subscription-Key: abc", "Ocp-Apim-Subscription-Key: ***"),
        ("PGPASSWORD=abc MYSQL_PWD=abc serve", "PGPASSWORD=*** MYSQL_PWD=*** serve"),
        ("serve --pwd abc --auth abc", "serve --pwd *** --auth ***"),
        (
            '{"accessToken": "a b", "clientSecret": "c"}',
            '{"accessToken": "***", "clientSecret": "***"}',
        ),
        ("a=1&sig=abc&b=2", "a=1&sig=***&b=2"),
        ("SharedAccessSignature=abc", "SharedAccessSignature=***"),
        ("me:" + "k1" * 900 + "@h", "***@h"),
        ("k1" * 900 + ":x@h", "***@h"),
        ("got hf_abcdefghijkl", "got ***"),
        ("got sk-abcdef123456.", "got ***."),
    ],
)
def test_secrets_are_known_by_their_shape(text, shown):
    assert hide(text) == hide(shown) == shown


@pytest.mark.parametrize(
    "text",
    ["_", "a", "-a", "a_", "a@", "a:", "--token ", "x://", "'", "a.b-", "key=", "="],
)
def test_hiding_takes_time_that_is_linear_in_a_text(text):
    start = time.process_time()
    hide(text * (200_000 // len(text)))
    assert time.process_time() - start < 10  # of minutes, if it were quadratic


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://u:p%40w@h:8/p.jsonl?sig=1#x", "https://h:8/p.jsonl"),
        ("https://u:p/w@h/p?sig=1", "https://h/p"),
        ("https://h", "https://h"),
        ("data/a?b#c.jsonl", "data/a?b#c.jsonl"),
    ],
)
def test_a_public_address_has_no_user_query_and_fragment(url, public):
    assert public_address(url) == public


def test_what_was_learned_is_hidden_encoded_and_cut_too():
    secrets.learn_address("https://me:a%20b%2Fc@h/p")
    secrets.learn('k3y-"quoted"-0123456789')

    assert hide("a b/c or a%20b%2Fc or bWU6YSBiL2M=") == "*** or *** or ***"
    assert hide(json.dumps({"x": 'k3y-"quoted"-0123456789'})) == '{"x": "***"}'
    assert hide('wrong key k3y-"quote...') == "wrong key ***..."


def test_variables_of_the_environment_are_secret_by_name_and_value(monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "drawn1234")
    monkeypatch.setenv("LICENCE_KEY", "generation")  # a word
    monkeypatch.setenv("KEY_FILE", "drawn5678")

    text = "drawn1234 generation drawn5678"
    assert hide(text) == "*** generation drawn5678"
    assert published(text) == text  # the same in every process


def test_what_is_published_changes_with_the_secret_and_only_once():
    first, other = (published({"url": f"https://u:{pw}@h/p"}) for pw in ("a", "b"))

    assert first != other
    assert first["url"].startswith("https://***@h/p [sha256 ")
    assert published(first) == first
    nested = {"extra": {"api_key": "abcd", "seed": 1}, "rows": [("x",), None]}
    found = published(nested)
    assert found["extra"] == {"api_key": "*** [sha256 88d4266fd4e6]", "seed": 1}
    assert found["rows"] == [["x"], None] and published(found) == found


def test_params_of_shipped_cards_have_nothing_to_hide():
    for name in cards.names("datasets"):
        assert "sha256 " not in dag.params.of("fetch_pool", dataset=name)
    for name in cards.names("models"):
        how = {"dataset": "gsm8k", "model": name}
        assert "sha256 " not in dag.params.of("evaluate_adapter", **how)
    for name in cards.names("judges"):
        shipped = cards.load("judges", name).model_dump(mode="json")
        assert published(shipped) == shipped


def test_records_and_tracebacks_are_formatted_without_secrets():
    secrets.learn("learned-secret-1")
    try:
        raise ValueError("https://u:pw@h/p learned-secret-1")
    except ValueError as fault:
        about = (ValueError, fault, fault.__traceback__)
    record = secrets.Record("x", 30, "f", 1, "at %s", ("http://u:pw@h",), about)

    assert record.getMessage() == "at http://***@h"
    text = secrets.Hiding("%(message)s").format(record)
    assert "pw" not in text and "learned" not in text and "https://***@h/p" in text
    assert isinstance(record, logging.LogRecord)
