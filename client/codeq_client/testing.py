"""For your tests: call one handler without a server, and clocks that the client shares with a fake server."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from heapq import heappop, heappush
from typing import Any, overload

import anyio
from anyio.lowlevel import checkpoint

from ._api.client import CodeQ
from ._api.json_values import dumps
from ._task import Task
from ._worker.delivery import Delivery
from ._worker.handlers import Handler, takes_context
from ._worker.lease_renewal import LeaseRenewal, call_now
from ._worker.outcomes import Complete, Outcome
from ._worker.process_pool import ProcessPool
from ._worker.worker import Worker


@overload
async def run_one(
    handler: Callable[..., Any], payload: object, /, *, attempts: int = 1, max_attempts: int = 5, state: object = None
) -> Complete | Outcome: ...
@overload
async def run_one(
    worker: Worker, command: str, payload: object, /, *, attempts: int = 1, max_attempts: int = 5, state: object = None
) -> Complete | Outcome: ...
async def run_one(
    target: Callable[..., Any] | Worker, /, *given: Any, attempts: int = 1, max_attempts: int = 5, state: object = None
) -> Complete | Outcome:
    """Call one handler as a worker does, without a server; `state` is the value of the worker's lifespan.

    Returns `Complete` with the handler's return value, or the `Retry`, `Fail` or `Abandon` that it ended with.

    A handler without a worker gets the payload unchanged. With a worker, the handler for `command` is called, with its
    middleware, types and policy, and the payload is converted to JSON and back, as it is on the way to a worker.
    """
    if isinstance(target, Worker):
        worker, (command, payload) = target, given
        handler, payload = worker.handler_of(command), json.loads(dumps(payload))
    else:
        worker, (payload,) = Worker(CodeQ("http://codeq.invalid", worker_token="none")), given  # noqa: S106 - not a secret
        handler = Handler("HANDLER", target, takes_context(target))
    handler = handler.prepared(state, worker.codeq.core.clock)
    task = Task(
        id="00000000-0000-4000-8000-000000000000",
        command=handler.command,
        status="IN_PROGRESS",
        payload=payload,
        attempts=attempts,
        max_attempts=max_attempts,
    )
    with ProcessPool() as pool:
        return await _outcome(worker, handler, task, state, pool)


async def _outcome(
    worker: Worker, handler: Handler, task: Task, state: object, pool: ProcessPool
) -> Complete | Outcome:
    """Run a handler as a worker does for a claimed task, with a lease that each renewal extends."""
    clock = worker.codeq.core.clock
    async with anyio.create_task_group() as group:
        renewal = LeaseRenewal(_always_renewed, clock, worker.emit, post=call_now, wake=call_now)
        group.start_soon(renewal.run)
        context = worker.delivery_context(renewal, state, pool)
        outcome = await Delivery(context, handler, task, sent=clock.monotonic()).handle()
        group.cancel_scope.cancel()
    return outcome


async def _always_renewed(_task_id: str) -> None:
    await checkpoint()


class ServerClock:
    """The clock of a fake server, so that server and client share one time, however it passes.

    `now()` returns the server's time in seconds since the epoch, `sleep(seconds)` waits until that time has passed:
    `time` and `sleep` of `FakeCodeQ`. For clients and workers in the event loop of the fake. It serves for any other
    time too, such as that of an event loop with virtual time: `ServerClock(loop.time, asyncio.sleep)`.
    """

    thread_safe = False
    suspends = False

    def __init__(self, now: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._now = now
        self._sleep = sleep

    def monotonic(self) -> float:
        """Return the server's time."""
        return self._now()

    def time(self) -> float:
        """Return the server's time."""
        return self._now()

    async def sleep(self, seconds: float) -> None:
        """Wait until the server's time has moved on by `seconds`."""
        await (self._sleep(seconds) if seconds > 0 else checkpoint())

    def sleep_blocking(self, seconds: float) -> None:
        """Refuse, because a blocked event loop cannot move the time."""
        raise RuntimeError(f"a blocking sleep of {seconds} s would stop the event loop that moves this clock")


class ManualClock(ServerClock):
    """A clock that stands still until `advance` moves it, together with the clock of a fake server.

    `server(seconds)` advances the server's clock and returns once every task in the event loop waits for something, as
    `FakeCodeQ.aadvance` does. Time moves in steps of at most `step` seconds: what the server answers within a step
    reaches the client at the beginning of the step. For clients and workers in the same event loop, which must be
    asyncio's own.
    """

    suspends = True

    def __init__(self, server: Callable[[float], Awaitable[object]], *, start: float = 0.0, step: float = 0.25) -> None:
        super().__init__(lambda: self._moment, self._wait)
        self._server = server
        self._moment = start
        self._step = step
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._order = itertools.count()

    async def _wait(self, seconds: float) -> None:
        over = anyio.Event()
        heappush(self._sleepers, (self._moment + seconds, next(self._order), over))
        await over.wait()

    async def advance(self, seconds: float) -> None:
        """Advance the client and the server together, through all that falls due, and return when every task waits."""
        target = self._moment + seconds
        await self._server(0)
        while self._moment < target:
            due = self._sleepers[0][0] if self._sleepers else target
            moment = max(self._moment, min(target, due, self._moment + self._step))
            await self._server(moment - self._moment)
            self._moment = moment
            if self._wake_sleepers():
                await self._server(0)

    def _wake_sleepers(self) -> bool:
        before = len(self._sleepers)
        while self._sleepers and self._sleepers[0][0] <= self._moment:
            heappop(self._sleepers)[2].set()
        return len(self._sleepers) < before

    def suspended(self, seconds: float) -> None:
        """Move on as on a machine that was suspended: nothing falls due, and each sleep takes that much longer."""
        self._moment += seconds
        self._sleepers = [(due + seconds, order, over) for due, order, over in self._sleepers]

    async def advance_until(self, condition: Callable[[], bool], *, within: float = 3600) -> None:
        """Move on step by step until `condition()` holds; raises `TimeoutError` if it does not `within` seconds."""
        deadline = self._moment + within
        await self._server(0)
        while not condition():
            if self._moment >= deadline:
                raise TimeoutError(f"the condition did not hold within {within:g} s")
            await self.advance(min(self._step, deadline - self._moment))
