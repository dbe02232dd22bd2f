"""For your tests: one handler without a server, and a clock that moves the client and a fake server together."""

from __future__ import annotations

import asyncio
import itertools
import json
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, overload

import anyio
from anyio.lowlevel import checkpoint

from codeq_client._api.client import CodeQ
from codeq_client._api.conversion import dumps
from codeq_client._api.models import Task
from codeq_client._worker.delivery import Delivery
from codeq_client._worker.handlers import Handler, takes_context
from codeq_client._worker.lease_renewal import Keeper
from codeq_client._worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codeq_client._worker.outcomes import Complete, Outcome

_ROUNDS = 1000


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
    """Call one handler as a worker would, without a server; `state` is what the worker's lifespan would yield.

    Returns `Complete` with what the handler returned, or the `Retry`, `Fail` or `Abandon` that it ended with.

    A handler alone gets the payload as it is given. Of a worker it is the handler for `command`, with its middleware,
    types and policy, and the payload takes the way through JSON that it would take to it.
    """
    if isinstance(target, Worker):
        worker, (command, payload) = target, given
        handler, payload = worker.handler_of(command), json.loads(dumps(payload))
    else:
        worker, (payload,) = Worker(CodeQ("http://codeq.invalid", worker_token="none")), given  # noqa: S106  # no secret
        handler = Handler("HANDLER", target, takes_context(target))
    task = Task(
        id="00000000-0000-4000-8000-000000000000",
        command=handler.command,
        status="IN_PROGRESS",
        payload=payload,
        attempts=attempts,
        max_attempts=max_attempts,
    )
    clock = worker.codeq.core.clock
    async with anyio.create_task_group() as group:
        keeper = Keeper(_always_renewed, clock, worker.emit, post=_at_once, wake=_at_once)
        group.start_soon(keeper.keep)
        delivery = Delivery(worker.bench(keeper, state), handler, task, sent=clock.monotonic())
        outcome = await delivery.handle()
        group.cancel_scope.cancel()
    return outcome


async def _always_renewed(_task_id: str) -> None:
    await checkpoint()


def _at_once(call: Callable[[], object]) -> None:
    call()


class ServerClock:
    """The clock of a fake server, so that both sides have one time, whatever makes it pass.

    `now()` returns the server's time in seconds since the epoch, `sleep(seconds)` waits until it has passed: `time` and
    `sleep` of `FakeCodeQ`. For clients and workers in the fake's event loop.
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
        """Wait until so much of the server's time has passed."""
        await (self._sleep(seconds) if seconds > 0 else checkpoint())

    def sleep_blocking(self, seconds: float) -> None:
        """Refuse: nobody could move the server's time meanwhile."""
        raise RuntimeError(f"a blocking sleep of {seconds} s would stop the event loop that moves the server")


class ManualClock:
    """A clock that stands still until `advance` moves it, and a fake server with it.

    `server(seconds)` advances the server's clock, as `FakeCodeQ.aadvance` does. Time moves in steps of at most `step`
    seconds: what the server answers within a step reaches the client at the step's beginning. For clients and workers
    in the same event loop, which must be asyncio's own.
    """

    thread_safe = False
    suspends = True

    def __init__(self, server: Callable[[float], Awaitable[object]], *, start: float = 0.0, step: float = 0.25) -> None:
        self._server = server
        self._now = start
        self._step = step
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        """Return the present moment."""
        return self._now

    def time(self) -> float:
        """Return the present moment."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced so far."""
        if seconds <= 0:
            await checkpoint()
            return
        waiting = anyio.Event()
        heappush(self._sleepers, (self._now + seconds, next(self._order), waiting))
        await waiting.wait()

    def sleep_blocking(self, seconds: float) -> None:
        """Refuse: nobody could advance the clock meanwhile."""
        raise RuntimeError(f"a blocking sleep of {seconds} s would stop the event loop that moves this clock")

    async def advance(self, seconds: float) -> None:
        """Move on, through all that falls due on either side, and return when every task waits for something."""
        target = self._now + seconds
        await _let_tasks_run()
        while self._now < target:
            due = self._sleepers[0][0] if self._sleepers else target
            moment = max(self._now, min(target, due, self._now + self._step))
            await self._server(moment - self._now)
            self._now = moment
            while self._sleepers and self._sleepers[0][0] <= self._now:
                heappop(self._sleepers)[2].set()
            await _let_tasks_run()

    def suspended(self, seconds: float) -> None:
        """Move on as on a machine that was suspended: nothing falls due, and each sleep lasts that much longer."""
        self._now += seconds
        self._sleepers = [(due + seconds, order, waiting) for due, order, waiting in self._sleepers]

    async def advance_until(self, condition: Callable[[], bool], *, within: float = 3600) -> None:
        """Move on step by step until `condition()`; raises `TimeoutError` when it does not come `within` seconds."""
        deadline = self._now + within
        await _let_tasks_run()
        while not condition():
            if self._now >= deadline:
                raise TimeoutError(f"the condition did not come within {within:g} s")
            await self.advance(min(self._step, deadline - self._now))


async def _let_tasks_run() -> None:
    """Let the loop run until each of its tasks waits for something."""
    this = asyncio.current_task()
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
        if all(_waits(task) for task in asyncio.all_tasks() if task is not this):
            return


def _waits(task: asyncio.Task[Any]) -> bool:
    # `anyio.wait_all_tasks_blocked` asks the same, but sleeps for a tenth of a second when the answer is no.
    waiter = task._fut_waiter  # type: ignore[attr-defined]  # noqa: SLF001  # asyncio has no public word for it
    return waiter is not None and not waiter.done()
