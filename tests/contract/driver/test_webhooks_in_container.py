"""The webhook in a container answers and remembers as the one in this process does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import httpx
import pytest

from codeq_contract.driver import Answer
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.containers import RemoteReceiver
from codeq_contract.driver.webhook_program import Handler
from codeq_contract.recordings.times import SECOND

pytestmark = pytest.mark.port

AHEAD = 3600 * SECOND


@pytest.fixture
def program() -> Iterator[httpx.Client]:
    """A client of the program that runs in the container."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as http:
        yield http
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.process
def test_each_path_has_its_answers_and_keeps_its_requests(program: httpx.Client) -> None:
    clock = RealClock()

    def now() -> int:
        return clock.now() + AHEAD

    hooks = RemoteReceiver(now, program)
    hooks.answer("/a", Answer(500), Answer(302, "/b"), Answer(body="{}"))
    headers = {"X-Codeq-Timestamp": "7"}
    answers = [program.post("/a", content=b"\xff<&>", headers=headers) for _ in range(3)]
    assert [(answer.status_code, answer.text) for answer in answers] == [(500, ""), (302, ""), (200, "{}")]
    assert program.get("/b").status_code == 200
    first, *_ = hooks.received("/a")
    assert len(hooks.received("/a")) == 3
    assert (first.method, first.path, first.body) == ("POST", "/a", b"\xff<&>")
    assert first.headers["x-codeq-timestamp"] == "7"
    assert abs(first.at - now()) < 60 * SECOND, "the times are those of our clock"
    assert hooks.received("/nothing") == []


@pytest.mark.process
def test_servers_find_the_keys(program: httpx.Client) -> None:
    program.post("/_keys", json={"keys": [1]})
    assert program.get("/jwks.json").json() == {"keys": [1]}
    [request] = RemoteReceiver(RealClock().now, program).received("/jwks.json")
    assert request.method == "GET", "a fetch of the keys is kept: it shows that a server reaches them"
