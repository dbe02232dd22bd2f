"""The webhook that runs in a container: the same answers and the same memory as the one in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

import httpx

from codeq_contract.driver import Answer
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.webhook_program import Handler
from codeq_contract.driver.webhooks_in_container import RemoteReceiver
from codeq_contract.recordings.times import SECOND

AHEAD = 3600 * SECOND


@contextmanager
def program() -> Iterator[httpx.Client]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as http:
        yield http
    server.shutdown()
    server.server_close()
    thread.join()


def test_it_answers_each_path_as_told_and_keeps_what_came() -> None:
    clock = RealClock()

    def now() -> int:
        return clock.now() + AHEAD

    with program() as http:
        hooks = RemoteReceiver(now, http)
        hooks.answer("/a", Answer(500), Answer(302, "/b"))
        statuses = [http.post("/a", content=b"\xff<&>", headers={"X-Codeq-Timestamp": "7"}).status_code for _ in "123"]
        assert statuses == [500, 302, 200]
        assert http.get("/b").status_code == 200
        first, *_ = hooks.received("/a")
        assert len(hooks.received("/a")) == 3
        assert (first.method, first.path, first.body) == ("POST", "/a", b"\xff<&>")
        assert first.headers["x-codeq-timestamp"] == "7"
        assert abs(first.at - now()) < 60 * SECOND, "told by our clock"
        assert hooks.received("/nothing") == []


def test_it_has_the_keys_that_servers_look_for() -> None:
    with program() as http:
        http.post("/_keys", json={"keys": [1]})
        assert http.get("/jwks.json").json() == {"keys": [1]}
