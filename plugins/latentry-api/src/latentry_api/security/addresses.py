"""Which addresses belong to the public internet, so that a fetch cannot reach what only this machine may."""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

NAT64 = ip_network("64:ff9b::/96")
"""IPv4 as networks without it see it, RFC 6052."""

METADATA = frozenset({ip_address("168.63.129.16")})
"""Public by its number, but it is a cloud's own service to its machines."""


def is_public(address: str) -> bool:
    """Whether the address is one that anyone could reach; forms of IPv6 that hold an IPv4 count as that."""
    found = _inner(ip_address(address))
    special = found.is_multicast or found.is_reserved or found.is_unspecified or found.is_link_local
    return found.is_global and not special and found not in METADATA


def _inner(found: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(found, IPv4Address):
        return found
    if found in NAT64:
        return IPv4Address(int(found) & 0xFFFFFFFF)
    return found.ipv4_mapped or found.sixtofour or found


def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, by the system's resolver and within its own time; `OSError` if none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
