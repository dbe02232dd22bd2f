"""Decodes base64 as Go does, with the same error positions."""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64decode

_FOREIGN = re.compile(rb"[^A-Za-z0-9+/\r\n]")
_FOREIGN_URL = re.compile(rb"[^A-Za-z0-9_-]")
_NOT_A_BREAK = re.compile(rb"[^\r\n]")


class IllegalBase64(ValueError):
    """The text is not base64. `offset` is the position in Go's message."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"illegal base64 data at input byte {offset}")
        self.offset = offset

    def __reduce__(self) -> tuple[type[IllegalBase64], tuple[int]]:
        """Take it to another process."""
        return type(self), (self.offset,)


def decode(text: str) -> bytes:
    """Decode the content of an artifact (S5): standard alphabet, optional padding, line breaks ignored.

    The server pads the text to a multiple of four characters, line breaks included. So text with line breaks is valid
    only if its padding is right without them, too. Raises IllegalBase64.
    """
    data = text.encode()
    data += b"=" * (-len(data) % 4)
    offset = _padded_fault(data)
    if offset is not None:
        raise IllegalBase64(offset)
    return b64decode(data)


def decode_url(text: str) -> bytes:
    """Decode a segment of a JSON Web Token: URL alphabet without padding. Raises IllegalBase64."""
    data = text.encode()
    foreign = _FOREIGN_URL.search(data)
    if foreign is not None:
        raise IllegalBase64(foreign.start())
    if len(data) % 4 == 1:
        raise IllegalBase64(len(data) - 1)
    return urlsafe_b64decode(data + b"==")  # as much padding as any segment lacks; more is passed over


def _padded_fault(data: bytes) -> int | None:
    """The position at which Go's decoder with padding fails, or None."""
    # `over` is how many digits there are beyond whole groups of four before the first character that is no digit.
    foreign = _FOREIGN.search(data)
    end = foreign.start() if foreign else len(data)
    over = (end - data.count(b"\n", 0, end) - data.count(b"\r", 0, end)) % 4
    if foreign is None:
        return len(data) - over if over else None
    if foreign[0] != b"=" or over < 2:  # noqa: PLR2004 - with one digit more than whole groups no padding is right
        return end
    after = _skip_breaks(data, end + 1)
    if over == 2:  # noqa: PLR2004 - two digits more want two signs
        if after == len(data):
            return after
        if data[after : after + 1] != b"=":
            return after - 1
        after = _skip_breaks(data, after + 1)
    return after if after < len(data) else None


def _skip_breaks(data: bytes, start: int) -> int:
    match = _NOT_A_BREAK.search(data, start)
    return match.start() if match else len(data)
