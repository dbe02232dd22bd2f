"""Heads of HTTP requests, whatever bytes they have: they are refused, or become one that every parser reads alike."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.wire.gohttp import BadHead, check_lines, read_head

LINES = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [
                b"GET /a%20b?c#d HTTP/1.1",
                b"FOO http://h/\xe9 HTTP/1.0",
                b"Host: x",
                b"Content-Length: 3",
                b"Transfer-Encoding: Chunked",
                b"Connection: keep-alive, x",
                b" folded",
                b"Expect: 100-continue",
            ]
        ),
    ),
    max_size=6,
)


class Parsed:
    """What httptools calls."""

    def __init__(self) -> None:
        self.is_complete = False

    def on_headers_complete(self) -> None:
        self.is_complete = True


@given(LINES, st.sampled_from([b"\n", b"\r\n"]))
def test_any_head_is_refused_or_read_as_one_that_the_parser_takes(lines: list[bytes], end: bytes) -> None:
    source = end.join([*lines, b"", b""])
    try:
        head = read_head(source)
    except BadHead:
        return
    check_lines(source)  # what is read as a whole is not refused before
    parsed = Parsed()
    httptools.HttpRequestParser(parsed).feed_data(head.plain())
    assert parsed.is_complete
    assert head.raw_path.isascii()
    assert head.query.isascii()


@pytest.mark.parametrize("size", [1, 5, 20])
def test_a_head_is_refused_by_its_lines_only_if_the_whole_is(size: int) -> None:
    source = b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"
    for end in range(source.index(b"\n") + 1, len(source), size):
        check_lines(source[:end])
    with pytest.raises(BadHead):
        check_lines(source[: source.index(b" c")] + b"nonsense\r\nA")
