"""What the server is told about who may reach it, and how much they may send."""

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from latentry_sdk import Count, Field, InvalidRequest, Number, Options

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def _bare_name(name: str) -> str:
    bare = name.strip("[]").lower()
    if not bare or set(bare) & set("/@?# *") or (":" in bare and not is_address(bare)):
        raise ValueError("a host name or address without a port is wanted")
    return bare


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or text != f"{parts.scheme}://{parts.netloc}"
    ):
        raise ValueError("an origin like https://example.org is wanted, without a path")
    return text.lower()


def _network(text: str) -> str:
    return str(ip_network(text, strict=False))


HostName = Annotated[str, AfterValidator(_bare_name)]
"""A host's name or address, without a port."""

Origin = Annotated[str, AfterValidator(_origin)]
"""Scheme, host and, where it is not the scheme's own, port."""


Network = Annotated[str, AfterValidator(_network)]
"""An address, or a network like 10.0.0.0/8."""


class SecurityOptions(Options):
    """Flags of `latentry serve` that keep it safe; the defaults suit one person on one machine."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen at")
    token_file: Path | None = Field(None, description="Tokens that callers need, see `latentry token`")
    allowed_hosts: tuple[HostName, ...] = Field((), description="Further names that the server is reached by")
    allowed_origins: tuple[Origin, ...] = Field((), description="Web pages that may use the server")
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="Proxies whose X-Forwarded-For and -Proto are believed"
    )
    tls_certificate: Path | None = Field(None, description="PEM file with the certificate, for https")
    tls_key: Path | None = Field(None, description="PEM file with the certificate's key")
    body_megabytes: Number = Field(64, gt=0, description="Megabytes that one request may send")
    bodies_megabytes: Number = Field(256, gt=0, description="Megabytes of requests that are held at one time")
    body_parts: Count = Field(64, ge=1, description="Parts that a multipart body may have")
    json_depth: Count = Field(32, ge=1, le=200, description="Levels that a JSON body may nest")
    json_marks: Count = Field(
        200_000, ge=1, description="Quotes, commas and brackets that a JSON body may have"
    )
    header_seconds: Number = Field(10, gt=0, description="Seconds that a connection may take for headers")
    body_seconds: Number = Field(20, gt=0, description="Seconds that a body may stand still")
    body_rate: Number = Field(4096, gt=0, description="Bytes a second that a body must come at")
    write_seconds: Number = Field(30, gt=0, description="Seconds that a client may take nothing of an answer")
    connections: Count = Field(16_384, ge=8, description="Connections held at one time")
    requests_per_minute: Count = Field(120_000, ge=1, description="Requests of one caller")
    changes_per_minute: Count = Field(6_000, ge=1, description="Requests of one caller that change something")
    failures_per_minute: Count = Field(60, ge=1, description="Wrong tokens from one address")
    concurrent_requests: Count = Field(2_048, ge=1, description="Requests of one caller at one time")
    concurrent_websockets: Count = Field(256, ge=1, description="WebSockets of one caller at one time")
    websocket_messages: Count = Field(20, ge=1, description="Messages a second on one WebSocket")
    megapixel_steps: Number = Field(5_000, gt=0, description="Megapixels times steps of one job")
    fetch_urls: bool = Field(False, description="Take pictures by URL, from public addresses only")
    fetch_seconds: Number = Field(20, gt=0, description="Seconds that a picture by URL may take")
    log_prompts: bool = Field(False, description="Write prompts into the audit log")

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are needed together")
        return self


def check_address(options: SecurityOptions) -> None:
    """Raise `InvalidRequest` for an address that others can reach while no token is asked for."""
    if options.token_file is None and not is_loopback(options.host):
        raise InvalidRequest(
            f"the address {options.host!a} can be reached from other machines, and no token is asked for",
            fix="pass --token-file FILE, written by `latentry token add`, or listen at 127.0.0.1",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host: a loopback address, or the name localhost."""
    return host.lower() == "localhost" or (is_address(host) and ip_address(host).is_loopback)


def is_address(text: str) -> bool:
    """Whether the text is an IP address, and so nothing that a name server could turn elsewhere."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
