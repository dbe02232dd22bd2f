"""Requests that HTTP parsers read in different ways, answered as by Go's server: each expectation is its answer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.port, pytest.mark.timeout(30)]

TASK = "/v1/codeq/tasks/abc"
HOST, TOKEN, CLOSE = b"Host: x\r\n", b"Authorization: Bearer dev-token\r\n", b"Connection: close\r\n"
USUAL = HOST + TOKEN + CLOSE
BODY = b'{"commands":["A"]}'
LENGTH = b"Content-Length: 18\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNK = b"12\r\n" + BODY + b"\r\n"

BAD = "400 Bad Request"
UNKNOWN_PATH = ("404 Not Found", "404 page not found")
UNKNOWN_TASK = ("404 Not Found", '{"error":"not found"}')
NO_TASK = ("204 No Content", "")
BAD_BODY = (BAD, '{"error":"invalid body"}')


def get(target: str = TASK, headers: bytes = USUAL, *, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    return f"{method} {target} {version}\r\n".encode("latin-1") + headers + b"\r\n"


def claim(headers: bytes, body: bytes = BODY, *, version: str = "HTTP/1.1") -> bytes:
    return f"POST /v1/codeq/tasks/claim {version}\r\n".encode() + USUAL + headers + b"\r\n" + body


@pytest.fixture(scope="module")
def where() -> Iterator[tuple[str, int]]:
    with FakeCodeQ(any_host=True).serve() as fake:
        yield "127.0.0.1", urlsplit(fake.url).port or 0


def answer(where: tuple[str, int], request: bytes, *, pieces: int = 1) -> bytes:
    """Everything that the server sends, until it closes the connection. It reads each piece before the next is sent."""
    size = -(-len(request) // pieces)
    with socket.create_connection(where, timeout=5) as client, socket.create_connection(where, timeout=5) as other:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), size):
            if start:
                other.sendall(get("/", HOST))
                other.recv(65_536)
            client.sendall(request[start : start + size])
        return b"".join(iter(lambda: client.recv(65_536), b""))


def summary(received: bytes) -> tuple[str, str]:
    head, _, body = received.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0].decode().partition(" ")[2], body.decode("latin-1")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        # Targets.
        (get("/v1/codeq/tasks/%zz"), (BAD, BAD)),
        (get("/v1/codeq/tasks/%"), (BAD, BAD)),
        (get(TASK + "#%zz"), (BAD, BAD)),
        (get(TASK + "?%zz"), UNKNOWN_TASK),
        (get("/v1/codeq/tasks/\xc3\xa9"), UNKNOWN_TASK),
        (get("/v1/codeq/tasks/\xff?\xff"), UNKNOWN_TASK),
        (get("/\xe9"), UNKNOWN_PATH),
        (get("/v1/codeq/tasks/a\x01"), (BAD, BAD)),
        (get("/v1/codeq/tasks/a b"), (BAD, BAD)),
        (get("v1/codeq/tasks/abc"), (BAD, BAD)),
        (get("http://x" + TASK), UNKNOWN_TASK),
        (get("x:" + TASK), UNKNOWN_TASK),
        (get("http://"), UNKNOWN_PATH),
        (get("http://a:b" + TASK), (BAD, BAD)),
        (get("http://x%41" + TASK), (BAD, BAD)),
        (get("x:80"), UNKNOWN_PATH),
        (get("x:80", method="CONNECT"), UNKNOWN_PATH),
        (get("*", method="OPTIONS"), ("200 OK", "")),
        # Methods.
        *((get(method=method), UNKNOWN_PATH) for method in ("FOO", "get", "PRI", "X" * 100, "M!#$%&'*+-.^_`|~")),
        *((get(method=method), (BAD, BAD)) for method in ("", "G(T", "G\xc3T")),
        # Versions.
        (get(version="HTTP/1.2"), UNKNOWN_TASK),
        *((get(version=v), (BAD, BAD)) for v in ("http/1.1", "HTTP/1", "HTTP/1.10", "RTSP/1.0", "HTTP/1.1 ")),
        *(
            (get(version=version), (text := "505 HTTP Version Not Supported: unsupported protocol version", text))
            for version in ("HTTP/0.9", "HTTP/2.0", "HTTP/3.0")
        ),
        (b"GET " + TASK.encode() + b"\r\n\r\n", (BAD, BAD)),
        (b"GET /\r\n", (BAD, BAD)),
        (b"\r\n" + get(), (BAD, BAD)),
        # Hosts.
        *((get(headers=TOKEN + CLOSE + h), UNKNOWN_TASK) for h in (b"Host:\r\n", b"Host: \t[::1]:80\r\n")),
        (get(headers=TOKEN + CLOSE + b"Host: %zz\r\n"), UNKNOWN_TASK),
        *(
            (get(headers=h + TOKEN + CLOSE), (f"{BAD}: {why}", f"{BAD}: {why}"))
            for h, why in [
                (b"", "missing required Host header"),
                (b"Host: a b\r\n", "malformed Host header"),
                (b"Host: x/y\r\n", "malformed Host header"),
                (b"Host: u@h\r\n", "malformed Host header"),
                (b"Host: \xe9\r\n", "malformed Host header"),
            ]
        ),
        (get(headers=HOST + USUAL), (BAD, BAD)),
        # Headers.
        (get(headers=USUAL + b"A b: c\r\n"), (f"{BAD}: invalid header name", f"{BAD}: invalid header name")),
        (get(headers=USUAL + b"Ab : c\r\n"), (f"{BAD}: invalid header name", f"{BAD}: invalid header name")),
        (get(headers=USUAL + b"X(: a\r\n"), (BAD, BAD)),
        (get(headers=USUAL + b"X: a\x00b\r\n"), (BAD, BAD)),
        (get(headers=USUAL + b"X: \xe9\r\n"), UNKNOWN_TASK),
        (get(headers=HOST + b"Authorization: Bearer\r\n \t dev-token\r\n" + CLOSE), UNKNOWN_TASK),
        (get().replace(b"\r\n", b"\n"), UNKNOWN_TASK),
        (get(headers=HOST + TOKEN + b"Connection: Upgrade,0 close\r\nUpgrade: x\r\n"), UNKNOWN_TASK),
        (b"GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\nA: b\r\n", (BAD, BAD)),
        (b"FOO / HTTP/1.1\r\nHost: x\r\nnonsense\r\nA: b\r\n", (BAD, BAD)),
        (b"FOO / HTTP/1.1\r\nHost: x\r\nnonsense\r\nA", (BAD, BAD)),
        # Bodies.
        (claim(LENGTH * 2), NO_TASK),
        (claim(LENGTH + b"Content-Length: 3\r\n"), (BAD, BAD)),
        (claim(b"Content-Length: 18, 18\r\n"), (BAD, BAD)),
        (claim(b"Content-Length: -1\r\n"), (BAD, BAD)),
        (claim(CHUNKED, CHUNK + b"0\r\n\r\n"), NO_TASK),
        (claim(CHUNKED + LENGTH, CHUNK + b"0\r\n\r\n"), NO_TASK),
        (claim(CHUNKED, CHUNK[:-2] + b"x\r\n0\r\n\r\n"), NO_TASK),
        (claim(CHUNKED, b"zz\r\n" + CHUNK), BAD_BODY),
        *(
            (claim(kind, CHUNK + b"0\r\n\r\n"), ("501 Not Implemented", "Unsupported transfer encoding"))
            for kind in (CHUNKED * 2, b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding:\r\n")
        ),
        (claim(LENGTH + b"Expect: nothing\r\n"), ("417 Expectation Failed", "")),
        (claim(b"Content-Length: 0\r\nExpect: 100-continue\r\n", b""), BAD_BODY),
    ],
)  # fmt: skip
def test_an_odd_request_is_answered_as_by_go(
    request_: bytes, expected: tuple[str, str], where: tuple[str, int]
) -> None:
    received = answer(where, request_)
    assert received.startswith(b"HTTP/1.1 ")
    assert summary(received) == expected


def test_a_refusal_is_what_go_writes(where: tuple[str, int]) -> None:
    kind = b"Content-Type: text/plain; charset=utf-8\r\n"
    assert answer(where, get("/%zz")) == b"HTTP/1.1 400 Bad Request\r\n" + kind + CLOSE + b"\r\n400 Bad Request"


@pytest.mark.parametrize("request_", [get(), get("/v1/codeq/tasks/%61\xe9"), get(method="FOO"), get("/%zz")])
def test_a_head_may_come_in_pieces(request_: bytes, where: tuple[str, int]) -> None:
    at_once = summary(answer(where, request_))
    assert {summary(answer(where, request_, pieces=number)) for number in (2, 3, 7, len(request_))} == {at_once}


@pytest.mark.parametrize("first", [get(method="FOO", headers=HOST), get(headers=HOST + TOKEN), get("/%41", HOST)])
def test_the_next_request_of_the_connection_is_answered_too(first: bytes, where: tuple[str, int]) -> None:
    received = answer(where, first + get())
    assert received.count(b"HTTP/1.1 404 Not Found") == 2
    assert received.endswith(b'{"error":"not found"}')


def test_a_client_may_wait_for_100_continue(where: tuple[str, int]) -> None:
    received = answer(where, claim(LENGTH + b"Expect: 100-continue\r\n"))
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n")


@pytest.mark.parametrize(
    ("request_", "status", "length"),
    [
        (get(version="HTTP/1.0", headers=TOKEN), b"404 Not Found", b"21"),
        (claim(LENGTH, version="HTTP/1.0"), b"204 No Content", b""),
        # Chunks are not part of HTTP/1.0, so there is no body.
        (claim(CHUNKED, CHUNK, version="HTTP/1.0"), b"400 Bad Request", b"24"),
        (claim(LENGTH + b"Expect: 100-continue\r\n", version="HTTP/1.0"), b"204 No Content", b""),
    ],
)
def test_an_http_1_0_request_is_answered_as_such(
    request_: bytes, status: bytes, length: bytes, where: tuple[str, int]
) -> None:
    head, _, _ = (answer(where, request_)).partition(b"\r\n\r\n")
    first, *lines = head.lower().split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    assert first == b"http/1.0 " + status.lower()
    assert (headers.get(b"content-length", b""), b"connection" in headers) == (length, False)


def test_an_http_1_0_client_may_keep_its_connection(where: tuple[str, int]) -> None:
    request = get(version="HTTP/1.0", headers=TOKEN + b"Connection: Keep-Alive\r\n")
    with socket.create_connection(where, timeout=5) as client, client.makefile("rb") as replies:
        for _ in range(2):
            client.sendall(request)
            head = b"".join(iter(replies.readline, b"\r\n"))
            assert head.startswith(b"HTTP/1.0 404 Not Found\r\n")
            assert b"connection: keep-alive\r\n" in head
            assert replies.read(21) == b'{"error":"not found"}'


def test_a_reply_without_length_has_no_chunks_in_http_1_0(where: tuple[str, int]) -> None:
    with socket.create_connection(where, timeout=5) as client, client.makefile("rb") as replies:
        client.sendall(get("/_fake/page/events", b"Host: 127.0.0.1\r\n", version="HTTP/1.0"))
        head = b"".join(iter(replies.readline, b"\r\n"))
        assert head.startswith(b"HTTP/1.0 200 OK\r\n")
        assert b"transfer-encoding" not in head
        assert replies.readline().startswith((b"event", b"data", b":", b"id", b"retry"))


@pytest.mark.parametrize(
    ("target", "location"),
    [
        (TASK + "/?", TASK + "?"),
        (TASK + "/?a#b", TASK + "?a#b"),
        (TASK + "/?\xe9", TASK + "?%e9"),
        ("http://other:80" + TASK + "/?q", "http://other:80" + TASK + "?q"),
        ("HTTPS://u:p@other" + TASK + "/", "https://u:p@other" + TASK),
        ("http://x\xe9" + TASK + "/", "http://x%E9" + TASK),
        ("http:" + TASK + "/", "http:" + TASK),
        ("/v1/codeq/tasks/\xe9/", "/v1/codeq/tasks/%E9"),
    ],
)
def test_r19_a_redirect_keeps_what_the_target_said(target: str, location: str, where: tuple[str, int]) -> None:
    assert f"location: {location}\r\n".encode() in answer(where, get(target))


def test_r20_blanks_around_a_request_id_are_not_part_of_it(where: tuple[str, int]) -> None:
    assert b"x-request-id: a\r\n" in answer(where, get(headers=USUAL + b"X-Request-Id:   a \t\r\n"))
