"""The lease loop: renews every lease that is held, and tells at once when a handler must end.

In production it has a thread, an event loop and connections of its own, so that a handler which blocks the worker's
loop loses no lease. On an injected clock it runs within the worker's loop. The loop is the same.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import anyio

from codeq_client._api.clock import Clock, sleep_or
from codeq_client.errors import CodeQError, NotInProgress, NotOwner, TaskNotFound

from .events import Event, LeaseEnded, Renewed

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from .lease import End, Lease

Call = Callable[[], object]
Post = Callable[[Call], object]

_SHORTEST_SLEEP = 0.001  # else the rounding of a sum could wake us just before the moment, for ever
_LONGEST_SLEEP = 1.0  # a machine that was suspended sleeps the rest of its sleep when it wakes, lease or no lease

_log = logging.getLogger("codeq_client.worker")


class Held:
    """The lease on one task, and what to do when its handler must end."""

    def __init__(self, task_id: str, lease: Lease, on_end: Callable[[End], None]) -> None:
        self.task_id = task_id
        self.lease = lease
        self.on_end = on_end
        self.idle = asyncio.Event()
        """Set, once `Keeper.quiesce` asked for it, when no renewal is on its way any more."""


class Keeper:
    """Keeps leases by calling `renew`. `post` runs a callable in the worker's loop, `wake` one in the keeper's.

    `add`, `remove`, `hurry` and `quiesce` are for the worker's loop, `keep` is the lease loop.
    """

    def __init__(
        self,
        renew: Callable[[str], Awaitable[None]],
        clock: Clock,
        emit: Callable[[Event], None],
        post: Post,
        wake: Post,
    ) -> None:
        self._renew = renew
        self._clock = clock
        self._longest_sleep = _LONGEST_SLEEP if clock.suspends else math.inf
        self._emit = emit
        self._post = post
        self._wake = wake
        self._held: dict[Held, None] = {}
        self._wakes_at = math.inf
        self._woken = asyncio.Event()

    def add(self, held: Held) -> None:
        """Keep this lease from now on."""
        self._held[held] = None
        self._look_by(held.lease.next_event())

    def remove(self, held: Held) -> None:
        """Forget this lease."""
        self._held.pop(held, None)

    def hurry(self, held: Held) -> None:
        """Renew this lease at once."""
        held.lease.hurry(self._clock.monotonic())
        self._look_by(-math.inf)

    async def quiesce(self, held: Held) -> None:
        """Send no more renewals for this lease, and return when none is on its way.

        A late renewal could reach the task's next lease, when another process with the same token has it.
        """
        held.lease.stop()
        self.remove(held)
        if held.lease.renewing:
            await held.idle.wait()

    def lag(self) -> float:
        """Return for how many seconds the lease loop has been overdue; any thread may ask."""
        return max(0.0, self._clock.monotonic() - self._wakes_at)

    async def keep(self) -> None:
        """Renew and watch, for ever."""
        async with anyio.create_task_group() as renewals:
            while True:
                try:
                    seconds = self._look(renewals)
                except Exception:  # noqa: BLE001  # a lease loop that ended would end every lease
                    _log.exception("the lease loop failed, and goes on")
                    seconds = 1.0
                await sleep_or(self._clock, seconds, self._woken.wait)

    def _look(self, renewals: TaskGroup) -> float:
        """Do what is due, and return the seconds until something will be."""
        now = self._clock.monotonic()
        # Before the leases are listed: one that another thread adds from here on is either listed, or wakes us.
        self._woken, self._wakes_at = asyncio.Event(), math.inf
        for held in list(self._held):
            if end := held.lease.ended(now):
                self.remove(held)
                held.lease.stop()
                self._emit(LeaseEnded(held.task_id, end))
                self._post(partial(held.on_end, end))
            elif held.lease.renewal_due(now):
                held.lease.renewal_sent(now)
                renewals.start_soon(self._renew_one, held)
        self._wakes_at = min((held.lease.next_event() for held in list(self._held)), default=math.inf)
        until = self._wakes_at - now
        return max(_SHORTEST_SLEEP, min(until, self._longest_sleep)) if self._held else until

    async def _renew_one(self, held: Held) -> None:
        try:
            renewed = await self._try_to_renew(held)
        finally:
            held.lease.unanswered(self._clock.monotonic())
            self._post(held.idle.set)
            self._woken.set()
        self._emit(renewed)

    async def _try_to_renew(self, held: Held) -> Renewed:
        outcome = await self._ask_to_renew(held)
        now = self._clock.monotonic()
        left = held.lease.remaining(now)  # before the outcome moves it: how near it was
        if outcome == "renewed":
            held.lease.renewed(now)
        elif outcome != "unknown":
            held.lease.revoked()
        return Renewed(held.task_id, outcome, left)

    async def _ask_to_renew(self, held: Held) -> str:
        try:
            await self._renew(held.task_id)
        except (NotOwner, NotInProgress, TaskNotFound) as error:
            return error.message
        except CodeQError as error:
            _log.warning("the lease on task %s was not renewed, trying again: %s", held.task_id, error)
        except Exception:  # noqa: BLE001  # a defect of ours is no news of the lease
            _log.exception("the lease on task %s was not renewed, trying again", held.task_id)
        else:
            return "renewed"
        return "unknown"

    def _woken_up(self) -> None:
        self._woken.set()

    def _look_by(self, moment: float) -> None:
        if moment < self._wakes_at:
            self._wake(self._woken_up)
