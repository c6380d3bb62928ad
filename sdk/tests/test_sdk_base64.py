"""Bytes out of base64, as clients send it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry_sdk import InvalidInput
from latentry_sdk.sources import MAX_BYTES, from_base64

PREFIXES = ("", "data:;base64,", "data:image/png;base64,", "DATA:text/html;charset=utf-8;BASE64,")


@given(st.binary(min_size=1), st.sampled_from(PREFIXES), st.sampled_from(["", "\n", "\r\n", " "]))
def test_what_was_encoded_comes_back(data: bytes, prefix: str, between: str) -> None:
    text = between.join(base64.b64encode(data).decode())
    assert from_base64(prefix + text, "it") == data


@pytest.mark.parametrize(
    "text", ["A", "AAA", "AAA=A", "A===", "AA-_", "é", "\ud800", "http://a/b.png", "data:image/png,AAAA"]
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^the mask is no base64; send"):
        from_base64(text, "the mask")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_nothing_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidInput, match=r"^it is empty; send"):
        from_base64(f"{prefix} \n", "it")


def test_more_than_an_input_may_have_is_refused() -> None:
    with pytest.raises(InvalidInput, match="larger than 64 MiB"):
        from_base64("AAAA" * (MAX_BYTES // 3 + 1), "it")
