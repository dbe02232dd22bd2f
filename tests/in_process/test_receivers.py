"""Applications that receive callbacks in process: WSGI, and ASGI with a lifespan."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Route

from codeq_fake.testing import FakeCodeQ, run
from tests.in_process.support import CLAIM, NOW, TASKS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from starlette.requests import Request

ORIGIN = "http://app.test:8000"
RESULT = {"status": "COMPLETED", "result": {"ok": True}}


def receiving(app: Any) -> FakeCodeQ:
    return FakeCodeQ(now=NOW, webhooks={ORIGIN: app})


def complete(fake: FakeCodeQ, path: str = "/done?a=1") -> None:
    with fake.client() as http:
        task = fake.enqueue("A", {"n": 1}, webhook=f"{ORIGIN}{path}")
        http.post(CLAIM, json={"commands": ["A"]})
        http.post(f"{TASKS}/{task.id}/result", json=RESULT)
    fake.advance(0)


class WsgiReceiver:
    """A WSGI application as Flask and Django have them: an object that is called with two arguments."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str, Any]] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = json.loads(environ["wsgi.input"].read())
        self.heard.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"], body["status"]))
        start_response("204 No Content", [])
        return []


def test_a_wsgi_application_receives_callbacks() -> None:
    app = WsgiReceiver()
    with receiving(app) as fake:
        complete(fake)
        fake.assert_callback(f"{ORIGIN}/done?a=1", status=204, times=1)
    assert app.heard == [("POST", "/done", "a=1", "COMPLETED")]


def test_a_wsgi_application_may_call_the_fake() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with fake.client() as http:
            http.post(TASKS, json={"command": "B", "payload": environ["wsgi.input"].read().decode()})
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    with receiving(app) as fake:
        complete(fake)
        assert [task.command for task in fake.tasks()] == ["A", "B"]


def test_what_a_wsgi_application_raises_is_raised_again() -> None:
    def app(_environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
        raise ValueError("no disk")

    fake = receiving(app)
    complete(fake)
    fake.assert_callback(f"{ORIGIN}/done?a=1", status=500)
    with pytest.raises(ValueError, match="no disk"):
        fake.close()
    fake.close()


class Lived:
    """A Starlette application that notes how it lives."""

    def __init__(self, failure: str = "") -> None:
        self.events: list[str] = []
        self._failure = failure
        self.app = Starlette(routes=[Route("/done", self._done, methods=["POST"])], lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[dict[str, str]]:
        if self._failure:
            raise OSError(self._failure)
        self.events.append("up")
        yield {"database": "open"}
        self.events.append("down")

    async def _done(self, request: Request) -> Response:
        self.events.append(request.state.database)
        return Response(status_code=204)


@pytest.mark.parametrize("wrapped", [lambda app: app, GZipMiddleware], ids=["plain", "in middleware"])
def test_the_lifespan_of_an_application_runs(wrapped: Callable[[Any], Any]) -> None:
    lived = Lived()
    with receiving(wrapped(lived.app)) as fake:
        complete(fake)
        complete(fake)
        assert lived.events == ["up", "open", "open"]
        fake.reset()
        complete(fake)
        assert lived.events == ["up", "open", "open", "open"]
    assert lived.events[-1] == "down"


def test_a_lifespan_ends_with_its_event_loop() -> None:
    lived = Lived()

    async def story() -> None:
        fake = FakeCodeQ(clock="auto", now=NOW, webhooks={ORIGIN: lived.app})
        async with fake.async_client() as http:
            task = fake.enqueue("A", 1, webhook=f"{ORIGIN}/done")
            await http.post(CLAIM, json={"commands": ["A"]})
            await http.post(f"{TASKS}/{task.id}/result", json=RESULT)
        await fake.await_until(lambda: fake.callbacks[0]["state"] == "delivered")

    run(story())
    assert lived.events == ["up", "open", "down"]


def test_a_start_up_that_fails_is_an_error_of_the_receiver() -> None:
    with receiving(Lived("no database").app) as fake, fake.expect_receiver_error(RuntimeError, match="no database"):
        complete(fake)
