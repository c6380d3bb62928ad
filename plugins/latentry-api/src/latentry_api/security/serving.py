"""What uvicorn is told: the guarded protocol, small WebSocket messages, https, and who is believed."""

import logging
import ssl
from collections.abc import Mapping
from functools import partial
from typing import Any

from latentry_api.security.options import SecurityOptions, is_loopback
from latentry_sdk import InvalidRequest

log = logging.getLogger(__name__)
FILES_KEPT = 256
"""Open files that connections leave to the store, to pictures and to workers."""

MESSAGE_BYTES = 1 << 16
"""Clients say little on a WebSocket: which job they watch."""


def uvicorn_settings(options: SecurityOptions) -> Mapping[str, Any]:
    """Arguments of `uvicorn.Config`; raises `InvalidRequest` for a certificate that cannot be used."""
    from latentry_api.security.connections import Gate, GuardedProtocol
    from latentry_api.security.sockets import GuardedWebSocket

    if not options.tls_certificate and not is_loopback(options.host):
        log.warning("tokens and pictures cross the network as they are: pass --tls-certificate and --tls-key")
    gate = Gate(min(options.connections, max(8, open_files(options.connections + FILES_KEPT) - FILES_KEPT)))
    return {
        "http": partial(GuardedProtocol, gate=gate, options=options),
        "ws": partial(GuardedWebSocket, write_seconds=options.write_seconds),
        "ws_max_size": MESSAGE_BYTES,
        "ws_max_queue": 8,
        "ws_per_message_deflate": False,
        "timeout_keep_alive": options.header_seconds,
        "server_header": False,
        "access_log": False,
        "proxy_headers": bool(options.trusted_proxies),
        "forwarded_allow_ips": list(options.trusted_proxies),
        **_tls(options),
    }


def _tls(options: SecurityOptions) -> Mapping[str, Any]:
    if options.tls_certificate is None or options.tls_key is None:
        return {}
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls_certificate, options.tls_key)
    except OSError as exc:  # SSLError is one
        raise InvalidRequest(f"the certificate or its key cannot be used: {exc}") from exc
    return {"ssl_certfile": str(options.tls_certificate), "ssl_keyfile": str(options.tls_key)}


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
