"""Leases: how one begins, is extended, and is given another end.

`profiles` says when a lease counts as over (K8). What happens to its task then is in `requeueing`, which takes no part
before. `Task.clear_lease` takes the lease from a task.
"""

from __future__ import annotations

from . import errors
from .counters import Counters
from .pebble_reaper import Reaper
from .profiles import Profile
from .queue import Queue
from .settings import CoreSettings
from .task import Event, State, Task
from .task_store import TaskStore
from .times import seconds
from .traces import Traces


class Leases:
    """Gives tasks their leases, and indexes each by its end, for claims and for the `reaper` if there is one."""

    def __init__(
        self,
        *,
        settings: CoreSettings,
        profile: Profile,
        store: TaskStore,
        counters: Counters,
        traces: Traces,
        reaper: Reaper | None,
    ) -> None:
        self._settings = settings
        self._has_ttl = profile.store.has_ttl
        self._expiry_error = profile.store.expiry_error
        self._expiry_of = profile.store.lease_expiry_of
        self._store = store
        self._counters = counters
        self._traces = traces
        self._reaper = reaper

    def start(self, task: Task, queue: Queue, worker: str, lease_seconds: int, *, now: int) -> None:
        """Lease a task that was taken from its queue (K2, K5). Raises `LeaseRefused`."""
        lease_seconds = lease_seconds if lease_seconds > 0 else self._settings.default_lease_seconds  # K2
        lease = seconds(lease_seconds)
        is_refused = lease <= 0 and self._has_ttl  # K11
        task.apply(Event.REFUSE_LEASE if is_refused else Event.CLAIM, by=worker, now=now)
        task.worker = worker
        task.attempts += 1
        task.touched_at = now
        task.lease_until = now + lease
        if task.trace_parent:
            task.trace_parent = self._traces.next_span(task.trace_parent)  # X1
        if is_refused:  # the server has written the task when the store refuses its lease
            queue.put(task)
            raise errors.LeaseRefused(self._expiry_error)
        task.lease_expiry = self._expiry_of(lease_seconds, now=now)
        self.index(task, queue)
        self._counters.claimed[task.command] += 1

    def extend(self, task: Task, extend_seconds: int, *, now: int) -> None:
        """Move the end of a lease to `now` + extension (H1). A key that is gone from the store stays gone (H3, P3)."""
        extend_seconds = extend_seconds if extend_seconds > 0 else self._settings.default_lease_seconds
        task.lease_until = now + seconds(extend_seconds)
        if task.state is State.LEASED and (now < task.lease_expiry or not self._has_ttl):
            task.lease_expiry = self._expiry_of(extend_seconds, now=now)
            self.index(task, self._store.queue_for(task))

    def end(self, task: Task, *, now: int) -> None:
        """Let a lease be over from `now` on. The next claim, or the reaper, finds that it is."""
        task.lease_until = task.lease_expiry = now
        if task.state is State.LEASED:
            self.index(task, self._store.queue_for(task))

    def index(self, task: Task, queue: Queue) -> None:
        """Enter a task under the present end of its lease, so that claims and the reaper notice when it is over.

        To be called after each change of the end. The entries under earlier ends are passed over later.
        """
        queue.put_leased(task)
        if self._reaper is not None:
            self._reaper.watch(task)
