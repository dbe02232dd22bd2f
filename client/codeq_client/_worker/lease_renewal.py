"""Lease renewal: renews every held lease, and reports at once when a handler must end.

In production the renewal loop runs on a thread with its own event loop and connections, so that a handler that blocks
the worker's loop loses no lease. With a test clock the same renewal loop runs in the worker's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
from anyio.abc import TaskGroup, TaskStatus
from anyio.from_thread import start_blocking_portal

from codeq_client._api import calls
from codeq_client._api.client import CodeQ
from codeq_client._api.clock import Clock, has_own_time, is_simulated, sleep_or
from codeq_client.errors import CodeQError, LeaseLost, NotInProgress, NotOwner, TaskNotFound

from .events import Event, LoopBlocked, Renewed
from .lease_timing import End, Lease, LeaseTerms

Post = Callable[[Callable[[], object]], object]
Emit = Callable[[Event], None]

_SHORTEST_SLEEP = 0.001  # otherwise a rounding error could wake the loop just before the moment, again and again
_LONGEST_SLEEP = 1.0  # after a suspension of the machine a sleep goes on for its rest, even if a lease has run out
_PING_SECONDS = 0.5  # how often the worker's event loop is pinged

_log = logging.getLogger("codeq_client.worker")


class HeldLease:
    """The lease on one task, and how to end its handler: by `cancel`."""

    def __init__(self, task_id: str, lease: Lease, cancel: Callable[[Exception], object]) -> None:
        self.task_id = task_id
        self.lease = lease
        self.handler_end: End | None = None
        self._cancel = cancel
        self.idle = asyncio.Event()
        """Set in the worker's loop after each renewal, for `LeaseRenewal.finish`."""

    def end_handler(self, end: End) -> None:
        """Cancel the handler, for this reason; the first reason stays."""
        self.handler_end = self.handler_end or end
        self._cancel(LeaseLost(self.task_id, self.handler_end.value))


class LeaseRenewal:
    """Renews leases by calling `renew`. `post` runs a callable in the worker's loop, `wake` in the renewal loop's.

    `add`, `remove`, `renew_now` and `finish` are for the worker's loop; `run` is the renewal loop.
    """

    def __init__(
        self, renew: Callable[[str], Awaitable[None]], clock: Clock, emit: Emit, post: Post, wake: Post
    ) -> None:
        self._renew = renew
        self._clock = clock
        self._longest_sleep = _LONGEST_SLEEP if clock.suspends and not is_simulated() else math.inf
        self._emit = emit
        self._post = post
        self._wake = wake
        self._held: dict[HeldLease, None] = {}
        self._wakes_at = math.inf
        self._woken = asyncio.Event()
        self.monitor: LoopMonitor | None = None
        """Watches the worker's event loop, if this loop has a separate thread."""

    def add(self, held: HeldLease) -> None:
        """Renew this lease from now on."""
        self._held[held] = None
        self._wake_by(held.lease.next_event())

    def remove(self, held: HeldLease) -> None:
        """Forget this lease."""
        self._held.pop(held, None)

    def renew_now(self, held: HeldLease) -> None:
        """Renew this lease at once."""
        held.lease.renew_now(self._clock.monotonic())
        self._wake_by(-math.inf)

    async def finish(self, held: HeldLease) -> None:
        """Send no more renewals for this lease, and return once none is under way.

        A late renewal could reach the task's next lease, if another process with the same token has it.
        """
        held.lease.stop()
        self.remove(held)
        while held.lease.renewing:
            held.idle.clear()  # an earlier renewal has set it
            await held.idle.wait()

    def lag(self) -> float:
        """Return for how many seconds the renewal loop has been overdue; any thread may call this."""
        return max(0.0, self._clock.monotonic() - self._wakes_at)

    async def run(self) -> None:
        """Renew and watch leases until it is cancelled."""
        async with anyio.create_task_group() as renewals:
            while True:
                try:
                    seconds = self._do_due(renewals)
                except Exception:  # noqa: BLE001 - if this loop ended, every lease would end
                    _log.exception("the lease renewal failed, and goes on")
                    seconds = 1.0
                await sleep_or(self._clock, seconds, self._woken.wait)

    def _do_due(self, renewals: TaskGroup) -> float:
        """Do what is due, and return the seconds until something will be."""
        now = self._clock.monotonic()
        # Set before the leases are listed: a lease that another thread adds later is either listed, or wakes the loop.
        self._woken, self._wakes_at = asyncio.Event(), math.inf
        for held in list(self._held):
            if end := held.lease.ended(now):
                self.remove(held)
                held.lease.stop()
                self._post(partial(held.end_handler, end))
            elif held.lease.renewal_due(now):
                held.lease.note_renewal_sent(now)
                renewals.start_soon(self._renew_one, held)
        self._wakes_at = min((held.lease.next_event() for held in list(self._held)), default=math.inf)
        until = self._wakes_at - now
        return max(_SHORTEST_SLEEP, min(until, self._longest_sleep)) if self._held else until

    async def _renew_one(self, held: HeldLease) -> None:
        """Renew one lease, and note the outcome."""
        try:
            if held.lease.stopped:  # by the worker's thread, just when the renewal was due
                return
            outcome = await self._try_to_renew(held.task_id)
            now = self._clock.monotonic()
            if outcome == "renewed" and held.lease.lost(now):
                outcome = "late"
            renewed = Renewed(held.task_id, outcome, held.lease.remaining(now))  # before the outcome changes the lease
            if outcome == "renewed":
                held.lease.note_renewed(now)
            elif outcome not in {"late", "unknown"}:
                held.lease.note_revoked()
        finally:
            held.lease.note_unanswered(self._clock.monotonic())
            self._post(held.idle.set)
            self._woken.set()
        self._emit(renewed)

    async def _try_to_renew(self, task_id: str) -> str:
        """Return "renewed", "unknown" if it will be tried again, or the server's refusal."""
        try:
            await self._renew(task_id)
        except (NotOwner, NotInProgress, TaskNotFound) as error:
            return error.message
        except CodeQError as error:
            _log.warning("the lease on task %s was not renewed, trying again: %s", task_id, error)
        except asyncio.CancelledError:
            raise
        except BaseException:  # noqa: BLE001 - a bug, or the user's transport, says nothing about the lease
            _log.exception("the lease on task %s was not renewed, trying again", task_id)
        else:
            return "renewed"
        return "unknown"

    def _wake_by(self, moment: float) -> None:
        if moment < self._wakes_at:
            self._wake(self._wake_up)

    def _wake_up(self) -> None:
        self._woken.set()  # read here, in the renewal loop, which replaces the event


async def _renew(codeq: CodeQ, terms: LeaseTerms, task_id: str) -> None:
    call = calls.heartbeat(task_id, extend=terms.seconds)  # H1: a heartbeat can shorten, so it asks for a whole lease
    await codeq.run(codeq.core.send(call, retries=0, timeout=terms.renewal_timeout))


def call_now(function: Callable[[], object]) -> None:
    """Call the function: `post` and `wake` of a renewal loop in the worker's event loop."""
    function()


@asynccontextmanager
async def renewal_in_loop(codeq: CodeQ, terms: LeaseTerms, emit: Emit) -> AsyncIterator[LeaseRenewal]:
    """Run the renewal loop as a task of the worker's event loop."""
    async with anyio.create_task_group() as group:
        renewal = LeaseRenewal(partial(_renew, codeq, terms), codeq.core.clock, emit, post=call_now, wake=call_now)
        group.start_soon(renewal.run)
        yield renewal
        group.cancel_scope.cancel()


@asynccontextmanager
async def renewal_on_thread(codeq: CodeQ, terms: LeaseTerms, emit: Emit) -> AsyncIterator[LeaseRenewal]:
    """Run the renewal loop, and the monitor of the worker's event loop, on a separate thread."""
    loop, monitor = asyncio.get_running_loop(), LoopMonitor(codeq.core.clock, emit)
    post = loop.call_soon_threadsafe
    if has_own_time(loop):
        _log.warning(
            "leases are renewed on the machine's time, but %s has its own: give the client a clock of that time, "
            "such as codeq_client.testing.ServerClock",
            type(loop).__name__,
        )

    async def main(*, task_status: TaskStatus[LeaseRenewal]) -> None:
        wake = asyncio.get_running_loop().call_soon_threadsafe
        async with codeq.twin() as own, anyio.create_task_group() as group:
            renewal = LeaseRenewal(partial(_renew, own, terms), codeq.core.clock, emit, post=post, wake=wake)
            renewal.monitor = monitor
            group.start_soon(monitor.run, post)
            task_status.started(renewal)
            await renewal.run()

    with start_blocking_portal(name="codeq-leases") as portal:
        future, renewal = portal.start_task(main)
        try:
            yield renewal
        finally:
            future.cancel()


class LoopMonitor:
    """Pings the event loop of the thread that creates it, and reports an answer that takes over `limit` seconds."""

    def __init__(self, clock: Clock, emit: Callable[[Event], None], limit: float = 1.0) -> None:
        self._clock = clock
        self._emit = emit
        self._limit = limit
        self._thread_id = threading.get_ident()
        self._pinged_at = math.inf
        self._reported = False

    def lag(self) -> float:
        """Return for how many seconds the loop's answer has been overdue; any thread may call this."""
        return max(0.0, self._clock.monotonic() - self._pinged_at)

    async def run(self, post: Callable[[Callable[[], None]], object]) -> None:
        """Watch the loop until it is cancelled; `post` runs a callable in the watched loop."""
        while True:
            if math.isinf(self._pinged_at):
                self._pinged_at = self._clock.monotonic()
                post(self._answered)
            await self._clock.sleep(_PING_SECONDS)
            if self.lag() > self._limit and not self._reported:
                self._report(self.lag())

    def _answered(self) -> None:
        self._pinged_at = math.inf
        self._reported = False

    def _report(self, lag: float) -> None:
        self._reported = True
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - documented; its underscore marks special use
        stack = "".join(traceback.format_stack(frame)) if frame else ""
        _log.warning("the worker's event loop has been blocked for %.1f s, at:\n%s", lag, stack)
        self._emit(LoopBlocked(lag, stack))
