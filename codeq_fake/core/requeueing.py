"""The ways of a task back into its queue: it came due, was given back, or its lease ran out (K7, D1, N2 to N5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import backoff, errors, schedule
from .task import AT_LAST, Event, Nacked, State, Status
from .times import seconds

if TYPE_CHECKING:
    from .counters import Tally
    from .queue import Queue
    from .rules import Rules
    from .sources import Chance
    from .task import Task
    from .task_store import Store

REASON_MAX_ATTEMPTS = "MAX_ATTEMPTS"  # N4
REASON_LEASE_EXPIRED = "LEASE_EXPIRED"  # N5


class Returns:
    """Brings the tasks of one server back."""

    def __init__(self, *, rules: Rules, store: Store, tally: Tally, chance: Chance) -> None:
        self._rules = rules
        self._store = store
        self._tally = tally
        self._chance = chance

    def repair(self, name: str, tenant: str, *, now: int) -> None:
        """What every claim does first, and nothing else ever does (K7)."""
        for owner in ("", tenant) if tenant else ("",):  # K6
            queue = self._store.queues.get((owner, name))
            if queue is not None and queue.delayed:
                for task in queue.due(limit=self._rules.inspect_limit, now=now):
                    task.happens(Event.COME_DUE, by="", now=now)
                    task.touched_at = now
                    task.visible_at = 0
                    queue.put(task)
        queue = self._store.queues.get((tenant, name))
        if queue is not None and queue.in_progress:
            for task in queue.expired(now=now):
                self.expire(task, queue, Event.EXPIRE, now=now)

    def expire(self, task: Task, queue: Queue, event: Event, *, now: int) -> None:
        """Its lease is over: as a NACK by nobody (N5). The task is in no part of the queue."""
        self._tally.lease_expired[task.command] += 1
        self.send_back(task, queue, event, reason=REASON_LEASE_EXPIRED, now=now)

    def put_back(self, task: Task, *, worker: str, now: int) -> None:
        """At once, to the tail of its queue (D1)."""
        task.happens(Event.ABANDON, by=worker, now=now)
        task.touched_at = now
        task.let_go()
        queue = self._store.queue_for(task)
        queue.in_progress.pop(task.id, None)
        queue.put(task)

    def send_back(
        self, task: Task, queue: Queue, event: Event, *, delay_seconds: int = 0, reason: str, by: str = "", now: int
    ) -> Nacked:
        """After a delay, or into the dead letters when its attempts are used up (N2 to N4).

        The task is in no part of the queue. ``event`` says why it comes back.
        """
        if delay_seconds <= 0:
            delay_seconds = backoff.delay(self._rules, task.attempts, self._chance)  # N3
        delay_seconds = min(delay_seconds, self._rules.backoff_max)
        task.attempts += 1
        task.touched_at = now
        task.let_go()
        if task.attempts >= task.max_attempts:
            task.happens(AT_LAST[event], by=by, now=now)
            task.error = reason or REASON_MAX_ATTEMPTS
            queue.bury(task)
            self._tally.ended(task.command, State.DEAD.status.value, after=now - task.created_at)
            return Nacked(dead=True, delay_seconds=0)
        task.happens(event, by=by, now=now)
        task.error = ""
        task.visible_at = schedule.floor(now + seconds(delay_seconds))
        queue.delay(task)
        return Nacked(dead=False, delay_seconds=delay_seconds)

    def end_lease(self, task: Task, *, now: int) -> None:
        """As if the lease's time had passed: the next claim requeues the task.

        Raises :class:`~codeq_fake.core.errors.NotInProgress`.
        """
        if task.status is not Status.IN_PROGRESS:
            raise errors.NotInProgress
        task.lease_until = task.lease_expiry = now
        if task.state is State.LEASED:
            self._store.queue_for(task).lease(task)
