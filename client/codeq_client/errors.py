"""Every error that this package raises: what happened, and what to do about it.

CodeQError
├── ConfigurationError        wrong argument or setting; nothing was sent. Correct the caller.
│   ├── EncodeError           JSON, or the server's numbers, cannot hold the value. Send such values as text.
│   └── SubjectChanged        a new token names another subject while leases are held. Keep one subject a worker.
├── DecodeError               a payload or result is not of the type asked for. Correct the type or the sender.
├── Unavailable               no usable answer came. `sent` tells whether the server may have acted.
│   └── BadReply              an answer came that is not CodeQ's. Look at the URL and at proxies on the way.
├── Refused                   the server said no; `status` and `message` are its words.
│   ├── BadRequest            400: the arguments. Correct the caller.
│   ├── Unauthorized          401: no token, an expired or a foreign one. Look at the token's issuer and audience.
│   ├── Forbidden             403: the token lacks a scope or an event type. Ask for another token.
│   ├── NotOwner              403: the task is not, or no longer, leased to this worker. Drop the work.
│   ├── NotInProgress         409: the task was requeued or is finished. Drop the work.
│   ├── NotFound              404: nothing there.
│   │   ├── TaskNotFound      no such task: a wrong id, or it was cleaned up (24 h after it was last touched).
│   │   ├── ResultNotFound    the task has no result: it is not finished, or it is a dead letter.
│   │   └── SubscriptionNotFound  it ended and was swept. Subscribe again.
│   ├── RateLimited           429: come again in `retry_after` seconds.
│   └── ServerError           5xx: the server, or a proxy before it, failed.
├── LeaseLost                 a handler's lease is over, for `reason`. Stop at once; another worker may have the task.
├── TaskFailed                the awaited task ended FAILED; `message` is the worker's or the server's text.
│   └── TaskDead              it used up its attempts and is a dead letter: it has no result, nothing will come.
├── WaitTimeout               the awaited task did not end in time; it may yet. It is a `TimeoutError` too.
└── InvalidSignature          a webhook was not signed with our secret, or too long ago. Do not act on it.
"""

from __future__ import annotations

from ._task import Task


class CodeQError(Exception):
    """The root: `except CodeQError` catches all that this package raises."""


class ConfigurationError(CodeQError, ValueError):
    """An argument or a setting is wrong; nothing was sent."""


class EncodeError(ConfigurationError):
    """A value cannot travel unchanged: JSON has no such value, or the server would round it (T1)."""


class SubjectChanged(ConfigurationError):
    """A renewed worker token names another subject while leases are held, which only the old subject may renew."""


class DecodeError(CodeQError):
    """A payload or a result does not fit the type asked for; the message names the path within it."""


class Unavailable(CodeQError):
    """No usable answer: refused, reset, timed out. `sent` is False only when the server surely saw nothing."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class BadReply(Unavailable):
    """An answer that is not CodeQ's: no JSON, or not of the documented shape. Whether it acted is unknown."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=True)


class Refused(CodeQError):
    """The server answered with an error. `status` is the HTTP status, `message` the server's text."""

    def __init__(self, message: str, *, status: int, request_id: str = "") -> None:
        super().__init__(f"{message} (HTTP {status}{f', request {request_id}' if request_id else ''})")
        self.message = message
        self.status = status
        self.request_id = request_id


class BadRequest(Refused):
    """400: the server does not accept the arguments."""


class Unauthorized(Refused):
    """401: the token is missing, expired or not of this server's issuer; for admin routes also: no administrator."""


class Forbidden(Refused):
    """403: the token lacks the route's scope, or a command is not among its event types."""


class NotOwner(Refused):
    """403: the task is leased to another worker, or to none any more (H2, N1, S1)."""


class NotInProgress(Refused):
    """409: the task was requeued, or is finished (N1, S1)."""


class NotFound(Refused):
    """404: the server has no such thing."""


class TaskNotFound(NotFound):
    """No such task, which heartbeat and abandon say with a 500 (H2)."""


class ResultNotFound(NotFound):
    """The task exists and has no result: unfinished, or a dead letter (S7)."""


class SubscriptionNotFound(NotFound):
    """The subscription ended and was swept (U9)."""


class RateLimited(Refused):
    """429: too many calls with this token; `retry_after` is in seconds (L1)."""

    def __init__(self, message: str, *, status: int, request_id: str = "", retry_after: float) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.retry_after = retry_after


class ServerError(Refused):
    """5xx: the server, or a proxy before it, failed. Whether it acted is unknown."""


class LeaseLost(CodeQError):
    """The lease on the task is over, for `reason`; what its handler still does is wasted."""

    def __init__(self, task_id: str, reason: str) -> None:
        super().__init__(f"the lease on task {task_id} is lost: {reason}")
        self.task_id = task_id
        self.reason = reason


class TaskFailed(CodeQError):
    """The awaited task ended FAILED. `message` is its error text, `task` its last state."""

    def __init__(self, task: Task, message: str) -> None:
        super().__init__(f"task {task.id} ({task.command}) failed: {message}")
        self.task = task
        self.message = message


class TaskDead(TaskFailed):
    """The awaited task used up its attempts and is a dead letter (N4)."""


class WaitTimeout(CodeQError, TimeoutError):
    """The awaited task did not end in time; `task` is its last seen state."""

    def __init__(self, task: Task, seconds: float) -> None:
        leased = f" ({task.worker_id}, leased until {task.lease_until})" if task.lease_until else ""
        super().__init__(f"task {task.id} ({task.command}) is still {task.status}{leased} after {seconds:g} s")
        self.task = task


class InvalidSignature(CodeQError):
    """A webhook's signature is missing, wrong or too old (W2)."""
