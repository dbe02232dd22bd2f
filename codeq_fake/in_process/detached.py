"""Requests that outlive their client: a client that is cancelled hangs up, as a client of a port does."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: How many turns of the loop a request whose client has gone gets to end, before the client goes on.
_TURNS = 20


class Detached:
    """An application whose calls run in separate tasks and contexts.

    Where the application ran in the client's task, a client that times out would take along what the application does
    for others, such as the notices of the tasks that a batch has created.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._context = copy_context()
        #: The calls whose client has gone: the event loop alone would not keep their tasks alive.
        self._abandoned: dict[asyncio.Task[None], None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application."""
        client = _Client(receive, send)
        # Not the client's context: a simulated host that is killed must not take along what runs in the fake.
        serving = asyncio.get_running_loop().create_task(self._serve(scope, client), context=self._context.copy())
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._abandoned[serving] = None
            serving.add_done_callback(self._abandoned.pop)
            client.hang_up()
            # A request that ends because of this has ended when the client looks at the fake next.
            for _ in range(_TURNS):
                if serving.done():
                    break
                await asyncio.sleep(0)
            raise

    async def _serve(self, scope: Scope, client: _Client) -> None:
        await self._app(scope, client.receive, client.send)


class _Client:
    """The client of a call: its `receive` and `send`, until it hangs up."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_gone = False
        #: The task that waits in `receive`.
        self._receiver: asyncio.Task[object] | None = None

    def hang_up(self) -> None:
        """Let everything that is received from now on be a disconnect, and drop what is sent."""
        self._is_gone = True
        if self._receiver is not None:
            self._receiver.cancel()

    async def receive(self) -> Message:
        """The client's next message."""
        if self._is_gone:
            return {"type": "http.disconnect"}
        self._receiver = asyncio.current_task()
        try:
            return await self._receive()
        except asyncio.CancelledError:
            # As in asyncio.timeout: only the cancellation by `hang_up` becomes a result.
            if self._has_hung_up() and self._receiver is not None and self._receiver.uncancel() == 0:
                return {"type": "http.disconnect"}
            raise
        finally:
            self._receiver = None

    def _has_hung_up(self) -> bool:
        return self._is_gone  # while `receive` waited, which the type checker does not see

    async def send(self, message: Message) -> None:
        """Send the client a message."""
        if not self._is_gone:
            await self._send(message)
