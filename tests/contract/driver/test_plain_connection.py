"""A plain connection sends one request after another, and says when a reply was lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from codeq_contract.driver import Reply, Request
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.plain_connection import PlainConnection

pytestmark = pytest.mark.port

REPLY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n["\xff\xc3"]'
CLOSING = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


class Server:
    """A server that answers each request with the next of its `replies`, and hangs up where one is empty."""

    def __init__(self, *replies: bytes) -> None:
        self.replies = [*replies]
        self.connections = 0
        self.requests: list[bytes] = []

    def serve(self, listener: socket.socket) -> None:
        while self.replies:
            connection, _ = listener.accept()
            self.connections += 1
            with connection:
                while self.replies and (request := connection.recv(65_536)):
                    self.requests.append(request)
                    reply = self.replies.pop(0)
                    connection.sendall(reply)
                    if not reply or reply is CLOSING:
                        break

    def replies_to(self, *requests: Request) -> list[Reply]:
        with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
            serving = thread.submit(self.serve, listener)
            replies = asyncio.run(exchanged(listener.getsockname()[1], requests))
            serving.result()
        return replies


async def exchanged(port: int, requests: Iterable[Request]) -> list[Reply]:
    connection = PlainConnection(f"http://127.0.0.1:{port}/base/", RealClock().now)
    try:
        return [await connection.exchange(request) for request in requests]
    finally:
        connection.close()
        await asyncio.sleep(0)  # the event loop closes it


POST = Request("POST", "/v1/x", None, b'{"a":"\xff"}', {"Authorization": "Bearer t"})


def test_requests_share_a_connection() -> None:
    server = Server(REPLY, CHUNKED, REPLY)
    replies = server.replies_to(POST, POST, POST)
    assert [(reply.status, reply.body) for reply in replies] == [
        (200, b'["\xff\xc3"]'),
        (200, b"{}"),
        (200, b'["\xff\xc3"]'),
    ]
    assert server.connections == 1
    assert replies[0].headers == {"content-type": "application/json", "content-length": "6"}
    assert all(first.called <= first.returned <= second.called for first, second in pairwise(replies))


def test_a_request_goes_out_byte_for_byte() -> None:
    server = Server(REPLY)
    server.replies_to(POST)
    [sent] = server.requests
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /base/v1/x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert (b"Authorization: Bearer t" in head, body) == (True, b'{"a":"\xff"}')


def test_a_connection_that_the_server_closes_is_opened_again() -> None:
    server = Server(CLOSING, REPLY)
    assert [reply.status for reply in server.replies_to(POST, POST)] == [204, 200]
    assert server.connections == 2


@pytest.mark.parametrize("broken", [b"", b"not HTTP\r\n\r\n"])
def test_a_lost_reply_has_no_status(broken: bytes) -> None:
    server = Server(broken, REPLY)
    lost, found = server.replies_to(POST, POST)
    assert (lost.status, bool(lost.problem), found.status) == (0, True, 200)
