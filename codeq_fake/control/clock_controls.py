"""The control calls for the clock: read it, set its mode, and advance it with a digest of what fell due on the way."""

from __future__ import annotations

from codeq_fake import payloads
from codeq_fake.clocks import EndOfTimeError, FollowsItsLoopError, Mode, TimeWentBackError, in_slices
from codeq_fake.core import Broker
from codeq_fake.core.durations import in_words
from codeq_fake.core.slices import Slices, batches
from codeq_fake.journal import Callback, Journal
from codeq_fake.runtime.fake_server import FakeServer, StateReplacedError

from . import representations
from .errors import BadRequestError, ConflictError


class ClockControls:
    """The part of `Controls` for the clock."""

    _runtime: FakeServer

    def clock(self) -> payloads.Clock:
        """The current time, and whether the clock is real, manual or auto."""
        clock = self._runtime.clock
        return {"now": representations.time(clock.now()), "mode": clock.mode}

    async def set_clock(self, *, now: int | None = None, mode: Mode | None = None) -> payloads.Clock:
        """Set the mode of the clock, advance it to an instant, or both.

        Raises ConflictError for an instant in the past, and BadRequestError for one beyond the year 9999.
        """
        await self._advance(to=now, mode=mode)
        return self.clock()

    async def advance(self, *, by: int | None = None, to: int | None = None) -> payloads.Advanced:
        """As `move_clock`, and tell what was due meanwhile."""
        runtime = self._runtime
        start = runtime.clock.now()
        goal = to if to is not None else start + (by or 0)
        # Counted before: afterwards, what was due is in other places.
        due = await in_slices(_due_between(runtime.broker, start, goal))
        fired = await self.move_clock(by=by, to=to)
        tried = await in_slices(_tries_after(runtime.deliveries.journal, start))
        happened: payloads.Happened = {**due, "callbacksTried": tried}
        now = representations.time(runtime.clock.now())
        return {"now": now, "fired": fired, "happened": happened, "digest": _digest(goal - start, happened)}

    async def move_clock(self, *, by: int | None = None, to: int | None = None) -> int:
        """Advance the clock by a duration (ns) or to an instant, and return when everything that was due is done.

        Returns how many timers fired. Raises ConflictError for an instant in the past, and BadRequestError for one
        beyond the year 9999, or if not exactly one of both is given.
        """
        if (by is None) == (to is None):
            raise BadRequestError('give either {"seconds": number} or {"to": RFC 3339 time}')
        return await self._advance(by=by or 0, to=to)

    async def _advance(self, *, by: int = 0, to: int | None = None, mode: Mode | None = None) -> int:
        """Advance the clock, with the errors of the control API in place of the clock's."""
        clock = self._runtime.clock
        try:
            return await self._runtime.advance(by=by, to=to, mode=mode)
        except TimeWentBackError:
            wanted = representations.time(clock.now() + by if to is None else to)
            raise ConflictError(
                f"time never goes back: it is {representations.time(clock.now())}, and {wanted} is in the past"
            ) from None
        except EndOfTimeError:
            raise BadRequestError("the clock ends with the year 9999") from None
        except StateReplacedError:
            raise ConflictError("the fake was reset or got another state: its clock went no further") from None
        except FollowsItsLoopError as error:
            raise ConflictError(str(error)) from None


def _due_between(broker: Broker, since: int, until: int) -> Slices[payloads.Happened]:
    """The leases and delays that end after `since` and until `until` (ns), if nothing but time passes."""
    end_of_lease = broker.profile.store.lease_expired_from
    leases = delays = 0
    for queue in list(broker.store.queues.values()):
        for tasks in batches(list(queue.in_progress.values())):
            leases += sum(since < end_of_lease(task.lease_expiry) <= until for task in tasks)
            yield
        for tasks in batches(list(queue.delayed.values())):
            delays += sum(since < task.visible_at <= until for task in tasks)
            yield
    return {"leasesOver": leases, "delaysDue": delays, "callbacksTried": 0}


def _tries_after(journal: Journal[Callback], since: int) -> Slices[int]:
    """How many tries of callbacks and notices the journal has after `since` (ns)."""
    count = 0
    for entries in batches(list(journal.entries)):
        count += sum(tried.at > since for entry in entries for tried in entry.tries)
        yield
    return count


def _digest(passed: int, happened: payloads.Happened) -> str:
    """The digest in words, after `passed` (ns): `+1 h: 2 leases over, 41 delays due, 1 callback tried`."""
    counts = (
        (happened["leasesOver"], "lease", "over"),
        (happened["delaysDue"], "delay", "due"),
        (happened["callbacksTried"], "callback", "tried"),
    )
    parts = [f"{count:,} {noun}{'' if count == 1 else 's'} {what}" for count, noun, what in counts if count]
    return f"+{in_words(passed)}: {', '.join(parts) or 'nothing was due'}"
