"""What uvicorn is told: the guarded protocol, small WebSocket messages, https, and who is believed."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from latentry_api.security.options import SecurityOptions, check_address, is_loopback
from latentry_api.security.tokens import read_tokens
from latentry_sdk import InvalidRequest

if TYPE_CHECKING:
    import asyncio
    import ssl

    from latentry_api.security.connections import Gate

log = logging.getLogger(__name__)
FILES_KEPT = 256
"""Open files that connections leave to the store, to pictures and to workers."""

MESSAGE_BYTES = 1 << 16
"""Clients say little on a WebSocket: which job they watch."""


def check_options(options: SecurityOptions) -> None:
    """Raise `InvalidRequest` for an address that needs tokens, and for files that cannot be used."""
    check_address(options)
    if options.token_file:
        read_tokens(options.token_file)
    _context(options)


def uvicorn_settings(options: SecurityOptions) -> Mapping[str, Any]:
    """Arguments of `uvicorn.Config`; raises `InvalidRequest` for a certificate that cannot be used."""
    from latentry_api.security.connections import Gate
    from latentry_api.security.sockets import GuardedWebSocket

    if not options.tls_certificate and not is_loopback(options.host):
        log.warning("tokens and pictures cross the network as they are: pass --tls-certificate and --tls-key")
    files = open_files(options.connections + FILES_KEPT)
    return {
        "http": _protocol(options, Gate(max(8, min(options.connections, files - FILES_KEPT)))),
        "ws": partial(GuardedWebSocket, write_seconds=options.write_seconds),
        "ws_max_size": MESSAGE_BYTES,
        "ws_max_queue": 8,
        "ws_per_message_deflate": False,
        "timeout_keep_alive": options.header_seconds,
        "server_header": False,
        "access_log": False,
        "proxy_headers": bool(options.trusted_proxies),
        "forwarded_allow_ips": list(options.trusted_proxies),
    }


def _protocol(options: SecurityOptions, gate: "Gate") -> Callable[..., "asyncio.Protocol"]:
    """What makes a protocol for each connection, encrypted where there is a certificate."""
    from latentry_api.security.connections import GuardedProtocol
    from latentry_api.security.encrypting import Handshake

    plain = partial(GuardedProtocol, gate=gate, options=options)
    context = _context(options)
    if context is None:
        return plain

    def encrypted(**named: Any) -> "asyncio.Protocol":
        return Handshake(partial(plain, **named), gate, context, options.header_seconds)

    return encrypted


def _context(options: SecurityOptions) -> "ssl.SSLContext | None":
    if options.tls_certificate is None or options.tls_key is None:
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.tls_certificate, options.tls_key)
    except OSError as exc:  # SSLError is one
        raise InvalidRequest(f"the certificate or its key cannot be used: {exc}") from exc
    return context


def open_files(wanted: int) -> int:
    """How many files this process may open; the limit is raised as far as it goes towards `wanted`."""
    try:
        import resource
    except ImportError:  # Windows, where sockets are no files
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, raised), hard))
    return max(soft, raised)
