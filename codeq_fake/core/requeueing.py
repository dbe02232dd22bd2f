"""Requeueing: delayed tasks become due, workers give tasks back, leases expire (K7, D1, N2 to N5)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from . import backoff
from .commands import queue_name
from .counters import Counters
from .effects import Jitter
from .profiles import Profile
from .queue import Queue
from .settings import CoreSettings
from .task import LAST_ATTEMPT, Event, NackOutcome, State, Task
from .task_store import TaskStore
from .times import floor_to_second, seconds

REASON_MAX_ATTEMPTS = "MAX_ATTEMPTS"  # N4
REASON_LEASE_EXPIRED = "LEASE_EXPIRED"  # N5


class Requeueing:
    """Moves the tasks of one server back into their queues."""

    def __init__(
        self, *, settings: CoreSettings, store: TaskStore, counters: Counters, jitter: Jitter, profile: Profile
    ) -> None:
        self._settings = settings
        self._store = store
        self._counters = counters
        self._jitter = jitter
        self._expiry_jitter = backoff.SeededJitter() if profile.store.seeds_jitter else jitter  # P7
        self._repair_interval = profile.version.repair_interval
        self._moves_tenantless = profile.store.moves_tenantless
        #: (tenant, command as sent) -> when its expired leases were last repaired (Q1), the longest ago first.
        self.repaired: OrderedDict[tuple[str, str], int] = OrderedDict()

    def repair(self, command: str, tenant: str, *, now: int, is_last_try: bool = False) -> None:
        """Move due tasks and tasks with an expired lease. Each claim does this first, and nothing else does (K7).

        Where there is an interval, a claim that comes too soon after a repair moves due tasks only (Q1). On a real
        server the tries of a long poll come a bit late, except for the last one, at the deadline. So the last try is
        too soon after a try that was due exactly an interval before it.
        """
        name, limit = queue_name(command), self._settings.requeue_inspect_limit
        for owner in ("", tenant) if tenant and self._moves_tenantless else (tenant,):  # K6, P15
            queue = self._store.queues.get((owner, name))
            if queue is not None and (queue.delayed or queue.leftovers is not None) and not queue.hides_delays:
                for task in queue.pop_due(limit=limit, now=now):
                    task.apply(Event.COME_DUE, by="", now=now)
                    task.touched_at = now
                    task.visible_at = 0
                    queue.put(task)
        queue = self._store.queues.get((tenant, name))
        if self._repair_interval and not self._begin_repair(tenant, command, now=now, is_last_try=is_last_try):
            return
        if queue is not None and (queue.in_progress or queue.leftovers is not None):
            for task in queue.pop_expired(limit=limit, now=now):
                self._give_back_expired(task, queue, Event.EXPIRE, claimed_as=command, now=now)

    def next_moments(self, command: str, tenant: str) -> Iterator[int]:
        """The moments (ns) from which a claim of this command finds something to take or to move. 0 is at once."""
        if self._repair_interval:
            yield 0  # each claim counts for the interval (Q1)
        for owner in ("", tenant) if tenant and self._moves_tenantless else (tenant,):
            queue = self._store.queues.get((owner, queue_name(command)))
            if queue is not None:
                yield from queue.next_moments()

    def _begin_repair(self, tenant: str, command: str, *, now: int, is_last_try: bool) -> bool:
        """Begin the interval again, unless the last one is not over. Returns whether to repair expired leases (Q1)."""
        # A repair at `latest` or before is long enough ago. The last try of a long poll needs a nanosecond more.
        repaired, latest = self.repaired, now - self._repair_interval - is_last_try
        while repaired and repaired[next(iter(repaired))] < latest:
            repaired.popitem(last=False)
        if repaired.get((tenant, command), latest) > latest:
            return False
        repaired.pop((tenant, command), None)
        repaired[tenant, command] = now
        return True

    def repairs_from(self, tenant: str, command: str) -> int:
        """The instant (ns) from which a claim of this command repairs expired leases (Q1)."""
        repaired = self.repaired.get((tenant, command))
        return 0 if repaired is None else repaired + self._repair_interval

    def requeue_as_expired(self, task: Task, event: Event, *, now: int) -> NackOutcome:
        """Requeue a leased task at once, as if its lease were over: its worker has lost it. `event` is the cause."""
        queue = self._store.queue_for(task)
        del queue.in_progress[task.id]
        return self._give_back_expired(task, queue, event, claimed_as=task.command, now=now)

    def _give_back_expired(self, task: Task, queue: Queue, event: Event, *, claimed_as: str, now: int) -> NackOutcome:
        """Give back a task whose lease is over, as a NACK would (N5). The caller has taken it out of the queue.

        `claimed_as` is the command as it is written in the claim that found the lease expired: it is counted so (L2).
        """
        self._counters.lease_expired[claimed_as] += 1
        return self.give_back(task, queue, event, reason=REASON_LEASE_EXPIRED, now=now)

    def abandon(self, task: Task, *, worker: str, now: int) -> None:
        """Move a task to the tail of its queue at once (D1)."""
        task.apply(Event.ABANDON, by=worker, now=now)
        task.touched_at = now
        task.clear_lease()
        queue = self._store.queue_for(task)
        queue.in_progress.pop(task.id, None)
        queue.put(task)

    def give_back(
        self, task: Task, queue: Queue, event: Event, *, delay_seconds: int = 0, reason: str, by: str = "", now: int
    ) -> NackOutcome:
        """Delay a task, or make it a dead letter if its attempts are used up (N2 to N4).

        The caller has taken the task out of the queue. `event` is the cause. A `delay_seconds` that is not positive
        means the delay of the backoff policy.
        """
        if delay_seconds <= 0:
            jitter = self._jitter if event is Event.NACK else self._expiry_jitter
            delay_seconds = backoff.delay(self._settings, task.attempts, jitter)  # N3
        delay_seconds = min(delay_seconds, self._settings.backoff_max_seconds)
        is_last = task.attempts + 1 >= task.max_attempts
        task.apply(LAST_ATTEMPT[event] if is_last else event, by=by, now=now)
        task.attempts += 1
        task.touched_at = now
        task.clear_lease()
        if is_last:
            task.error = reason or REASON_MAX_ATTEMPTS
            queue.add_dead_letter(task)
            # The reaper counts a dead letter, but not how long it took (P5).
            latency = None if event is Event.REAP else now - task.created_at
            self._counters.count_end(task.command, State.DEAD.status.value, latency=latency)
            return NackOutcome(dead=True, delay_seconds=0)
        task.error = ""
        task.visible_at = floor_to_second(now + seconds(delay_seconds))
        queue.delay(task)
        return NackOutcome(dead=False, delay_seconds=delay_seconds)
