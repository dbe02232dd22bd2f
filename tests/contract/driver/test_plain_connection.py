"""A plain connection sends one request after another, and says when a reply was lost."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from codeq_contract.driver import Reply, Request, plain_connection
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.plain_connection import PlainConnection
from codeq_contract.recordings.times import SECOND

pytestmark = pytest.mark.port

REPLY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n["\xff\xc3"]'
CLOSING = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
INFORMATIONAL = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


class Server:
    """A server that answers each request with the next of its `replies`, in parts of so many bytes.

    It hangs up after any reply but the usual ones.
    """

    def __init__(self, *replies: bytes, part: int = 65_536) -> None:
        self.replies = [*replies]
        self.part = part
        self.connections = 0
        self.requests: list[bytes] = []

    def serve(self, listener: socket.socket) -> None:
        while self.replies:
            connection, _ = listener.accept()
            self.connections += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                while self.replies and (request := connection.recv(65_536)):
                    self.requests.append(request)
                    reply = self.replies.pop(0)
                    for start in range(0, len(reply), self.part):
                        connection.sendall(reply[start : start + self.part])
                    if not reply.endswith((REPLY, CHUNKED, INFORMATIONAL)):
                        break

    def replies_to(self, *requests: Request) -> list[Reply]:
        with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
            listener.settimeout(20)  # a request too few fails the test
            serving = thread.submit(self.serve, listener)
            replies = asyncio.run(exchanged(listener.getsockname()[1], requests))
            serving.result()
        return replies


async def reply_to(connection: PlainConnection, request: Request) -> Reply:
    answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    connection.send(request, answered.set_result)
    return await answered


async def exchanged(port: int, requests: Iterable[Request]) -> list[Reply]:
    connection = PlainConnection(f"http://127.0.0.1:{port}/base/", RealClock().now)
    try:
        return [await reply_to(connection, request) for request in requests]
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


@pytest.mark.parametrize("part", [1, 7])
@pytest.mark.parametrize("reply", [REPLY, CHUNKED, INFORMATIONAL + REPLY], ids=["length", "chunks", "informational"])
def test_a_reply_may_come_in_any_parts(reply: bytes, part: int) -> None:
    split, whole = (Server(reply, CHUNKED, part=size).replies_to(POST, POST) for size in (part, len(reply)))
    assert [(each.status, each.headers, each.body) for each in split] == [
        (each.status, each.headers, each.body) for each in whole
    ]
    assert [each.status for each in split] == [200, 200]


def test_informational_replies_come_before_the_answer() -> None:
    [reply] = Server(INFORMATIONAL + REPLY).replies_to(POST)
    assert (reply.status, reply.body) == (200, b'["\xff\xc3"]')
    assert reply.headers == {"content-type": "application/json", "content-length": "6"}


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"not HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n[1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
        b"HTTP/1.1 100 Continue\r\n\r\n ",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n ",
    ],
)
def test_a_lost_reply_has_no_status(broken: bytes) -> None:
    server = Server(broken, REPLY)
    lost, found = server.replies_to(POST, POST)
    assert (lost.status, bool(lost.problem), found.status) == (0, True, 200)


@pytest.mark.parametrize("more", [CHUNKED, b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"])
def test_a_reply_that_answers_nothing_is_not_taken_for_that_of_the_next_request(more: bytes) -> None:
    server = Server(REPLY + more, REPLY)
    first, second = server.replies_to(POST, POST)
    assert [(each.status, each.body) for each in (first, second)] == [(200, b'["\xff\xc3"]')] * 2
    assert server.connections == 2


def test_a_connection_that_was_closed_while_it_was_idle_is_opened_again() -> None:
    is_closed = threading.Event()

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            with listener.accept()[0] as connection:
                connection.recv(65_536)
                connection.sendall(REPLY)
            is_closed.set()

    async def calls(port: int) -> list[int]:
        connection = PlainConnection(f"http://127.0.0.1:{port}", RealClock().now)
        first = await reply_to(connection, POST)
        await asyncio.to_thread(is_closed.wait, 20)
        for _ in range(3):
            await asyncio.sleep(0)  # the event loop notices it
        second = await reply_to(connection, POST)
        connection.close()
        return [first.status, second.status]

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        serving = thread.submit(serve, listener)
        assert asyncio.run(calls(listener.getsockname()[1])) == [200, 200]
        serving.result()


def test_each_request_has_its_time_after_which_its_reply_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_connection, "TIMEOUT", 0.5)
    first, lost, next_one = Server(REPLY, INFORMATIONAL, REPLY).replies_to(POST, POST, POST)
    assert (first.status, lost.status, next_one.status) == (200, 0, 200)
    assert lost.problem == "TimeoutError: no reply within 0.5 s"
    assert lost.returned - lost.called >= 0.5 * SECOND
