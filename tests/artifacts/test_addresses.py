"""This machine is asked without a proxy, other hosts with it."""

from __future__ import annotations

import httpx
import pytest

from judging import OK
from tmap.artifacts.addresses import direct, is_local
from tmap.cards.judge import LimitSection
from tmap.data.sources import download
from tmap.engines.client import Client

LOCAL = ["127.0.0.1", "127.8.9.10", "127.1", "[::1]", "localhost", "LocalHost."]
FAR = ["example.org", "10.0.0.1", "[2001:db8::1]", "localhost.example.org", "128.0.0.1"]


@pytest.fixture
def proxy(serve, monkeypatch):
    server = serve()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return server


def uses_proxy(client, host):
    url = httpx.URL(f"http://{host}:8000/v1")
    return client._transport_for_url(url) is not client._transport


@pytest.mark.parametrize("host", LOCAL)
def test_this_machine_is_never_asked_through_a_proxy(proxy, host):
    assert is_local(host)
    assert not uses_proxy(httpx.Client(mounts=direct(f"http://{host}:8000/v1")), host)


@pytest.mark.parametrize("host", FAR)
def test_other_hosts_keep_their_proxy(proxy, host):
    assert not is_local(host)
    client = httpx.Client(mounts=direct(f"http://{host}:8000/v1"))
    assert uses_proxy(client, host)
    assert not uses_proxy(client, "localhost")  # after a redirect


def test_the_key_of_a_local_server_and_a_local_pool_do_not_reach_the_proxy(
    proxy, serve, monkeypatch, tmp_path
):
    monkeypatch.setenv("MY_KEY", "local-key-12345")
    server = serve(lambda number, body: OK)
    with Client(f"{server.url}/x", LimitSection(key_env="MY_KEY", attempts=1)) as line:
        line.post({"a": 1})
    server.files["/p"] = b"[]"
    download._download(f"http://localhost:{server.server_port}/p?a=1", tmp_path / "p")

    assert (tmp_path / "p").read_bytes() == b"[]"
    assert server.seen == [("/v1/x", {"a": 1})] and server.asked_for == ["/p?a=1"]
    assert not proxy.seen and not proxy.asked_for


def test_a_remote_server_is_asked_through_the_proxy(proxy):
    with Client("http://server.invalid/v1/x", LimitSection(attempts=1)) as line:
        line.post({"a": 1})

    assert proxy.seen == [("http://server.invalid/v1/x", {"a": 1})]
