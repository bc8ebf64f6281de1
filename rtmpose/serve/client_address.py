"""In whose name a request waits: the address of its client."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

LONGEST_NAME = 64
CLIENT_BITS = 64
"""A client of IPv6 has all addresses of a network of that prefix."""


def client_address(peer: str | None, forwarded: Iterable[str] = ()) -> str:
    """The name of a client.

    Args:
        peer: Who is connected.
        forwarded: The lines ``X-Forwarded-For``, where a proxy is trusted. The last entry of the
            last line is the proxy's own word; those before it are anybody's.
    """
    entries = [entry.strip() for line in forwarded for entry in line.split(",")]
    if entries and entries[-1]:
        return _one_client(entries[-1])
    return _one_client(peer) if peer else "local"


def _one_client(text: str) -> str:
    """An address without its port, so that a new connection is no new client."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return text[:LONGEST_NAME]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    if address.is_loopback:
        return str(address)
    network = (int(address), CLIENT_BITS)
    return str(ipaddress.IPv6Network(network, strict=False))
