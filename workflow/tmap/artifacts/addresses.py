"""Addresses of this machine, which no proxy may be asked for."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit


def is_local(host: str) -> bool:
    """Whether a host is this machine: 127.0.0.0/8, ::1, 0.0.0.0, localhost."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:  # 127.1 and other short forms
            address = ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def direct(url: str) -> dict[str, Any]:
    """httpx `mounts` that ask this machine without a proxy.

    Other hosts keep the proxies of the environment, also after a redirect.
    """
    hosts = ["localhost", "127.0.0.1", "[::1]"]
    host = urlsplit(url).hostname or ""
    if is_local(host):
        hosts.append(f"[{host}]" if ":" in host else host)
    return {f"all://{name}": None for name in hosts}
