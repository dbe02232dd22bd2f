"""The claim loop of one worker run: claim for free slots, start deliveries, and wait for them at the end.

`stopping` says what a stop does to the open claim and to the running handlers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from codeq_client._api import calls, limits
from codeq_client._api.calls import Call
from codeq_client._api.clock import sleep_or
from codeq_client._api.sending import may_have_acted, retry_after
from codeq_client._task import Task
from codeq_client.errors import (
    BadRequest,
    CertificateError,
    ClientClosed,
    CodeQError,
    Forbidden,
    Unauthorized,
)

from .cancellation import is_interrupt
from .command_limits import CommandLimits
from .command_order import CommandOrder
from .delivery import SETTLE_SECONDS, Delivery, DeliveryContext
from .events import ClaimFailed, Draining, Polled
from .handlers import Handler
from .job import Job, log_fields
from .outcomes import Retry
from .result_batches import ResultBatches
from .slots import Slots
from .stopping import Stopping

T = TypeVar("T")

_FIRST_PAUSE = 0.5  # after a claim that failed; it doubles with each further one
_LONGEST_PAUSE = 30.0
_LONGEST_HOLD = 300.0  # of a task whose earlier handler is stuck
_EARLY = 4  # an empty answer within 1/4 of the wait: something between here and the server answers long polls at once
_HEAD_START = 1.0  # of other workers for a task that is handed back: their long polls look every 250 ms (K9)
_SHORT_POLL = 1.0  # while a command is at its limit: it is claimed again with the next poll
_EMPTY_CLAIMS_IN_BURST = 2  # Z4: one empty answer may be wrong

_log = logging.getLogger("codeq_client.worker")


class ClaimLoop:
    """Claims tasks and starts their deliveries. The keys of `handlers` are commands in lower case (C2).

    `concurrency` is the number of slots, `poll` and `grace` are seconds; a `burst` ends when no task is left.
    With `batch_results`, results that end at the same time are sent in one request.
    """

    def __init__(
        self,
        context: DeliveryContext,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int,
        poll: float,
        grace: float,
        burst: bool,
        batch_results: bool,
    ) -> None:
        self._context = context
        self._clock = context.codeq.core.clock
        self._handlers = handlers
        self._poll = poll
        self._burst = burst
        self._batch_results = batch_results and concurrency > 1
        self._order = CommandOrder(handlers)
        self.slots = Slots(concurrency, handlers, self._clock)
        self._limits = CommandLimits(handlers, self.slots.used_by, self._clock)
        self._stop = Stopping(context, self.slots, poll=poll, grace=grace)
        self._slot_freed = asyncio.Event()
        self._claim_answered = asyncio.Event()
        """Set while no claim is under way."""
        self._claim_answered.set()
        self._failures = 0
        """How many claims have failed in a row."""
        self._empty_claims = 0
        """How many claims in a row have found nothing, by which a burst ends."""
        self._more_ready = False
        """Whether the last claim brought all that was asked for: then a long poll need not come first."""
        self._was_ever_answered = False
        self._is_answered = False
        """Whether the latest claim was answered. If not, the next one does not wait, to show at once if it is."""
        self._refusal: Exception | None = None
        """The error of a claim that ended the run."""
        self.paused = False
        """Whether no more tasks are claimed, until `resume`."""
        self.limited = False
        """Whether nothing is claimed now because each command is at its limit."""

    @property
    def stopping(self) -> bool:
        """Whether the loop has stopped claiming."""
        return self._stop.is_requested

    def stop(self) -> None:
        """Stop claiming, let the handlers end, and return from `run`."""
        self._stop.request()
        self._slot_freed.set()

    def pause(self) -> None:
        """Claim no more until `resume`."""
        self.paused = True
        _log.info("paused")

    def resume(self) -> None:
        """Claim again after a pause."""
        self.paused = False
        self._is_answered = False
        self._slot_freed.set()
        _log.info("resumed")

    async def run(self) -> Exception | None:
        """Work until `stop`, or in a burst until no task is left; then wait for the running deliveries.

        Returns the error that ended a burst.
        """
        async with asyncio.TaskGroup() as group:
            if self._batch_results:
                self._context.results = ResultBatches(self._context.codeq, group)
            ending = group.create_task(self._stop.end_after_grace())
            with self._stop.claims():
                while await self._wait_for_slot() and not self._burst_is_over():
                    await self._claim(group)
            self._context.emit(Draining(self.slots.used))
            while self.slots.used:
                await self._until_change()
            ending.cancel()
        return self._refusal

    async def _wait_for_slot(self) -> bool:
        """Wait for a free slot while not paused; return False if the worker stops instead."""
        while (self.paused or self.slots.free <= 0) and not self.stopping:
            await self._until_change()
        return not self.stopping

    def _claimable(self) -> list[str]:
        """Return the commands whose limits allow another task, the one whose turn it is first."""
        return [command for command in self._order.names() if self._limits.allowance(command) >= 1]

    async def _until_change(self) -> None:
        """Wait until a slot is freed, or the rate of a command allows a task again."""
        self._slot_freed = asyncio.Event()
        await sleep_or(self._clock, self._limits.until_allowed(), self._slot_freed.wait)

    def _burst_is_over(self) -> bool:
        return self._burst and self._empty_claims >= _EMPTY_CLAIMS_IN_BURST and not self.slots.used

    async def _claim(self, group: asyncio.TaskGroup) -> None:
        """Claim once, with a long poll, and fill the other free slots with what is ready."""
        sent = self._clock.monotonic()
        try:
            commands = self._claimable()
            self.limited = not commands
            if self.limited:
                await self._until_change()
                return
            if self._more_ready and self.slots.free > 1:
                await self._fill_slots(group)
                return
            all_asked = len(commands) == len(self._handlers)  # else an empty answer does not mean that no task is left
            wait = self._wait_of_claim(all_asked=all_asked)
            task = await self._claim_one(commands, wait)
            self._failures = 0
            self._more_ready = task is not None
            await self._receive(group, [task] if task else [], sent)
            self._empty_claims = 0 if task or not all_asked else self._empty_claims + 1
            if task:
                await self._fill_slots(group)
        except Exception as error:  # noqa: BLE001 - not even a bug may end the worker
            await self._claim_failed(error)
            return
        took = self._clock.monotonic() - sent
        if task is None and self._burst and (self.slots.used or not all_asked):
            await self._until_change()
            self._empty_claims = 0  # it may have created tasks
        elif task is None and took < wait / _EARLY:
            await self._pause(min(1.0, wait))  # do not spin

    def _wait_of_claim(self, *, all_asked: bool) -> float:
        """Return how many seconds a claim waits. One that has to show at once that the server answers does not."""
        if self._burst or not self._is_answered:
            return 0
        return self._poll if all_asked else _SHORT_POLL

    async def _claim_one(self, commands: Sequence[str], wait: float) -> Task | None:
        # Not cancelled by `stop`: the server might lease a task that no worker handles. Its task is given back.
        return await self._send(calls.claim(commands, lease=self._context.terms.seconds, wait=wait))

    async def _send(self, claim: Call[T]) -> T:
        self._claim_answered = asyncio.Event()
        try:
            return await self._context.codeq.run(self._context.codeq.core.send(claim, retries=0))
        finally:
            self._claim_answered.set()

    async def _fill_slots(self, group: asyncio.TaskGroup) -> None:
        """Claim in batches without waiting, until no slot is free or nothing is left to claim."""
        idle: set[str] = set()  # commands that had no task although it was their turn
        while self.slots.free > 0 and not (self.stopping or self.paused):
            claimable = [command for command in self._claimable() if command not in idle]
            if not claimable:
                return
            commands, asked = self._next_batch(claimable)
            sent = self._clock.monotonic()
            claim = calls.claim_batch(commands, lease=self._context.terms.seconds, count=asked)
            tasks = await self._send(claim)
            self._failures = 0
            self._more_ready = len(tasks) == asked
            await self._receive(group, tasks, sent)
            if not self._more_ready:
                return
            if not any(task.command.lower() == commands[0].lower() for task in tasks):
                idle.add(commands[0])

    def _next_batch(self, claimable: Sequence[str]) -> tuple[list[str], int]:
        """Return what to claim at once, so that no limit is exceeded whatever the tasks are.

        The command whose turn it is decides how many. Without tasks it does so only once, however low its limit is.
        """
        first = claimable[0]
        asked = int(min(self.slots.free, limits.MAX_CLAIM_BATCH, self._limits.allowance(first)))
        return [command for command in claimable if self._limits.allowance(command) >= asked], asked

    async def _receive(self, group: asyncio.TaskGroup, tasks: Sequence[Task], sent: float) -> None:
        """Start a delivery for each task of a claim that was sent at `sent`."""
        self._was_ever_answered = self._is_answered = True
        self._context.emit(Polled(len(tasks), self._clock.monotonic() - sent))
        if tasks:
            self._empty_claims = 0
        for command, number in Counter(task.command.lower() for task in tasks).items():
            self._order.note_claimed(command, number)
        for task in tasks:
            self._limits.note_started(task.command)
            handler = self._handlers.get(task.command.lower()) or Handler(task.command, _unknown, takes_context=False)
            delivery = Delivery(self._context, handler, task, sent=sent)
            group.create_task(self._deliver(delivery, self.slots.add(delivery)))

    async def _deliver(self, delivery: Delivery, earlier: Sequence[Delivery]) -> None:
        """Carry out one delivery. A task that is delivered again waits until its earlier delivery has ended."""
        try:
            async with delivery.holding():
                if await self._end_earlier(delivery, earlier) and not self.stopping:
                    await delivery.run()
                else:
                    await delivery.hand_back()
                    self._limits.hold_off(delivery.command, _HEAD_START if earlier else 0)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # a bug must not end the other deliveries
            if is_interrupt(error):
                raise
            _log.exception("a delivery failed; its lease will run out")
        finally:
            self.slots.remove(delivery)
            self._slot_freed.set()

    async def _end_earlier(self, delivery: Delivery, earlier: Sequence[Delivery]) -> bool:
        """End the earlier deliveries of a task; return False if a handler is stuck.

        Then the task is handed back, for other workers. But this worker may claim it again, and each claim counts as an
        attempt (K5): so it holds the task for longer each time, and lets other workers come first.
        """
        if not earlier:
            return True
        stuck = earlier[0]
        longest = min(_LONGEST_HOLD, self._context.terms.seconds / 3 * 2.0 ** min(stuck.times_handed_back, 10))
        delivery.postpone()
        if await sleep_or(self._clock, self._jittered(longest), partial(_replace_all, earlier)):
            delivery.begin()
            return True
        stuck.times_handed_back += 1
        _log.warning(
            "task %s is handed back, because its earlier handler is stuck here: it has used %d of %d attempts",
            delivery.task_id,
            delivery.task.attempts,
            delivery.task.max_attempts,
            extra=log_fields(delivery.task),
        )
        self._limits.hold_off(delivery.command, self._poll + SETTLE_SECONDS)
        await self._claim_answered.wait()  # the open claim would get the task back at once
        return False

    def _jittered(self, seconds: float) -> float:
        return seconds * (0.5 + self._context.codeq.core.random() / 2)

    async def _claim_failed(self, error: Exception) -> None:
        """Report a failed claim and pause before the next one, or end the run if waiting cannot help."""
        if self._is_final(error):
            self._refusal = error
            self.stop()
            return
        pause = self._jittered(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 10)))
        pause = max(retry_after(error), pause)
        self._failures += 1
        self._is_answered = False
        orphan = isinstance(error, CodeQError) and may_have_acted(error)
        commands, bug = ", ".join(self._order.names()), None if isinstance(error, CodeQError) else error
        _log.warning("claiming %s failed, again in %.1f s: %s", commands, pause, error, exc_info=bug)
        self._context.emit(ClaimFailed(error, orphan, pause))
        await self._pause(pause)

    def _is_final(self, error: Exception) -> bool:
        """Return whether a failed claim ends the run. Outside of a burst, few errors do: most pass without a restart.

        A certificate that was trusted before may be renewed while the worker runs.
        """
        if isinstance(error, ClientClosed) or (isinstance(error, CertificateError) and not self._was_ever_answered):
            return True
        refused = isinstance(error, Unauthorized | Forbidden | BadRequest | CertificateError)
        return self._burst and (refused or self._failures >= self._context.codeq.core.retries)

    async def _pause(self, seconds: float) -> None:
        await sleep_or(self._clock, seconds, self._stop.wait)


async def _replace_all(deliveries: Sequence[Delivery]) -> None:
    for delivery in deliveries:
        await delivery.replace()


async def _unknown(job: Job[Any]) -> None:
    raise Retry(reason=f"this worker did not ask for {job.command}")
