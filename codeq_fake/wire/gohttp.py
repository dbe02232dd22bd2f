"""Reads the head of an HTTP/1 request as Go's net/http does, with the same refusals."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from .gourl import is_authority

#: Key of an ASGI scope: the request target as it was sent (bytes). It tells what path and query cannot: whether there
#: was a `?` without a query, and the scheme and host of an absolute target. A server may leave it out.
TARGET = "codeq_fake.target"

#: The first line of a request in which every parser that takes it sees the same as Go.
ORDINARY_LINE = re.compile(
    rb"(?:GET|POST|PUT|HEAD|DELETE|PATCH|OPTIONS) "
    rb"/[^\x00-\x20\x7f-\xff%#?]*(?:\?[^\x00-\x20\x7f-\xff#]+)? HTTP/1\.1\r\n"
)
#: The end of a head, with its last line.
END_OF_HEAD = re.compile(rb"\n\r?\n")

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TOKEN_WITH_BLANKS = re.compile(rb"[ !#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
_HOST = re.compile(rb"[!$%&'()*+,.:;=_~\[\]0-9A-Za-z-]*")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_CONTROL_BUT_TAB = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NOT_PRINTABLE = re.compile(rb"[^!-~]")
_CLOSE = re.compile(rb"(?:^|[ ,\t])close(?:$|[ ,\t])", re.IGNORECASE)
_KEEP_ALIVE = re.compile(rb"(?:^|[ ,\t])keep-alive(?:$|[ ,\t])", re.IGNORECASE)
_MOST_CONTENT = 2**63


class BadHead(Exception):
    """Go's server refuses the request. `status` is the rest of its status line, `text` the body."""

    def __init__(self, status: str = "400 Bad Request", text: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.text = status if text is None else text


class Head(NamedTuple):
    """The head of a request. Names of headers are in lower case."""

    method: str
    target: bytes
    raw_path: bytes
    query: bytes
    is_old: bool
    """Whether the request is HTTP/1.0, and so is the reply."""
    headers: list[tuple[bytes, bytes]]

    @property
    def path(self) -> str:
        """The decoded path."""
        return unquote_to_bytes(self.raw_path).decode(errors="replace")

    @property
    def keeps_alive(self) -> bool:
        """Whether an HTTP/1.0 client wants to send more requests."""
        return any(name == b"connection" and _KEEP_ALIVE.search(value) for name, value in self.headers)

    def plain(self) -> bytes:
        """A head with the same headers that every parser reads alike. Its first line stands for any."""
        lines = [b"%b: %b\r\n" % header for header in self.headers]
        return b"".join((b"POST / HTTP/1.1\r\n", *lines, b"\r\n"))


@lru_cache(maxsize=64)
def is_host(value: bytes) -> bool:
    """Whether Go takes the value of a Host header."""
    return _HOST.fullmatch(value) is not None


def check_lines(head: bytes) -> None:
    """Refuse the beginning of a head by its whole lines, as Go does before it reads on. Raises BadHead."""
    line, _, rest = head.partition(b"\n")
    _read_line(line)
    whole = rest.rfind(b"\n") + 1
    if rest[whole : whole + 1] in b" \t":  # or nothing: what comes may continue the last line
        whole = rest.rfind(b"\n", 0, max(0, whole - 1)) + 1
    _read_headers(rest[:whole])


def read_head(head: bytes) -> Head:
    """Read a complete head. Raises BadHead for the first fault, in the order in which Go looks for them."""
    line, _, rest = head.partition(b"\n")
    method, target, version = _read_line(line)
    raw_path, query = _read_target(method, target)
    headers = _read_headers(rest)
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1:
        raise BadHead
    headers = _framed(headers, is_old=version < (1, 1))
    if version[0] != 1 and (method, target, version) != ("PRI", b"*", (2, 0)):
        raise BadHead("505 HTTP Version Not Supported: unsupported protocol version")
    if version >= (1, 1) and not hosts and method not in ("CONNECT", "PRI"):
        raise BadHead("400 Bad Request: missing required Host header")
    if hosts and not is_host(hosts[0]):
        raise BadHead("400 Bad Request: malformed Host header")
    if not all(_TOKEN.fullmatch(name) for name, _ in headers):
        raise BadHead("400 Bad Request: invalid header name")
    return Head(method, target, raw_path, query, version < (1, 1), _without_expect(headers, is_old=version < (1, 1)))


def _read_line(line: bytes) -> tuple[str, bytes, tuple[int, int]]:
    """The method, the target and the version."""
    method, _, rest = line.removesuffix(b"\r").partition(b" ")
    target, _, protocol = rest.partition(b" ")
    version = _VERSION.fullmatch(protocol)
    if version is None or not _TOKEN.fullmatch(method):
        raise BadHead
    _read_target(method.decode(), target)  # to refuse a bad one
    return method.decode(), target, (int(version[1]), int(version[2]))


def _read_target(method: str, target: bytes) -> tuple[bytes, bytes]:
    """The path and the query, with escapes for all but printable ASCII."""
    if not target or _CONTROL.search(target):
        raise BadHead
    if target == b"*":
        return target, b""
    is_authority_only = method == "CONNECT" and not target.startswith(b"/")
    before, _, query = (b"http://" + target if is_authority_only else target).partition(b"?")
    query = _escaped(query)
    scheme = _SCHEME.match(before)
    rest = before[scheme.end() :] if scheme else before
    if not rest.startswith(b"/"):
        if scheme is None:
            raise BadHead
        return b"", query
    if scheme and rest.startswith(b"//"):
        authority, slash, path = rest[2:].partition(b"/")
        if authority and not is_authority(authority.decode("latin-1")):
            raise BadHead
        rest = slash + path
    if _BAD_ESCAPE.search(rest):
        raise BadHead
    return _escaped(rest).replace(b"#", b"%23"), query


def _escaped(text: bytes) -> bytes:
    return _NOT_PRINTABLE.sub(lambda byte: b"%%%02x" % ord(byte[0]), text)


def _read_headers(text: bytes) -> list[tuple[bytes, bytes]]:
    """The headers, with lines that continue the one before them."""
    lines: list[bytes] = []
    for line in text.split(b"\n"):
        stripped = line.removesuffix(b"\r")
        if not stripped:
            break
        if stripped[:1] in b" \t":
            if not lines:
                raise BadHead
            lines[-1] = lines[-1].rstrip(b" \t") + b" " + stripped.strip(b" \t")
        else:
            lines.append(stripped)
    return [_read_header(line) for line in lines]


def _read_header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not _TOKEN_WITH_BLANKS.fullmatch(name) or _CONTROL_BUT_TAB.search(value):
        raise BadHead
    return name.lower(), value


def _framed(headers: list[tuple[bytes, bytes]], *, is_old: bool) -> list[tuple[bytes, bytes]]:
    """The headers with one that says where the body ends, or none."""
    lengths = [value for name, value in headers if name == b"content-length"]
    encodings = [value for name, value in headers if name == b"transfer-encoding"]
    others = [header for header in headers if header[0] not in (b"content-length", b"transfer-encoding")]
    if encodings and not is_old:
        if [value.lower() for value in encodings] != [b"chunked"]:
            raise BadHead("501 Not Implemented", "Unsupported transfer encoding")
        return [*others, (b"transfer-encoding", b"chunked")]
    if not lengths:
        return others
    if len(set(lengths)) > 1 or not re.fullmatch(rb"[0-9]+", lengths[0]) or int(lengths[0]) >= _MOST_CONTENT:
        raise BadHead
    return [*others, (b"content-length", lengths[0])]


def _without_expect(headers: list[tuple[bytes, bytes]], *, is_old: bool) -> list[tuple[bytes, bytes]]:
    """The headers without `Upgrade`, and without an `Expect` that no body follows. Raises BadHead for others."""
    expected = next((value.lower() for name, value in headers if name == b"expect"), b"")
    if expected and b"100-continue" not in map(bytes.strip, expected.split(b",")):
        raise BadHead("417 Expectation Failed", "")
    has_body = any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")) for name, value in headers
    )
    left_out = (b"upgrade",) if has_body and not is_old else (b"upgrade", b"expect")
    kept = [header for header in headers if header[0] not in left_out]
    if any(name == b"connection" and _CLOSE.search(value) for name, value in kept):
        # Go finds the word between blanks, too.
        return [header for header in kept if header[0] != b"connection"] + [(b"connection", b"close")]
    return kept
