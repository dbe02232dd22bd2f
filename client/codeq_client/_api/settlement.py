"""Ending a claim for certain: an answer that was lost is found out, never guessed, and never sent again unseen.

The server knows a lease's holder by the token's subject alone. When a NACK, an abandon or a result whose answer was
lost is simply sent again, it may hit the task's *next* lease, held by another process with the same token. So before
each repetition the task is read: `attempts` grows with every claim, and tells whether the lease is still ours.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from codeq_client.errors import (
    CodeQError,
    LeaseLost,
    NotInProgress,
    NotOwner,
    RateLimited,
    ServerError,
    Unauthorized,
    Unavailable,
)

from . import calls
from .conversion import wrap_result
from .models import Record, Requeued, Status, Task
from .retries import Core, Flow, Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .calls import Call
    from .models import Artifact

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try: `go_on(error, failures)` after an error, `may_send()` before each request."""

    go_on: Callable[[CodeQError, int], bool]
    may_send: Callable[[], bool] = lambda: True
    timeout: float | None = None


def submit(
    core: Core,
    task: Task | str,
    result: object,
    error: str,
    artifacts: Sequence[Artifact] = (),
    *,
    unknown: bool = False,
) -> Flow[Record]:
    """Submit a result, or an error, for a claimed task or for a bare id, with which a lost answer stays lost.

    `unknown` says that an earlier try may have counted.
    """
    if isinstance(task, Task):
        call = calls.submit(task.id, result=result, error=error, artifacts=artifacts)
        return end(core, task, call, unknown=unknown)
    return core.send(calls.submit(task, result=result, error=error, artifacts=artifacts))


def end(
    core: Core, task: Task, call: Call[Record], patience: Patience | None = None, *, unknown: bool = False
) -> Flow[Record]:
    """Submit a result. Raises `LeaseLost` when the task turns out to be ended or held by someone else."""

    def found(now: Task) -> Flow[Record]:
        if now.ended and not now.dead:
            stored = (yield from core.send(calls.result(task.id))).record
            if _same_end(stored, json.loads(call.body or b"{}")):
                return stored
            raise LeaseLost(task.id, f"someone else ended it: {stored.status}")
        raise LeaseLost(task.id, f"it was requeued, and is {now.status} now")

    return _settle(core, task, call, found, patience, unknown=unknown)


def nack(core: Core, task: Task, call: Call[Requeued], patience: Patience | None = None) -> Flow[Requeued]:
    """NACK a task. When the answer was lost and the task is no longer ours, it was requeued one way or another."""

    def found(now: Task) -> Flow[Requeued]:
        yield from ()
        return Requeued(delay=0, dead=now.dead)

    return _settle(core, task, call, found, patience)


def abandon(core: Core, task: Task, call: Call[None], patience: Patience | None = None) -> Flow[None]:
    """Abandon a task; as `nack`."""

    def found(_now: Task) -> Flow[None]:
        yield from ()

    return _settle(core, task, call, found, patience)


def _settle(
    core: Core,
    task: Task,
    call: Call[T],
    found: Callable[[Task], Flow[T]],
    patience: Patience | None,
    *,
    unknown: bool = False,
) -> Flow[T]:
    patience = patience or _patience_of(core)
    for failures in itertools.count():
        try:
            return (yield from _try(_Sender(core, task, patience), call, found, unknown=unknown))
        except (Unavailable, ServerError, RateLimited, Unauthorized) as error:
            if not patience.go_on(error, failures):
                raise
            unknown = unknown or isinstance(error, ServerError) or (isinstance(error, Unavailable) and error.sent)
            yield Pause(core.pause(failures, error))
    raise AssertionError  # the count has no end


def _try(sender: _Sender, call: Call[T], found: Callable[[Task], Flow[T]], *, unknown: bool) -> Flow[T]:
    """Send the call, after a look at the task when an earlier try is `unknown`: it may have counted."""
    look = calls.get(sender.task.id)
    if unknown:
        now = yield from sender.send(look)
        if not _still_ours(now, sender.task):
            return (yield from found(now))
    try:
        return (yield from sender.send(call))
    except (NotOwner, NotInProgress):
        if not unknown:
            raise
    return (yield from found((yield from sender.send(look))))


@dataclass(frozen=True, slots=True)
class _Sender:
    core: Core
    task: Task
    patience: Patience

    def send(self, call: Call[T]) -> Flow[T]:
        return self.core.send(call, retries=0, timeout=self.patience.timeout, guard=self._guard)

    def _guard(self) -> None:
        if not self.patience.may_send():
            raise LeaseLost(self.task.id, "it ran out before the server confirmed the end")


def _patience_of(core: Core) -> Patience:
    return Patience(lambda error, failures: failures < core.retries and not isinstance(error, Unauthorized))


def _still_ours(now: Task, claimed: Task) -> bool:
    return now.status == Status.IN_PROGRESS and now.attempts == claimed.attempts  # K5, N2, N5


def _same_end(stored: Record, sent: dict[str, Any]) -> bool:
    if stored.status != sent["status"]:
        return False
    if stored.status == Status.FAILED:
        return bool(stored.error == sent["error"])
    return bool(wrap_result(stored.result) == sent["result"])
