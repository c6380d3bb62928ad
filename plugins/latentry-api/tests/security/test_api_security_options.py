"""What the server cannot be told is refused in one line; what uvicorn is told follows from what it can."""

import logging
import resource
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from latentry_api.security.options import SecurityOptions
from latentry_api.security.serving import open_files, uvicorn_settings
from latentry_sdk import InvalidRequest, parsed

FIELDS = SecurityOptions.model_fields
NUMBERS = [name for name, field in FIELDS.items() if type(field.default) in (int, float)]
WRONG_NUMBERS = [float("nan"), float("inf"), float("-inf"), True, -1, 0, "many", "", None, [], {}]
WRONG: list[tuple[str, Any]] = [
    *((name, value) for name in NUMBERS for value in WRONG_NUMBERS),
    ("connections", 2.5),
    ("connections", 7),
    ("json_depth", 201),
    ("host", ""),
    ("host", 5),
    *(("allowed_hosts", [name]) for name in ("", "a:80", "http://a", "a/b", "*", "a@b", "[::1]:80", 5)),
    *(("allowed_origins", [one]) for one in ("", "*", "null", "example.org", "https://", "https://a/",
                                            "https://a/b", "ftp://a", "https://a?b", "http://[", 5)),
    *(("trusted_proxies", [one]) for one in ("", "*", "proxy.lan", "10.0.0.0/33", "1.2.3", 5.5)),
    ("fetch_urls", "perhaps"),
    ("log_prompts", 7),
    ("tls_certificate", "only.pem"),
    ("tls_key", "only.key"),
    ("unknown", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG, ids=str)
def test_what_is_no_option_is_refused_in_one_line(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsed(SecurityOptions, {name: value}, where="serve: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("allowed_hosts", ["GPU.lan", "[fd00::1]", "10.0.0.1"], ("gpu.lan", "fd00::1", "10.0.0.1")),
        ("allowed_origins", ["https://Example.org:8443"], ("https://example.org:8443",)),
        ("trusted_proxies", ["10.1.2.3/8", "::1"], ("10.0.0.0/8", "::1/128")),
        ("body_megabytes", "12.5", 12.5),
    ],
)
def test_what_is_one_is_taken(name: str, value: Any, kept: Any) -> None:
    assert getattr(parsed(SecurityOptions, {name: value}), name) == kept


def test_uvicorn_takes_what_it_is_told() -> None:
    config = uvicorn.Config("none:app", log_config=None, **uvicorn_settings(SecurityOptions()))
    assert config.ws_max_size == 65536
    assert config.proxy_headers is False
    assert config.limit_concurrency is None, "uvicorn's own limit counts silent connections"


def test_tokens_in_the_clear_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    uvicorn_settings(SecurityOptions())
    assert caplog.records == []
    uvicorn_settings(SecurityOptions(host="0.0.0.0", token_file=Path("tokens.json")))
    assert "--tls-certificate" in caplog.text


def test_the_limit_of_open_files_is_raised_as_far_as_it_goes() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert open_files(300) == 300
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, hard)
        assert open_files(200) == 200
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300, "it is never lowered"
        assert open_files(10**9) == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
