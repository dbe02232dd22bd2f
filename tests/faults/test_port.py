"""Faults on a port: connections really die, each in its way, and the server logs no error."""

from __future__ import annotations

import json
import re
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from codeq_fake import faults
from codeq_fake.testing import FakeCodeQ
from tests.faults.support import TASKS, claim, create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeq_fake.faults import Rule

pytestmark = pytest.mark.port


@pytest.fixture
def http(codeq_server: FakeCodeQ) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=codeq_server.url, headers={"authorization": "Bearer dev-token"}) as client:
        yield client


@contextmanager
def connected(fake: FakeCodeQ, body: dict[str, Any]) -> Iterator[socket.socket]:
    """A plain connection on which a create has been sent."""
    url = httpx.URL(fake.url)
    content = json.dumps(body).encode()
    headers = f"host: localhost\r\nauthorization: Bearer dev-token\r\ncontent-length: {len(content)}"
    head = f"POST {TASKS} HTTP/1.1\r\n{headers}\r\n\r\n"
    with socket.create_connection((url.host, url.port), timeout=5) as connection:
        connection.sendall(head.encode() + content)
        yield connection


def everything_from(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


CREATE = {"command": "A", "payload": {}}


def test_a_reset_is_a_tcp_reset(codeq_server: FakeCodeQ) -> None:
    with (
        codeq_server.faults(faults.reset()),
        connected(codeq_server, CREATE) as connection,
        pytest.raises(ConnectionResetError),
    ):
        connection.recv(1)
    assert codeq_server.tasks() == []


def test_a_dropped_reply_is_an_orderly_end_without_a_byte(codeq_server: FakeCodeQ) -> None:
    with codeq_server.faults(faults.drop_reply()), connected(codeq_server, CREATE) as connection:
        assert everything_from(connection) == b""
    assert len(codeq_server.tasks()) == 1


def test_a_cut_reply_has_its_head_and_half_of_its_body(codeq_server: FakeCodeQ) -> None:
    with codeq_server.faults(faults.garble("cut")), connected(codeq_server, CREATE) as connection:
        head, _, body = everything_from(connection).partition(b"\r\n\r\n")
    whole = codeq_server.requests[-1]["reply"].encode()
    assert b"content-length: %d" % len(whole) in head
    assert body == whole[: len(whole) // 2]


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (faults.reset(), httpx.ReadError),
        (faults.drop_reply(), httpx.RemoteProtocolError),
        (faults.garble("cut"), httpx.RemoteProtocolError),
    ],
    ids=str,
)
def test_a_client_sees_on_a_port_what_it_sees_in_process(
    codeq_server: FakeCodeQ, http: httpx.Client, rule: Rule, error: type[Exception]
) -> None:
    with codeq_server.client() as inside:
        seen = []
        for client in (http, inside):
            with codeq_server.faults(rule), pytest.raises(error) as raised:
                create(client)
            seen.append(re.sub(r"\d+ bytes, expected \d+", "", str(raised.value)))  # a time has more digits or less
            assert create(client).status_code == 202, "the next connection is a good one"
    assert seen[0] == seen[1]


def test_a_request_whose_client_hangs_up_is_not_carried_out(codeq_server: FakeCodeQ, http: httpx.Client) -> None:
    with codeq_server.faults(faults.hang(on="create")) as fault:
        with pytest.raises(httpx.ReadTimeout):
            http.post(TASKS, json=CREATE, timeout=0.2)
        assert claim(http).status_code == 204
        assert fault.fired == 1
    assert codeq_server.tasks() == []


def test_a_server_that_stops_ends_held_requests() -> None:
    with FakeCodeQ() as fake, fake.faults(faults.hang()) as fault, ExitStack() as open_sockets:
        with fake.serve():
            connection = open_sockets.enter_context(connected(fake, CREATE))
            while not fault.fired:
                fake.advance(seconds=1)
        assert everything_from(connection).startswith(b"HTTP/1.1 202")


def test_a_reset_closes_the_connection_of_a_held_request(
    codeq_server: FakeCodeQ, caplog: pytest.LogCaptureFixture
) -> None:
    with codeq_server.faults(faults.hang()) as fault, connected(codeq_server, CREATE) as connection:
        while not fault.fired:
            codeq_server.advance(seconds=0)
        codeq_server.reset()
        assert everything_from(connection) == b""
    assert (codeq_server.tasks(), codeq_server.requests, caplog.records) == ([], [], [])


def test_nothing_is_logged(codeq_server: FakeCodeQ, http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    for rule in (faults.reset(), faults.drop_reply(), faults.garble("cut")):
        with codeq_server.faults(rule), pytest.raises(httpx.TransportError):
            create(http)
    with codeq_server.faults(faults.garble("malformed")):
        create(http)
    assert caplog.records == []
