"""The server of a simulated world: the fake on an HTTP server, behind a proxy that may answer in its place."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codeq_fake.control.controls import Controls
from codeq_fake.journal import Request
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.serving.server import DEFAULT_LIMITS, served
from codeq_fake.testing import FakeCodeQ

from .hosts import Host, Surroundings
from .light_server import LightConnection
from .log import Entry

ServerKind: TypeAlias = Literal["uvicorn", "light"]

_SECOND = 1_000_000_000
NAME, PORT = "codeq", 8080
URL = f"http://{NAME}:{PORT}"


class SimulatedFake(FakeCodeQ):
    """The fake of a world, and the parts of which the world makes a server."""

    @property
    def runtime(self) -> FakeServer:
        """The running fake."""
        return self._runtime

    @property
    def controls(self) -> Controls:
        """Its control calls."""
        return self._controls

    @property
    def served_app(self) -> ASGIApp:
        """What a server serves."""
        return self._app


class Server:
    """The host on which the fake is served. The fake itself, as its store, outlives the process."""

    def __init__(self, fake: SimulatedFake, around: Surroundings, kind: ServerKind) -> None:
        self._kind = kind
        self._runtime = fake.runtime
        self._proxy = _Proxy(fake, around)
        self._network = around.network
        self.host = Host(NAME, self._serve, around, restarts=True)

    async def start(self) -> None:
        """Start, and return when it listens."""
        self.host.start()
        while not self._network.listens(NAME, PORT):  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.001)

    def answer(
        self, status: int, *, host: str = "", times: int = 1, retry_after: int | None = None, is_late: bool = False
    ) -> None:
        """Let the proxy answer the next requests itself, those of one host or of all.

        The server does not see them. With `is_late` it has carried them out before, and its replies are lost.
        """
        answer = _Answer(status, retry_after, is_late)
        self._proxy.answers.setdefault(host, deque()).extend([answer] * times)

    def as_sent(self, request: Request) -> Request:
        """A request as if it had arrived when it was sent, which is known only of requests with a result."""
        sent = self._proxy.results_sent.get((request.arrived, request.path))
        return request if sent is None else request._replace(arrived=sent)

    def calm(self) -> None:
        """Let the proxy pass everything on."""
        self._proxy.answers.clear()

    def kill(self) -> None:
        """Reset all connections, and refuse new ones. The store stays."""
        self.host.kill()
        self._runtime.release()  # parked claims and callbacks under way end with the process

    def restart(self) -> None:
        """Serve again."""
        self.host.start()

    async def _serve(self, _host: Host) -> None:
        loop = asyncio.get_running_loop()
        if self._kind == "light":
            _ = await loop.create_server(partial(LightConnection, self._proxy), NAME, PORT)
            await loop.create_future()
        async with served(self._proxy, self._runtime, (NAME, PORT), limits=DEFAULT_LIMITS):
            await loop.create_future()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the proxy answers in the server's place, `is_late` if the server has carried out the request before."""

    status: int
    retry_after: int | None
    is_late: bool

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Its headers."""
        headers = [(b"content-type", b"text/html"), (b"content-length", b"%d" % len(_BODY))]
        return headers if self.retry_after is None else [*headers, (b"retry-after", b"%d" % self.retry_after)]


class _Proxy:
    """Passes requests on, or answers them."""

    def __init__(self, fake: SimulatedFake, around: Surroundings) -> None:
        #: Host, or "" for all -> the answers to its next requests.
        self.answers: dict[str, deque[_Answer]] = {}
        #: When a request with a result arrived, and its path -> when it was sent (ns).
        self.results_sent: dict[tuple[int, str], int] = {}
        self._app = fake.served_app
        self._runtime = fake.runtime
        self._around = around

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if "/result" in scope["path"]:
            self._note_sending(scope)
        answer = self._take_answer(scope) if self.answers else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        if answer.is_late:
            await self._app(scope, receive, _lose)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": _BODY})

    def _note_sending(self, scope: Scope) -> None:
        arrived, network = self._runtime.clock.now(), self._around.network
        under_way = self._around.loop.time() - network.sent_at(tuple(scope["client"]))
        self.results_sent[arrived, scope["path"]] = arrived - round(under_way * _SECOND)

    def _take_answer(self, scope: Scope) -> _Answer | None:
        """Take the next answer for requests of this host, or of all. None if the request is to be passed on."""
        host = self._around.network.host_at(scope["client"][0])
        for key in (host, ""):
            if answers := self.answers.get(key):
                answer = answers.popleft()
                late = ", after the server had carried it out" if answer.is_late else ""
                text = f"{scope['method']} {scope['path']}: {answer.status} from a proxy{late}"
                self._around.log.append(Entry(self._around.loop.time(), host, text, "refusal"))
                return answer
        return None


async def _lose(_: Message) -> None:
    """Send nothing."""


_BODY = b"<html><body>The proxy says no.</body></html>"
