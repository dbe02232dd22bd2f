"""Runs a request to its end even if its client is cancelled: the application sees a disconnect, as on a port."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

from starlette.types import ASGIApp, Message, Scope

from codeq_fake.compat.late_tasks import begin

#: When a client is cancelled, its request gets this many turns of the event loop to end before the client continues.
_TURNS = 20


class Exchange:
    """A request with this body, and the reply to it, as an application receives and sends them."""

    def __init__(self, body: bytes) -> None:
        #: As a server replies for an application that sends nothing.
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.parts: list[bytes] = []
        #: Whether the application has returned, or False when the client waits no longer.
        self.has_ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._body: bytes | None = body
        #: The reply is complete, or the client has gone.
        self._is_over = asyncio.Event()

    def end(self, result: bool) -> None:  # noqa: FBT001 - the result of a future
        """Set `has_ended`, unless it is set."""
        if not self.has_ended.done():
            self.has_ended.set_result(result)

    def hang_up(self) -> None:
        """Let everything that is received from now on be a disconnect."""
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

    async def request(self, scope: Scope, body: bytes, *, seconds: float | None) -> Exchange:
        """Send one request, and return it with its whole reply. The client hangs up after `seconds`.

        Raises what the application raises, or TimeoutError.
        """
        loop = asyncio.get_running_loop()
        exchange = Exchange(body)
        # Not the client's context: a simulated host that is killed must not take along what runs in the fake.
        serving = self._context.copy().run(begin, self._serve(scope, exchange), loop)
        if serving is None:
            await asyncio.sleep(0)  # the other tasks get a turn, as they do while a server answers
            return exchange
        timer = loop.call_later(seconds, exchange.end, False) if seconds is not None else None  # noqa: FBT003 - as above
        try:
            # Not the task, which would be cancelled with its client. asyncio.timeout takes five times as long.
            in_time = await exchange.has_ended
        except asyncio.CancelledError:
            await self._abandon(serving, exchange)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if not in_time:
            await self._abandon(serving, exchange)
            raise TimeoutError
        serving.result()
        return exchange

    async def _abandon(self, serving: asyncio.Task[None], exchange: Exchange) -> None:
        """Hang up, and let the request end before the client continues, which may look at the fake next."""
        self._abandoned[serving] = None
        serving.add_done_callback(self._forget)
        exchange.hang_up()
        for _ in range(_TURNS):
            if serving.done():
                return
            await asyncio.sleep(0)

    async def _serve(self, scope: Scope, exchange: Exchange) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        finally:
            exchange.end(True)  # noqa: FBT003 - as above

    def _forget(self, serving: asyncio.Task[None]) -> None:
        """Forget an abandoned call, and the error that its client would have got."""
        del self._abandoned[serving]
        if not serving.cancelled():
            serving.exception()
