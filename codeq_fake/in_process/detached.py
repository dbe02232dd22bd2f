"""Runs a request to its end even if its client is cancelled: the application sees a disconnect, as on a port."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

from starlette.types import ASGIApp, Message, Scope

from codeq_fake.compat import late_tasks

#: When a client is cancelled, its request gets this many turns of the event loop to end before the client continues.
_TURNS = 20


class Exchange:
    """A request with this body, and the reply to it, as an application receives and sends them."""

    def __init__(self, body: bytes) -> None:
        #: As a server replies for an application that sends nothing.
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.parts: list[bytes] = []
        #: The rest of the request, if it had to wait. None: the reply is complete.
        self.rest: asyncio.Task[None] | None = None
        self._body: bytes | None = body
        #: Set when the reply is complete, or the client has gone.
        self._is_over = asyncio.Event()

    def hang_up(self) -> None:
        """Let the application receive a disconnect from now on."""
        self._body = None
        self._is_over.set()

    async def receive(self) -> Message:
        """The whole body, then a disconnect."""
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._is_over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take the next message of the reply."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message.get("headers", [])
            return
        self.parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            self._is_over.set()


class Detached:
    """Calls an application in separate contexts and, where it waits, in separate tasks.

    If the application waited in the client's task, a timeout of the client would also cancel what the application does
    for others, such as the notices of the tasks that a batch has created.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._context = copy_context()
        #: The calls whose client has gone. An event loop does not keep its tasks alive, so this does.
        self._abandoned: dict[asyncio.Task[None], None] = {}

    def begin(self, scope: Scope, body: bytes) -> Exchange:
        """Send one request, in a running event loop. The reply is complete, or has a `rest`, which `finish` awaits.

        Raises what the application raises.
        """
        exchange = Exchange(body)
        call = self._call(scope, exchange)
        # Not the client's context: a simulated host that is killed must not take along what runs in the fake.
        exchange.rest = self._context.copy().run(late_tasks.begin, call, asyncio.get_running_loop())
        return exchange

    async def finish(self, exchange: Exchange, rest: asyncio.Task[None], *, seconds: float | None) -> None:
        """Wait for the reply. The client hangs up after `seconds`.

        Raises what the application raises, or TimeoutError.
        """
        try:
            # Not for the task itself, which would be cancelled with its client.
            ended, _ = await asyncio.wait({rest}, timeout=seconds)
        except asyncio.CancelledError:
            await self._abandon(exchange, rest)
            raise
        if not ended:
            await self._abandon(exchange, rest)
            raise TimeoutError
        rest.result()

    async def _abandon(self, exchange: Exchange, rest: asyncio.Task[None]) -> None:
        """Hang up, and let the request end before the client continues, which may look at the fake next."""
        self._abandoned[rest] = None
        rest.add_done_callback(self._forget)
        exchange.hang_up()
        for _ in range(_TURNS):
            if rest.done():
                return
            await asyncio.sleep(0)

    async def _call(self, scope: Scope, exchange: Exchange) -> None:
        await self._app(scope, exchange.receive, exchange.send)

    def _forget(self, rest: asyncio.Task[None]) -> None:
        """Forget an abandoned call, and the error that its client would have got."""
        del self._abandoned[rest]
        if not rest.cancelled():
            rest.exception()
