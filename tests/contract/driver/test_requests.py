"""A request reaches a server in this process as it reaches one on a port, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from codeq_contract.driver import ADMIN, TASKS, Reply, Request, Setup
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.http_transport import HttpTransport
from codeq_contract.driver.in_process import InProcess
from codeq_contract.driver.interface import Transport
from codeq_contract.driver.requests import signed
from codeq_fake.testing import FakeCodeQ

TOKENS = {"admin": "dev-token", "worker": "dev-token"}
#: Requests whose answers show what the server has read: the path, the query, headers, the body.
REQUESTS = {
    "an escaped command": Request("GET", f"{ADMIN}/queues/a%3Cb%20%C3%A9%25", "admin"),
    "a command beyond ASCII": Request("GET", f"{ADMIN}/queues/é", "admin"),
    "a byte that is no UTF-8": Request("GET", f"{ADMIN}/queues/%E9", "admin"),
    "an escaped slash": Request("GET", f"{ADMIN}/queues/a%2Fb", "admin"),
    "an escaped question mark": Request("GET", f"{ADMIN}/queues/a%3Fb?c=d", "admin"),
    "a plus": Request("GET", f"{ADMIN}/queues/a+b", "admin"),
    "an escaped known path": Request("GET", "/v1/code%71/tasks/none", "worker"),
    "a bad escape": Request("GET", f"{TASKS}/%zz", "worker"),
    "dots": Request("GET", f"{TASKS}/../none", "worker"),
    "bytes beyond ASCII": Request("GET", f"{TASKS}/x\xe9/?\xff", "worker", is_raw=True),
    "a fragment": Request("GET", f"{TASKS}/none/?a#b", "worker"),
    "a bad query": Request("GET", f"{TASKS}/x%E9y/?%zz&a=b?c", "worker"),
    "a question mark alone": Request("GET", f"{TASKS}/none/?", "worker"),
    "an absolute target": Request("GET", f"http://codeq.test:81{TASKS}/none/?a", "worker"),
    "HEAD": Request("HEAD", f"{TASKS}/none", "worker"),
    "OPTIONS": Request("OPTIONS", f"{TASKS}/none", "worker"),
    "an unknown method": Request("BREW", f"{TASKS}/none", "worker"),
    "a header": Request("GET", f"{TASKS}/none", "worker", headers={"X-Request-Id": "my id: é"}),
    "no body": Request("POST", f"{TASKS}/claim", "worker"),
    "an empty body": Request("POST", f"{TASKS}/claim", "worker", b""),
    "bytes in a body": Request("POST", f"{TASKS}/claim", "worker", b'{"commands":["\xff"]}'),
    "no content type": Request("POST", f"{TASKS}/claim", "worker", b"{}", {"Content-Type": ""}),
}


def answers(transport: Transport) -> dict[str, Reply]:
    """What the server answers to each request."""
    return {name: transport.exchange([signed(request, TOKENS)], 0)[0] for name, request in REQUESTS.items()}


def shown(replies: Mapping[str, Reply]) -> dict[str, tuple[object, ...]]:
    """What replies have in common wherever the server runs."""
    return {
        name: (
            reply.status,
            reply.body,
            reply.headers.get("content-type"),
            reply.headers.get("location"),
            len(reply.headers.get("x-request-id", "")),
        )
        for name, reply in replies.items()
    }


@pytest.mark.port
def test_a_server_in_this_process_sees_the_requests_of_one_on_a_port(codeq_server: FakeCodeQ) -> None:
    with InProcess(Setup({}), "redis") as fake, HttpTransport(codeq_server.url, RealClock()) as transport:
        here, there = answers(fake), answers(transport)
    assert shown(here) == shown(there)
    assert here["a header"].headers["x-request-id"] == there["a header"].headers["x-request-id"] == "my id: é"


def test_a_server_in_this_process_gets_decoded_paths() -> None:
    with InProcess(Setup({}), "redis") as fake:
        found = answers(fake)
    assert b'"command":"a\\u003cb \xc3\xa9%"' in found["an escaped command"].body
    assert (found["an escaped slash"].status, found["an escaped question mark"].status) == (404, 200)
    assert found["an absolute target"].headers["location"] == f"http://codeq.test:81{TASKS}/none?a"
