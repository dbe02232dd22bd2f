"""The shorter way for replies sends, byte for byte, what uvicorn sends."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from codeq_fake.compat.uvicorn_replies import Cycle

DATE = (b"date", b"Mon, 02 Jan 2006 15:04:05 GMT")
JSON = (b"content-type", b"application/json; charset=utf-8")
TWO = (b"content-length", b"2")

REPLIES = {
    "ordinary": (200, [JSON, (b"x-request-id", b"abc"), TWO], [b"{}"]),
    "without a body": (204, [(b"x-request-id", b"abc")], [b""]),
    "without a body, but with its length": (204, [(b"content-length", b"0")], [b""]),
    "an empty body": (200, [(b"content-length", b"0")], [b""]),
    "another header": (429, [JSON, (b"retry-after", b"3"), TWO], [b"{}"]),
    "a name in capitals": (200, [(b"Content-Length", b"2")], [b"{}"]),
    "its length twice": (200, [TWO, TWO], [b"{}"]),
    "the last one": (200, [TWO, (b"connection", b"close")], [b"{}"]),
    "no length": (200, [JSON], [b"{", b"}"]),
    "chunks": (200, [(b"transfer-encoding", b"chunked")], [b"{", b"}"]),
    "a body in parts": (200, [TWO], [b"{", b"}"]),
    "a body that is too long": (200, [TWO], [b"{ }"]),
    "a body that is too short": (200, [TWO], [b"{"]),
    "a line break in a value": (200, [(b"x-request-id", b"a\r\nset-cookie: b"), TWO], [b"{}"]),
    "a line break in a name": (200, [(b"x-\r\n", b"a"), TWO], [b"{}"]),
    "one message too many": (200, [TWO], [b"{}", b""]),
}


class Written(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.data += data

    def write_reply(self, head: bytes, body: bytes) -> None:
        self.data += head + body

    def close(self) -> None:
        self.is_closed = True


async def _send(kind: type[RequestResponseCycle], reply: str, method: str, *, keep_alive: bool) -> object:
    """What the client gets, whether the connection ends, whether the next request may come, and the error."""
    status, headers, parts = REPLIES[reply]
    transport = Written()
    answered: list[bool] = []
    log = logging.getLogger("test")
    scope: Any = {"type": "http", "method": method, "http_version": "1.1", "path": "/", "query_string": b""}
    cycle = kind(
        scope=scope,
        transport=transport,
        flow=FlowControl(transport),
        logger=log,
        access_logger=log,
        access_log=False,
        default_headers=[DATE],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: answered.append(True),
    )
    error = ""
    left = len(parts)
    try:
        await cycle.send({"type": "http.response.start", "status": status, "headers": headers})
        for part in parts:
            left -= 1
            more = left > 0 and reply != "one message too many"
            await cycle.send({"type": "http.response.body", "body": part, "more_body": more})
    except RuntimeError as raised:
        error = str(raised)
    return transport.data, transport.is_closed, answered, cycle.response_complete, error


@pytest.mark.asyncio
@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize(("method", "keep_alive"), [("POST", True), ("POST", False), ("HEAD", True)])
async def test_a_reply_is_what_uvicorn_would_send(reply: str, method: str, *, keep_alive: bool) -> None:
    ours = await _send(Cycle, reply, method, keep_alive=keep_alive)
    assert ours == await _send(RequestResponseCycle, reply, method, keep_alive=keep_alive)
