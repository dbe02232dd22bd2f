"""Where a recording is replayed: the seam, and a fake at a URL. Either way a fake is driven by HTTP alone."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import uvicorn

from codeq_contract.driver.hooks import ORIGIN, Hooks
from codeq_contract.replay.control import Configuration, Control

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from codeq_contract.recordings.format import Recording

REQUEST_SENT = "http11.send_request_body.complete"


@dataclass(frozen=True, slots=True)
class Session:
    """A fake set up for one recording, and the webhook to which its callbacks go.

    `hooks_origin` is where the fake reaches the webhook. `start` sends a request that may be parked, and returns
    once the fake has it.
    """

    http: httpx.AsyncClient
    control: Control
    hooks: Hooks
    hooks_origin: str
    start: Callable[[httpx.Request], Awaitable[asyncio.Task[httpx.Response]]]


class Target(Protocol):
    """A place where recordings can be replayed."""

    def open(self, configuration: Configuration, recording: Recording) -> AbstractAsyncContextManager[Session]:
        """Set up a fake by `configuration`, with a webhook that answers as it did in `recording`.

        Raises ControlError and httpx.HTTPError.
        """


@dataclass(frozen=True, slots=True)
class UrlTarget:
    """A running fake; it must be able to reach this machine's loopback address."""

    url: str
    control_token: str | None = None

    @asynccontextmanager
    async def open(self, configuration: Configuration, recording: Recording) -> AsyncIterator[Session]:
        """Reset the fake to `configuration` and, if the recording has webhooks, listen on a free port."""
        # Certificates take longer to load than most recordings to replay; a fake rarely needs them.
        async with httpx.AsyncClient(base_url=self.url, verify=self.url.startswith("https:")) as http:
            control = Control(http, self.control_token)
            hooks = Hooks(recording.callbacks, control.now)
            await control.reset(configuration)
            has_webhooks = any(ORIGIN in (call.body or "") for call in recording.calls)
            async with _served(hooks) if has_webhooks else nullcontext(ORIGIN) as origin:
                yield Session(http, control, hooks, origin, _Sender(http).start)


@dataclass(frozen=True, slots=True)
class _Sender:
    http: httpx.AsyncClient

    async def start(self, request: httpx.Request) -> asyncio.Task[httpx.Response]:
        """Send `request`. A second request's round trip, begun when the first is sent, says that the fake has both."""
        sent = asyncio.Event()

        async def trace(event: str, _info: dict[str, Any]) -> None:
            if event == REQUEST_SENT:
                sent.set()

        request.extensions = {**request.extensions, "trace": trace}
        answer = asyncio.create_task(self.http.send(request))
        waiting = asyncio.create_task(sent.wait())
        await asyncio.wait({answer, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await self.http.get("/_fake/health")
        return answer


@asynccontextmanager
async def _served(hooks: Hooks) -> AsyncIterator[str]:
    """Serve `hooks` on a free loopback port; yields its origin."""
    # With its protocol named, the socket gets TCP_NODELAY from asyncio; listening, it takes connections from now on.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(hooks, log_level="critical", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
