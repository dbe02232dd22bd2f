"""A fake in this process on a clock that stands still: a wait moves the clock, so that it takes no real time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Self, TypeVar, cast

from codeq_contract.compat.asyncio import ShuffledLoop
from codeq_contract.recordings.format import WEBHOOK_ORIGIN
from codeq_contract.recordings.times import SECOND, parse_moment
from codeq_fake.testing import FakeCodeQ, Profile

from .clocks import Clock
from .plain_connection import TIMEOUT
from .requests import Reply, Request, asgi_target
from .server_settings import Setup
from .webhooks import Receiver, Scope

T = TypeVar("T")

#: By how many seconds a waiting call moves the clock at a time. A long poll retries at the same interval (K9).
_STEP = 0.25

#: Most calls end within this number of turns of the loop. That is much faster than waiting until everything is quiet.
_TURNS = 4


class InProcess(Clock):
    """One fake with its event loop: the transport to it, and its clock.

    A context manager, which closes the loop.
    """

    def __init__(self, setup: Setup, profile: str) -> None:
        self.hooks = Receiver(self.now, self._pass)
        self._fake = FakeCodeQ(
            profile=cast("Profile", profile),
            settings=setup.environment,
            yaml=setup.yaml or None,
            webhooks={WEBHOOK_ORIGIN: self.hooks},
            journal_size=0,
            seed=0,
        )
        self._loop = ShuffledLoop()
        self._runner = asyncio.Runner(loop_factory=lambda: self._loop)

    def __enter__(self) -> Self:
        self._runner.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    def now(self) -> int:
        """As `Clock.now`."""
        return parse_moment(self._fake.now)

    def steady(self) -> int:
        """As `Clock.steady`."""
        return self.now()

    def sleep(self, seconds: float) -> None:
        """As `Clock.sleep`. Everything that falls due meanwhile happens."""
        self._run(self._fake.aadvance(seconds))

    def cancel_waits(self) -> None:
        """As `Clock.cancel_waits`. No wait takes time here."""

    def exchange(self, requests: Sequence[Request], schedule: int) -> list[Reply]:
        """As `Transport.exchange`. `schedule` is the seed of the order in which the loop runs its tasks."""
        return self._run(self._exchange(requests, schedule))

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, or cancel it.

        `Runner.run` would replace the handler of a signal and restore it each time.
        """
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        finally:
            task.cancel()

    async def _pass(self, seconds: float) -> None:
        """Wait until the fake's clock has moved on by that much."""
        await self._fake.sleep(seconds)

    async def _exchange(self, requests: Sequence[Request], schedule: int) -> list[Reply]:
        """Send the requests at once, and move the clock until all are answered or lost."""
        self._loop.shuffle_by(schedule)
        lost_at = self.now() + round(TIMEOUT * SECOND)
        calls = [asyncio.create_task(self._send(request)) for request in requests]
        try:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
                if _are_done(calls):
                    break
            while not _are_done(calls) and self.now() < lost_at:
                # First everything that needs no time, then time moves.
                await self._fake.aadvance(0)
                if not _are_done(calls):
                    await self._fake.aadvance(_STEP)
        finally:
            self._loop.shuffle_by(0)
            for call in calls:
                call.cancel()
        return [await call for call in calls]

    async def _send(self, request: Request) -> Reply:
        """Send one request by ASGI itself. A client library would take longer than the fake.

        A defect of the fake looks as on a port: it answers 500, or never.
        """
        called = self.now()
        body, answered = iter((request.body or b"",)), asyncio.Event()
        parts: list[Scope] = []

        async def receive() -> Scope:
            for content in body:
                return {"type": "http.request", "body": content, "more_body": False}
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Scope) -> None:
            parts.append(message)

        try:
            await self._fake.app(_scope(request), receive, send)
        except asyncio.CancelledError:
            return Reply(called, self.now(), problem=f"TimeoutError: no reply within {TIMEOUT:g} s")
        except Exception as error:  # noqa: BLE001 - whatever it is, a client gets to know it
            return Reply(called, self.now(), 500, {}, f"{type(error).__name__}: {error}".encode())
        answered.set()
        [start] = (part for part in parts if part["type"] == "http.response.start")
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
        content = b"".join(part.get("body", b"") for part in parts if part["type"] == "http.response.body")
        return Reply(called, self.now(), start["status"], headers, content)


def _are_done(calls: Sequence[asyncio.Task[Reply]]) -> bool:
    return all(call.done() for call in calls)


def _scope(request: Request) -> Scope:
    headers = {"host": "codeq.test", **{name.lower(): value for name, value in request.headers.items()}}
    if request.body is not None:
        headers["content-length"] = str(len(request.body))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        **asgi_target(request.target),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("codeq.test", 80),
    }
