"""The server of a simulated world: the fake on uvicorn, behind a proxy that may answer in its place."""

from __future__ import annotations

import asyncio
from collections import deque

from starlette.types import ASGIApp, Receive, Scope, Send

from codeq_fake.control import Controls
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.serving.server import DEFAULT_LIMITS, served
from codeq_fake.testing import FakeCodeQ

from .hosts import Host, Surroundings
from .network import Network

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

    def __init__(self, fake: SimulatedFake, around: Surroundings) -> None:
        self._runtime = fake.runtime
        self._proxy = _Proxy(fake.served_app, around.network)
        self._network = around.network
        self.host = Host(NAME, self._serve, around, restarts=True)

    async def start(self) -> None:
        """Start, and return when it listens."""
        self.host.start()
        while not self._network.listens(NAME, PORT):  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.001)

    def answer(self, status: int, *, host: str = "", times: int = 1) -> None:
        """Let the proxy answer the next requests itself, those of one host or of all, and the server not see them."""
        self._proxy.answers.setdefault(host, deque()).extend([status] * times)

    def calm(self) -> None:
        """Let the proxy pass everything on."""
        self._proxy.answers.clear()

    def kill(self) -> None:
        """Reset all connections, and refuse new ones. The store stays."""
        self.host.kill()
        self._runtime.release()

    def restart(self) -> None:
        """Serve again."""
        self.host.start()

    async def _serve(self, _: Host) -> None:
        async with served(self._proxy, self._runtime, (NAME, PORT), limits=DEFAULT_LIMITS):
            await asyncio.get_running_loop().create_future()


class _Proxy:
    """Passes requests on, or answers them."""

    def __init__(self, app: ASGIApp, network: Network) -> None:
        #: Host, or "" for all -> the statuses of its next answers.
        self.answers: dict[str, deque[int]] = {}
        self._app = app
        self._network = network

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        status = self._next_answer(scope) if self.answers else None
        if status is None:
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/html"), (b"content-length", b"%d" % len(_BODY))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": _BODY})

    def _next_answer(self, scope: Scope) -> int | None:
        host = self._network.host_at(scope["client"][0])
        for key in (host, ""):
            if statuses := self.answers.get(key):
                return statuses.popleft()
        return None


_BODY = b"<html><body>The proxy says no.</body></html>"
