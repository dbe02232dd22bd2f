"""Decoding of base64: artifacts (S5) and segments of tokens (A4)."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.wire import IllegalBase64, decode_base64, decode_base64url

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("", b""),
        ("aGVsbG8=", b"hello"),
        ("aGVsbG8", b"hello"),
        ("aGVsbA==", b"hell"),
        ("aGVsbA=", b"hell"),
        ("aGVsbA", b"hell"),
        ("aGVsbB==", b"hell"),
        ("+/+/", b"\xfb\xff\xbf"),
        ("aGVs\r\nbG8=\r\n", b"hello"),
        ("aG\nVsbA=\n=\r\n", b"hell"),
    ],
)
def test_padding_is_optional_and_line_breaks_are_ignored(text: str, content: bytes) -> None:
    assert decode_base64(text) == content


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        *[("!!!", 0), ("a!", 1), ("aGVsbG8 ", 7), ("aGVs-G8=", 4), ("aGVs_G8=", 4), ("\u00e9", 0), ("a\u00e9", 1)],
        *[("a", 1), ("aGVsb", 5), ("=", 0), ("====", 0), ("a===", 1), ("aGVsb===", 5)],
        *[
            ("aGVsbA=x", 6),
            ("aGVsbA=\nx===", 7),
            ("aGVsbA=\n", 8),
            ("aGVsbG8=x", 8),
            ("aGVsbG8=\nx", 9),
            ("aGVsbA===", 8),
        ],
        *[("aGVs\nbG8=", 9), ("aGVsbG8=\n", 9), ("aGVsbG8\n", 5)],
    ],
)
def test_the_error_names_the_byte_that_go_names(text: str, offset: int) -> None:
    with pytest.raises(IllegalBase64, match=f"^illegal base64 data at input byte {offset}$") as caught:
        decode_base64(text)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("a", 0),
        (" eyJ", 0),
        ("SIG x", 3),
        ("aGVsb", 4),
        ("aG==", 2),
        ("a+b", 1),
        ("a/b", 1),
        ("aGVs\nb", 4),
        ("a\u00e9", 1),
    ],
)
def test_a_token_segment_has_no_padding_and_the_url_alphabet(text: str, offset: int) -> None:
    with pytest.raises(IllegalBase64, match=f"^illegal base64 data at input byte {offset}$"):
        decode_base64url(text)


@given(st.binary())
def test_what_was_encoded_is_decoded(content: bytes) -> None:
    text = b64encode(content).decode()
    assert decode_base64(text) == decode_base64(text.rstrip("=")) == content
    assert decode_base64url(urlsafe_b64encode(content).decode().rstrip("=")) == content


@given(st.text("Aa09+/-_=\r\n !\u00e9"))
def test_any_text_is_decoded_or_its_fault_lies_within_it(text: str) -> None:
    faults = [fault for fault in map(fault_of, (decode_base64, decode_base64url), (text, text)) if fault is not None]
    assert all(0 <= fault <= len(text.encode()) + 2 for fault in faults)  # padding is appended before decoding


def fault_of(decode: Callable[[str], bytes], text: str) -> int | None:
    try:
        decode(text)
    except IllegalBase64 as error:
        return error.offset
    return None
