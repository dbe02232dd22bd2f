"""What a handler receives: the job, and the context in which it runs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from codeq_client._api.clock import Clock
from codeq_client._task import Task
from codeq_client.errors import ConfigurationError, LeaseLost

from .lease_renewal import HeldLease
from .lease_timing import End, LeaseTerms

P = TypeVar("P")

_GUARD_POLL_SECONDS = 0.05

current_task: ContextVar[Task | None] = ContextVar("codeq_client.current_task", default=None)
"""The task that the current code works on; for log filters and tracers."""


@dataclass(frozen=True, slots=True)
class Job(Generic[P]):
    """One delivery of a task. `payload` is of the type that the handler was registered with."""

    task: Task
    payload: P

    @property
    def id(self) -> str:
        """The task's id."""
        return self.task.id

    @property
    def command(self) -> str:
        """The task's command, as it was created."""
        return self.task.command

    @property
    def attempts(self) -> int:
        """The server's count: one for this delivery, two for each earlier one that was NACKed or expired (N2, N5)."""
        return self.task.attempts

    @property
    def is_last(self) -> bool:
        """Whether the task becomes a dead letter if this delivery is not completed (N2, N4)."""
        return bool(self.task.max_attempts) and self.task.attempts + 1 >= self.task.max_attempts

    @property
    def was_finished(self) -> bool:
        """Whether the task was finished before: the server may deliver a finished task again (Z1)."""
        return bool(self.task.result_key)  # T2

    @property
    def is_repeat(self) -> bool:
        """The old name of `was_finished`."""
        warnings.warn("Job.is_repeat is deprecated: use Job.was_finished", DeprecationWarning, stacklevel=2)
        return self.was_finished


class TaskContext:
    """The lease under which a handler runs, and what the worker offers to it.

    `state` is the value that the worker's lifespan yielded; `log` is a logger that adds task id, command and attempts.
    """

    def __init__(
        self,
        job: Job[Any],
        held: HeldLease,
        terms: LeaseTerms,
        *,
        clock: Clock,
        state: Any,  # noqa: ANN401 - the user's
        renew_now: Callable[[HeldLease], None],
    ) -> None:
        self.state = state
        self.log = TaskLogger(logging.getLogger("codeq_client.task"), log_fields(job.task))
        self._held = held
        self._terms = terms
        self._clock = clock
        self._renew_now = renew_now

    @property
    def end(self) -> End | None:
        """Why the handler must end, or None. A handler on a thread should look here now and then, or call `check`."""
        return self._held.handler_end or self._held.lease.ended(self._clock.monotonic())

    def check(self) -> None:
        """Raise `LeaseLost` if the handler must end: for handlers on threads, which cannot be interrupted."""
        if end := self.end:
            raise LeaseLost(self._held.task_id, end.value)

    def remaining(self) -> float:
        """Return for how many seconds the lease is certain to hold without another renewal."""
        return self._held.lease.remaining(self._clock.monotonic())

    async def sleep(self, seconds: float) -> None:
        """Sleep on the worker's clock: with a test clock this takes no real time."""
        await self._clock.sleep(seconds)

    def progress(self) -> None:
        """Report progress, for a worker with a `stall` limit."""
        self._held.lease.progress(self._clock.monotonic())

    @asynccontextmanager
    async def guard(self, seconds: float) -> AsyncIterator[None]:
        """Enter with at least `seconds` of the lease left, renewing it first if needed; otherwise raise `LeaseLost`.

        For a side effect that must not happen while another worker may have the task.
        """
        if seconds >= self._terms.seconds - self._terms.margin:
            raise ConfigurationError(f"a lease of {self._terms.seconds} s cannot guard {seconds} s; use a longer lease")
        self.check()
        if self.remaining() < seconds:
            self._renew_now(self._held)
        while self.remaining() < seconds:
            await self._clock.sleep(_GUARD_POLL_SECONDS)
            self.check()
        yield


class TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the task's fields to each record, next to those of the call."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:  # noqa: ANN401 - the user's values
        """Merge the fields into `extra`."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def log_fields(task: Task) -> dict[str, object]:
    """Return the fields of a log record about a task."""
    return {"task_id": task.id, "command": task.command, "attempts": task.attempts}
