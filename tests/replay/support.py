"""A server that answers a replay from a recording, so that the replay finds no difference."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from codeq_contract.recordings.format import WEBHOOK_ORIGIN, Call, Recording
from codeq_contract.recordings.times import moment_text, parse_moment
from codeq_contract.replay.servers import Configuration, HttpControl, ReplayServer, TargetTransport, recorded_webhook

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send


class Echo:
    """Gives each request of `recording` its recorded reply at its time, and sends the recorded callbacks."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.queued_ids: list[str] = []
        self.queued_delays: list[int] = []
        self.configuration: Configuration | None = None
        self._now = recording.header.epoch
        self._calls = list(recording.calls)
        self._callbacks = list(recording.callbacks)
        self._parked: list[tuple[int, asyncio.Event]] = []
        self._control = Starlette(
            routes=[
                Route("/_fake/clock/advance", self._advance, methods=["POST"]),
                Route("/_fake/next", self._next, methods=["POST"]),
            ]
        )

    @asynccontextmanager
    async def open(self, configuration: Configuration, expected: Recording) -> AsyncIterator[ReplayServer]:
        """As `Target.open`."""
        self.configuration = configuration
        async with httpx.AsyncClient(transport=TargetTransport(self._serve), base_url="http://echo.test") as http:
            control = HttpControl(http)
            hooks = recorded_webhook(expected, lambda: self._now)
            self._hooks = httpx.AsyncClient(transport=httpx.ASGITransport(hooks), base_url=WEBHOOK_ORIGIN)

            async def start(request: httpx.Request) -> asyncio.Task[httpx.Response]:
                answer = asyncio.create_task(http.send(request))
                await anyio.wait_all_tasks_blocked()
                return answer

            yield ReplayServer(http, control, hooks, WEBHOOK_ORIGIN, start)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/_fake/"):
            await self._control(scope, receive, send)
        else:
            await (await self._answer(scope))(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        call = self._next_call(scope["method"], (scope["raw_path"], scope["query_string"]))
        if call.answered > self._now and call.path.endswith("/claim") and "waitSeconds" in (call.body or ""):
            reached = asyncio.Event()
            self._parked.append((call.answered, reached))
            await reached.wait()
        body = call.reply.encode()
        if call.reply_headers.get("content-encoding") == "gzip":
            body = gzip.compress(body)
        return Response(body, call.status, dict(call.reply_headers))

    def _next_call(self, method: str, target: tuple[bytes, bytes]) -> Call:
        for call in self._calls:
            path, _, query = call.path.encode().partition(b"?")
            if (call.method, (path, query)) == (method, target):
                self._calls.remove(call)
                return call
        raise AssertionError(f"not recorded, or not so often: {method} {target}")

    async def _next(self, request: Request) -> Response:
        queued = await request.json()
        self.queued_ids.extend(queued["ids"])
        self.queued_delays.extend(queued["delays"])
        return JSONResponse({})

    async def _advance(self, request: Request) -> Response:
        to = parse_moment((await request.json())["to"])
        while self._callbacks and self._callbacks[0].at <= to:
            callback = self._callbacks.pop(0)
            self._now = callback.at
            await self._hooks.request(
                callback.method, callback.path, headers=dict(callback.headers), content=callback.body.encode()
            )
        self._now = to
        for moment, reached in self._parked:
            if moment <= to:
                reached.set()
        await anyio.wait_all_tasks_blocked()
        return JSONResponse({"now": moment_text(to), "fired": 0})
