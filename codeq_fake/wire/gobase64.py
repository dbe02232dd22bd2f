"""Decodes base64 as Go does, and names the byte that Go names where it cannot."""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64decode

_LINE_BREAKS = str.maketrans("", "", "\r\n")
_FOREIGN = re.compile(rb"[^A-Za-z0-9+/\r\n]")
_FOREIGN_URL = re.compile(rb"[^A-Za-z0-9_\r\n-]")
_NOT_A_BREAK = re.compile(rb"[^\r\n]")


class IllegalBase64(ValueError):
    """The text is no base64. `offset` is the byte that Go's message names."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"illegal base64 data at input byte {offset}")
        self.offset = offset


def decode(text: str) -> bytes:
    """Decodes an artifact's content (S5): standard alphabet, padding optional, line breaks ignored.

    The server pads the text, line breaks counted, to a multiple of four characters before Go decodes it, so
    text with line breaks is taken only if its padding still comes out.

    Raises:
        IllegalBase64: Go cannot decode it.

    """
    data = text.encode(errors="surrogatepass")
    data += b"=" * (-len(data) % 4)
    offset = _padded_fault(data)
    if offset is not None:
        raise IllegalBase64(offset)
    return b64decode(data)


def decode_url(text: str) -> bytes:
    """Decodes a segment of a JSON Web Token: the URL alphabet without padding, line breaks ignored.

    Raises:
        IllegalBase64: Go cannot decode it.

    """
    data = text.encode(errors="surrogatepass")
    foreign = _FOREIGN_URL.search(data)
    if foreign is not None:
        raise IllegalBase64(foreign.start())
    digits = text.translate(_LINE_BREAKS)
    if len(digits) % 4 == 1:
        raise IllegalBase64(len(data) - 1)
    return urlsafe_b64decode(digits + "=" * (-len(digits) % 4))


def _padded_fault(data: bytes) -> int | None:
    """Where Go's decoder with padding gives up, or None."""
    foreign = _FOREIGN.search(data)
    end = foreign.start() if foreign else len(data)
    over = (end - data.count(b"\n", 0, end) - data.count(b"\r", 0, end)) % 4
    if foreign is None:
        return len(data) - over if over else None
    padding = {2: b"==", 3: b"="}.get(over)
    if foreign[0] != b"=" or padding is None:
        return end
    after = _skip_breaks(data, end + 1)
    if padding == b"==":
        if after == len(data):
            return after
        if data[after : after + 1] != b"=":
            return after - 1
        after = _skip_breaks(data, after + 1)
    return after if after < len(data) else None


def _skip_breaks(data: bytes, start: int) -> int:
    match = _NOT_A_BREAK.search(data, start)
    return match.start() if match else len(data)
