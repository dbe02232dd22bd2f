"""Settles a claimed task with certainty: after a lost answer it reads the task before it sends again.

The server identifies the holder of a lease only by the token's subject. If a NACK, an abandon or a result whose answer
was lost is simply sent again, it may hit the *next* lease of the task, held by another process with the same token.
So before each repetition the task is read: `attempts` grows with every claim, and shows whether the lease is still
ours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from codeq_client._task import Status, Task
from codeq_client.errors import (
    CertificateError,
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
from .calls import Call
from .json_values import wrap_result
from .models import Artifact, Record, Requeued
from .sending import Core, Flow, Pause

T = TypeVar("T")

PASSING = (Unavailable, ServerError, RateLimited, Unauthorized)
"""Errors after which a call is tried again."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to try: `may_retry(error, failures)` is asked after an error, `may_send()` before each request.

    Each request has `timeout` seconds, by default the client's, but ends by `deadline`. None is sent after `send_by`,
    when the lease is over: a connection that took too long to be made is not used any more.
    """

    may_retry: Callable[[CodeQError, int], bool]
    may_send: Callable[[], bool] = lambda: True
    timeout: float | None = None
    deadline: float = math.inf
    send_by: float = math.inf


def _policy_of_caller(core: Core, deadline: float = math.inf) -> RetryPolicy:
    """Return how long a caller tries: as often as the client's `retries`, and not after errors that would stay."""

    def may_retry(error: CodeQError, failures: int) -> bool:
        lasts = isinstance(error, Unauthorized | CertificateError)
        return failures < core.retries and not lasts and core.clock.monotonic() < deadline

    return RetryPolicy(may_retry, deadline=deadline)


def submit(
    core: Core,
    task: Task | str,
    result: object,
    error: str,
    artifacts: Sequence[Artifact] = (),
    *,
    unknown: bool = False,
    deadline: float = math.inf,
) -> Flow[Record]:
    """Submit a result, or an error, for a claimed task. Given only an id, a lost answer cannot be resolved.

    `unknown` says that an earlier try may have been accepted. No try begins after `deadline`.
    """
    if isinstance(task, Task):
        call = calls.submit(task.id, result=result, error=error, artifacts=artifacts)
        return end(core, task, call, _policy_of_caller(core, deadline), unknown=unknown)
    return core.send(calls.submit(task, result=result, error=error, artifacts=artifacts), deadline=deadline)


def end(
    core: Core,
    task: Task,
    call: Call[Record],
    policy: RetryPolicy | None = None,
    *,
    unknown: bool = False,
    earlier: Exception | None = None,
) -> Flow[Record]:
    """Submit a result. Raises `LeaseLost` if the task was ended by another worker, or is held by one.

    `earlier` is the error of a first try, in a batch; the next try follows, as after any other error.
    """

    def resolve(now: Task) -> Flow[Record]:
        if now.ended and not now.dead:
            stored = (yield from core.send(calls.result(task.id))).record
            if _is_same(stored, json.loads(call.body or b"{}")):
                return stored
            raise LeaseLost(task.id, f"another worker ended it: {stored.status}")
        raise LeaseLost(task.id, f"it was requeued, and is {now.status} now")

    return _settle(core, task, call, resolve, policy, unknown=unknown, earlier=earlier)


def nack(core: Core, task: Task, call: Call[Requeued], policy: RetryPolicy | None = None) -> Flow[Requeued]:
    """NACK a task. If the answer was lost, the task says whether the NACK was accepted: it counts as an attempt (N2).

    Raises `LeaseLost` if it was not.
    """

    def resolve(now: Task) -> Flow[Requeued]:
        yield from ()
        if now.attempts <= task.attempts:
            raise LeaseLost(task.id, f"it is {now.status}, and not because of this NACK")
        return Requeued(delay=0, dead=now.dead and now.attempts == task.attempts + 1)

    return _settle(core, task, call, resolve, policy)


def abandon(core: Core, task: Task, call: Call[None], policy: RetryPolicy | None = None) -> Flow[None]:
    """Abandon a task, with the same rule as `nack`; but an abandon is no attempt (D1)."""

    def resolve(now: Task) -> Flow[None]:
        yield from ()
        is_expired = now.status != Status.IN_PROGRESS and now.attempts == task.attempts + 1  # N5
        if is_expired or (now.ended and now.attempts == task.attempts):
            raise LeaseLost(task.id, f"it is {now.status}, and was not abandoned")

    return _settle(core, task, call, resolve, policy)


def _settle(
    core: Core,
    task: Task,
    call: Call[T],
    resolve: Callable[[Task], Flow[T]],
    policy: RetryPolicy | None,
    *,
    unknown: bool = False,
    earlier: Exception | None = None,
) -> Flow[T]:
    """Send the call until its outcome is known; `resolve` gives the outcome once the lease is no longer ours."""
    policy = policy or _policy_of_caller(core)
    send = _Sender(core, task, policy)
    failures = 0
    error = earlier
    while True:
        if isinstance(error, PASSING):
            if not policy.may_retry(error, failures):
                raise error
            unknown = unknown or isinstance(error, ServerError) or (isinstance(error, Unavailable) and error.sent)
            yield Pause(core.pause_seconds(failures, error))
            failures += 1
        try:
            return (yield from _try(send, call, resolve, unknown=unknown))
        except PASSING as passing:
            error = passing


def _try(send: _Sender, call: Call[T], resolve: Callable[[Task], Flow[T]], *, unknown: bool) -> Flow[T]:
    """Send the call. If an earlier try is `unknown`, read the task first: that try may have been accepted."""
    read = calls.get(send.task.id)
    if unknown:
        now = yield from send(read)
        if not _is_still_ours(now, send.task):
            return (yield from resolve(now))
    try:
        return (yield from send(call))
    except (NotOwner, NotInProgress):
        if not unknown:
            raise
    return (yield from resolve((yield from send(read))))


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sends a call once, if the policy still allows it."""

    core: Core
    task: Task
    policy: RetryPolicy

    def __call__(self, call: Call[T]) -> Flow[T]:
        policy = self.policy
        return self.core.send(
            call,
            retries=0,
            timeout=policy.timeout,
            deadline=policy.deadline,
            send_by=policy.send_by,
            guard=self._check,
        )

    def _check(self) -> None:
        if not self.policy.may_send():
            raise LeaseLost(self.task.id, "it expired before the server confirmed the end")


def _is_still_ours(now: Task, claimed: Task) -> bool:
    return now.status == Status.IN_PROGRESS and now.attempts == claimed.attempts  # K5, N2, N5


def _is_same(stored: Record, sent: dict[str, Any]) -> bool:
    if stored.status != sent["status"]:
        return False
    if stored.status == Status.FAILED:
        return bool(stored.error == sent["error"])
    return bool(wrap_result(stored.result) == sent["result"])
