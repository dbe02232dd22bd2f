"""One run of a worker: claim for free slots, deliver, and on the way out hand back what was not begun."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from codeq_client._api import calls
from codeq_client._api.clock import sleep_or
from codeq_client.errors import BadRequest, CodeQError, Forbidden, RateLimited, Unauthorized, Unavailable

from .cancellation import ENDINGS
from .delivery import SETTLE_SECONDS, Bench, Delivery
from .events import ClaimFailed, Draining, Polled
from .handlers import Handler
from .lease import End
from .outcomes import Retry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codeq_client._api.models import Task

    from .job import Job

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_EMPTIES_IN_BURST = 2  # Z4: one empty answer may be false

_log = logging.getLogger("codeq_client.worker")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a worker works: slots, the seconds of a long poll and of grace, and whether it ends when nothing is left."""

    concurrency: int
    poll: float
    grace: float
    burst: bool


class Rotation:
    """The order in which commands are claimed. The server takes them as listed (K4), so the list has to turn."""

    def __init__(self, commands: Sequence[str]) -> None:
        self._commands = list(commands)

    def order(self) -> list[str]:
        """Return the commands, the one that has waited longest first."""
        return list(self._commands)

    def served(self, command: str) -> None:
        """Put a command, in whatever case (C2), behind all others."""
        for index, name in enumerate(self._commands):
            if name.lower() == command.lower():
                self._commands.append(self._commands.pop(index))
                return


class Shift:
    """The claim loop and the deliveries that it starts. `handlers` go by their command in lower case (C2)."""

    def __init__(self, bench: Bench, handlers: Mapping[str, Handler], plan: Plan) -> None:
        self._bench = bench
        self._clock = bench.codeq.core.clock
        self._handlers = handlers
        self._plan = plan
        self._rotation = Rotation([handler.command for handler in handlers.values()])
        self._running: dict[Delivery, None] = {}
        self._freed = asyncio.Event()
        self._stop = asyncio.Event()
        self._claiming = anyio.CancelScope()
        self._claimed = asyncio.Event()
        self._failures = 0
        self._empties = 0
        self._refusal: Exception | None = None

    @property
    def running(self) -> int:
        """How many tasks are being worked on."""
        return len(self._running)

    @property
    def stopping(self) -> bool:
        """Whether the shift claims no more."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Claim no more, let the handlers end, and return from `work`."""
        if not self.stopping:
            _log.info(
                "stopping: %d tasks run on for up to %g s; what a claim brings goes back",
                self.running,
                self._plan.grace,
            )
        self._stop.set()
        self._freed.set()

    async def work(self) -> Exception | None:
        """Work until `stop`, or in a burst until nothing is left; then wait for what still runs.

        Returns the error that ended a burst.
        """
        async with asyncio.TaskGroup() as group:
            ending = group.create_task(self._end_after_grace())
            with self._claiming:
                while await self._slot_is_free() and not self._nothing_is_left():
                    await self._claim(group)
            self._claimed.set()
            self._bench.emit(Draining(self.running))
            while self._running:
                await self._next_to_end()
            ending.cancel()
        return self._refusal

    async def _slot_is_free(self) -> bool:
        """Wait for a free slot; return False when the worker stops instead."""
        while self.running >= self._plan.concurrency and not self.stopping:
            await self._next_to_end()
        return not self.stopping

    async def _next_to_end(self) -> None:
        self._freed = asyncio.Event()
        await self._freed.wait()

    def _nothing_is_left(self) -> bool:
        return self._plan.burst and self._empties >= _EMPTIES_IN_BURST and not self._running

    async def _claim(self, group: asyncio.TaskGroup) -> None:
        """Claim once, with a long poll, and fill the other free slots from what is there."""
        wait = 0 if self._plan.burst else self._plan.poll
        sent = self._clock.monotonic()
        try:
            task = await self._claim_one(wait)
            self._failures = 0
            await self._receive(group, [task] if task else [], sent)
            if task:
                await self._top_up(group)
        except Exception as error:  # noqa: BLE001  # a defect, too, must not end the worker
            await self._claim_failed(error)
            return
        took = self._clock.monotonic() - sent
        if task is None and self._plan.burst and self._running:
            await self._next_to_end()
            self._empties = 0  # it may have created tasks
        elif task is None and took < wait / 4:
            await self._pause(min(1.0, wait))  # something answers long polls at once: do not spin

    async def _claim_one(self, wait: float) -> Task | None:
        codeq, lease = self._bench.codeq, self._bench.terms.seconds
        # Never cancelled by `stop`: the server might lease a task to nobody. What it brings is handed back.
        return await codeq.run(codeq.core.send(calls.claim(self._rotation.order(), lease=lease, wait=wait), retries=0))

    async def _top_up(self, group: asyncio.TaskGroup) -> None:
        codeq, lease = self._bench.codeq, self._bench.terms.seconds
        while (free := self._plan.concurrency - self.running) > 0 and not self.stopping:
            asked = min(free, calls.MAX_CLAIM_BATCH)
            sent = self._clock.monotonic()
            call = calls.claim_batch(self._rotation.order(), lease=lease, count=asked)
            tasks = await codeq.run(codeq.core.send(call, retries=0))
            await self._receive(group, tasks, sent)
            if len(tasks) < asked:
                return

    async def _receive(self, group: asyncio.TaskGroup, tasks: Sequence[Task], sent: float) -> None:
        self._bench.emit(Polled(len(tasks), self._clock.monotonic() - sent))
        self._empties = 0 if tasks else self._empties + 1
        for task in tasks:
            self._rotation.served(task.command)
            handler = self._handlers.get(task.command.lower()) or Handler(task.command, _unknown, takes_context=False)
            delivery = Delivery(self._bench, handler, task, sent=sent)
            earlier = [other for other in self._running if other.task_id == task.id]
            self._running[delivery] = None
            group.create_task(self._deliver(delivery, earlier))

    async def _deliver(self, delivery: Delivery, earlier: Sequence[Delivery]) -> None:
        try:
            async with delivery.held():
                for other in earlier:
                    await other.give_way()
                await (delivery.hand_back() if self.stopping else delivery.run())
        except ENDINGS:
            raise
        except BaseException:  # noqa: BLE001  # a defect of ours, or the user's backoff, must not end the others
            _log.exception("a delivery failed; its lease will run out")
        finally:
            del self._running[delivery]
            self._freed.set()

    async def _claim_failed(self, error: Exception) -> None:
        core = self._bench.codeq.core
        refused = isinstance(error, Unauthorized | Forbidden | BadRequest)
        if self._plan.burst and (refused or self._failures >= core.retries):
            self._refusal = error
            self.stop()
            return
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 10))
        pause *= 0.5 + core.random() / 2
        pause = max(error.retry_after, pause) if isinstance(error, RateLimited) else pause
        self._failures += 1
        orphan = isinstance(error, Unavailable) and error.sent
        commands, defect = ", ".join(self._rotation.order()), None if isinstance(error, CodeQError) else error
        _log.warning("claiming %s failed, again in %.1f s: %s", commands, pause, error, exc_info=defect)
        self._bench.emit(ClaimFailed(error, orphan, pause))
        await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        await sleep_or(self._clock, seconds, self._stop.wait)

    async def _end_after_grace(self) -> None:
        await self._stop.wait()
        await self._clock.sleep(self._plan.grace)
        # The open poll would take what is abandoned now, so it is waited for; but not for ever.
        longest = self._plan.poll + SETTLE_SECONDS - self._plan.grace
        await sleep_or(self._clock, max(0, longest), self._claimed.wait)
        self._claiming.cancel()
        self._bench.deadline.moment = self._clock.monotonic() + SETTLE_SECONDS
        for delivery in list(self._running):
            delivery.end(End.SHUTDOWN)


async def _unknown(job: Job[Any]) -> None:
    raise Retry(reason=f"this worker did not ask for {job.command}")
