"""Rules about headers alone: framing, names, pages from elsewhere, media types, what browsers are told."""

import asyncio
import json
import logging
from typing import Any

import pytest

from latentry_api.logs import JsonLines
from latentry_api.security.door import one_meaning
from latentry_api.security.headers import safe_media_type
from latentry_api.security.refusing import AmbiguousRequest

OWN = {"listening at loopback": {}, "named": {"allowed_hosts": ("gpu.lan",)}, "anywhere": {"host": "0.0.0.0"}}
HOSTS = [
    ("listening at loopback", "127.0.0.1:8585", 200),
    ("listening at loopback", "localhost", 200),
    ("listening at loopback", "LOCALHOST.:9", 200),
    ("listening at loopback", "[::1]:8585", 200),
    ("listening at loopback", "evil.example", 421),
    ("listening at loopback", "localhost.evil.example", 421),
    ("listening at loopback", "127.0.0.1.evil.example:8585", 421),
    ("listening at loopback", "evil.example@localhost", 421),
    ("listening at loopback", "192.168.1.7", 421),
    ("listening at loopback", "0.0.0.0:8585", 421),
    ("listening at loopback", "", 421),
    ("named", "gpu.lan:8585", 200),
    ("named", "other.lan", 421),
    ("anywhere", "192.168.1.7:8585", 200),
    ("anywhere", "[fd00::7]:8585", 200),
    ("anywhere", "rebound.example", 421),
]


@pytest.mark.parametrize(("which", "host", "status"), HOSTS)
def test_only_names_that_the_server_goes_by_are_answered(
    asking: Any, which: str, host: str, status: int
) -> None:
    found = asyncio.run(asking(**OWN[which])(host=host))
    assert found.status == status
    assert status == 200 or found.type == "unknown_host"


ORIGINS = [
    ("POST", "http://127.0.0.1:8585", 200),
    ("POST", None, 200),
    ("POST", "https://friend.example", 200),
    ("POST", "null", 403),
    ("POST", "", 403),
    ("POST", "http://evil.example", 403),
    ("POST", "https://127.0.0.1:8585", 403),
    ("POST", "http://127.0.0.1:80", 403),
    ("POST", "http://127.0.0.1:8585.evil.example", 403),
    ("POST", "https://friend.example.evil.example", 403),
    ("POST", "http://[", 403),
    ("DELETE", "null", 403),
    ("PATCH", "http://evil.example", 403),
    ("GET", "http://evil.example", 200),
]


@pytest.mark.parametrize(("method", "origin", "status"), ORIGINS)
def test_foreign_pages_change_nothing(asking: Any, method: str, origin: str | None, status: int) -> None:
    ask = asking(allowed_origins=("https://friend.example",))
    headers = {} if origin is None else {"origin": origin}
    found = asyncio.run(ask(method, **headers))
    assert found.status == status
    assert status == 200 or found.type == "foreign_origin"


def test_no_page_reads_an_answer_unless_its_origin_is_listed(asking: Any) -> None:
    async def granted(ask: Any, origin: str) -> tuple[Any, Any]:
        wanted = {"origin": origin, "access_control_request_method": "POST"}
        before = await ask("OPTIONS", **wanted, access_control_request_headers="authorization,content-type")
        plain = await ask("GET", origin=origin)
        name = "access-control-allow-origin"
        return before.headers.get(name), plain.headers.get(name)

    none, listed = asking(), asking(allowed_origins=("https://friend.example",))
    assert asyncio.run(granted(none, "https://friend.example")) == (None, None)
    assert asyncio.run(granted(listed, "https://other.example")) == (None, None)
    assert asyncio.run(granted(listed, "https://friend.example")) == ("https://friend.example",) * 2


BODIES = [
    ("application/json", 200),
    ("application/json; charset=utf-8", 200),
    ("application/merge-patch+json", 200),
    ("application/octet-stream", 200),
    ("image/png", 200),
    ("multipart/form-data; boundary=b", 200),
    ("text/plain", 415),
    ("text/plain; application/json", 415),
    ("application/x-www-form-urlencoded", 415),
    ("application/jsonx", 415),
    ("multipart/mixed; boundary=b", 415),
    ("text/html", 415),
    ("", 415),
    (None, 415),
]


@pytest.mark.parametrize(("media_type", "status"), BODIES)
def test_bodies_that_a_plain_form_can_send_are_refused(
    asking: Any, media_type: str | None, status: int
) -> None:
    headers = {} if media_type is None else {"content_type": media_type}
    found = asyncio.run(asking()("POST", content=b"{}", **headers))
    assert found.status == status
    assert status == 200 or found.type == "unsupported_body"


def test_a_compressed_body_is_refused(asking: Any) -> None:
    found = asyncio.run(
        asking()("POST", content=b"{}", content_type="application/json", content_encoding="gzip")
    )
    assert (found.status, found.type) == (415, "unsupported_body")


def test_a_post_without_a_body_needs_no_media_type(asking: Any) -> None:
    assert asyncio.run(asking()("POST")).status == 200


AMBIGUOUS = [
    ("/", [(b"host", b"a"), (b"content-length", b"5"), (b"transfer-encoding", b"chunked")]),
    ("/", [(b"host", b"a"), (b"host", b"b")]),
    ("/", []),
    ("http://other.example/", [(b"host", b"a")]),
    ("*", [(b"host", b"a")]),
]


@pytest.mark.parametrize(("path", "headers"), AMBIGUOUS)
def test_what_two_servers_could_read_differently_is_refused(path: str, headers: Any) -> None:
    with pytest.raises(AmbiguousRequest):
        one_meaning({"type": "http", "path": path, "headers": headers})


def test_every_answer_tells_browsers_what_they_may_not_do(asking: Any) -> None:
    for found in (asyncio.run(asking()()), asyncio.run(asking()(host="evil.example"))):
        assert found.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in found.headers["content-security-policy"]
        assert found.headers["x-frame-options"] == "DENY"
        assert found.headers["cache-control"] == "no-store"
        assert found.headers["cross-origin-resource-policy"] == "same-origin"


def test_an_application_may_say_something_else_to_browsers(asking: Any) -> None:
    async def page(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"Cache-Control", b"private, max-age=60")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    assert asyncio.run(asking(page)()).headers["cache-control"] == "private, max-age=60"


@pytest.mark.parametrize(
    "made", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript", "x", ""]
)
def test_what_a_browser_would_run_is_served_as_bytes(made: str) -> None:
    assert safe_media_type(made) == "application/octet-stream"


@pytest.mark.parametrize(
    "made", ["image/png", "IMAGE/JPEG", "image/webp; charset=x", "image/x-portable-graymap"]
)
def test_pictures_are_served_as_pictures(made: str) -> None:
    assert safe_media_type(made) == made.lower().partition(";")[0]


def _lines(caplog: pytest.LogCaptureFixture) -> list[Any]:
    written = [JsonLines().format(record) for record in caplog.records if record.name == "latentry.audit"]
    assert "q=secret" not in "".join(written)
    return [json.loads(line)["audit"] for line in written]


@pytest.mark.parametrize("wanted", [False, True])
def test_the_audit_log_says_who_did_what_and_prompts_only_if_asked(
    asking: Any, caplog: pytest.LogCaptureFixture, wanted: bool
) -> None:
    caplog.set_level(logging.INFO, "latentry.audit")
    ask = asking(log_prompts=wanted)
    found = asyncio.run(ask("POST", "/jobs?q=secret", content=b"{}", content_type="application/json"))
    asyncio.run(ask("POST", origin="null"))
    done, refused = _lines(caplog)
    assert done.pop("seconds") >= 0
    prompt = {"prompts": ["a secret wish"]} if wanted else {}
    assert done == {"who": "", "address": "127.0.0.1", "method": "POST", "path": "/jobs", "status": 200,
                    "bytes_in": 2, "bytes_out": len(found.body), "jobs": ["j-1"]} | prompt  # fmt: skip
    assert (refused["who"], refused["status"]) == (None, 403)
