"""A fake in this process, on a clock that stands still: waiting is advancing it, so that nothing takes time."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Self

from codeq_contract.driver.clocks import Clock
from codeq_contract.driver.requests import Op, Reply
from codeq_contract.driver.webhooks import Receiver
from codeq_contract.recordings.times import parse_moment
from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from codeq_contract.driver.server_settings import Setup

HOOKS_ORIGIN = "http://hooks.test"

#: How far a call that waits lets the clock go on at a time: a long poll tries as often (K9).
_STEP = 0.25

#: Most calls are over after so many turns of the loop, which is much sooner than to wait until all is quiet.
_TURNS = 4


class InProcess(Clock):
    """One fake with its event loop: the transport to it, and its clock.

    A context manager, which closes the loop.
    """

    def __init__(self, setup: Setup, profile: str) -> None:
        self.hooks = Receiver(self.now)
        self._fake = FakeCodeQ(
            profile=profile,
            settings=setup.environment,
            yaml=setup.yaml or None,
            webhooks={HOOKS_ORIGIN: self.hooks},
            journal_size=0,
            seed=0,
        )
        self._loop = _DrawnLoop()
        self._runner = asyncio.Runner(loop_factory=lambda: self._loop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()
        self._loop.close()  # a runner that never ran leaves its loop open

    def now(self) -> int:
        """As `Clock.now`."""
        return parse_moment(self._fake.now)

    def sleep(self, seconds: float) -> None:
        """As `Clock.sleep`, through all that falls due."""
        self._runner.run(self._fake.aadvance(seconds))

    def call_off(self) -> None:
        """As `Clock.call_off`: nobody ever waits."""

    def exchange(self, ops: Sequence[Op], schedule: int) -> list[Reply]:
        """As `Transport.exchange`; `schedule` seeds the order in which the loop's tasks take turns."""
        return self._runner.run(self._exchange(ops, schedule))

    async def _exchange(self, ops: Sequence[Op], schedule: int) -> list[Reply]:
        self._loop.shuffle_by(schedule)
        calls = asyncio.gather(*map(self._ask, ops))
        try:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
                if calls.done():
                    break
            while not calls.done():
                # Whatever needs no time is done before any passes.
                await self._fake.aadvance(0)
                if not calls.done():
                    await self._fake.aadvance(_STEP)
        finally:
            self._loop.shuffle_by(0)
        return await calls

    async def _ask(self, op: Op) -> Reply:
        """One request by ASGI itself: a client library would take longer than the fake."""
        called = self.now()
        body, gone = iter((op.body or b"",)), asyncio.Event()
        parts: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            for content in body:
                return {"type": "http.request", "body": content, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            parts.append(message)

        await self._fake.app(_scope(op), receive, send)
        gone.set()
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in parts[0]["headers"]}
        content = b"".join(part.get("body", b"") for part in parts[1:])
        return Reply(called, self.now(), parts[0]["status"], headers, content)


class _DrawnLoop(asyncio.SelectorEventLoop):
    """An event loop whose ready tasks can be made to take turns in a drawn order, the same for the same seed."""

    _ready: list[asyncio.Handle]

    def __init__(self) -> None:
        super().__init__()
        self._chance: random.Random | None = None

    def shuffle_by(self, seed: int) -> None:
        """Draw from `seed` from now on; 0 draws nothing."""
        self._chance = random.Random(seed) if seed else None  # noqa: S311 - schedules are no secrets

    def _run_once(self) -> None:
        if self._chance is not None and len(self._ready) > 1:
            self._chance.shuffle(self._ready)
        super()._run_once()  # type: ignore[misc]  # the one place where a loop's order can be had


def _scope(op: Op) -> dict[str, Any]:
    path, _, query = op.path.partition("?")
    headers = {"host": "codeq.test", **{name.lower(): value for name, value in op.headers.items()}}
    if op.body is not None:
        headers["content-length"] = str(len(op.body))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": op.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("codeq.test", 80),
    }
