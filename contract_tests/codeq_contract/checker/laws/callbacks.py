"""Laws on result callbacks: none before the end, one after it, signed."""

from __future__ import annotations

from collections.abc import Iterator

from codeq_contract.checker.events import CallbackReceived, Nack, Result
from codeq_contract.checker.history import History
from codeq_contract.checker.settings import Settings
from codeq_contract.checker.task_histories import TaskHistory
from codeq_contract.recordings.format import WEBHOOK_ORIGIN, bytes_of, signature
from codeq_contract.recordings.times import SECOND

from .law import Law, Violation

_FAILED = "FAILED"

PATIENCE = 15 * SECOND
"""The longest duration of one try (W3). A callback has certainly been tried that long after its result."""


def unfounded_callbacks(history: History) -> Iterator[Violation]:
    """Find callbacks of tasks without a webhook, callbacks before the end, and those that report another end."""
    for task in history.tasks.values():
        for callback in task.callbacks:
            message = _problem(task, callback, history.settings)
            if message:
                ends = _ends(task, history.settings)
                yield Violation(task.id, message, (*task.creates[:1], *ends[:1], callback))


def _problem(task: TaskHistory, callback: CallbackReceived, settings: Settings) -> str:
    """What is wrong with a callback, or an empty text."""
    if task.creates and not task.creates[0].task.webhook:
        return "was created without a webhook, and one was called"
    if settings.has_reaper and _may_be_reaped(task, callback):
        return ""
    ends = [end for end in _ends(task, settings) if end.sent <= callback.arrived]
    if not ends:
        return "was not over when its webhook was called"
    if not any(_reports(callback, end) for end in ends):
        return f"did not end as {callback.status} at {callback.completed_at}"
    return ""


def _may_be_reaped(task: TaskHistory, callback: CallbackReceived) -> bool:
    """Whether the reaper may have made the task a dead letter before it called back (P5)."""
    return callback.status == _FAILED and any(expiry <= callback.arrived for expiry in task.expiries)


def _reports(callback: CallbackReceived, end: Result | Nack) -> bool:
    """Whether a callback reports this end. The reply to a NACK does not show its time."""
    if isinstance(end, Result):
        return (end.status, end.completed_at) == (callback.status, callback.completed_at)
    return callback.status == _FAILED


def missing_callbacks(history: History) -> Iterator[Violation]:
    """Find ends without a callback, if the webhook is one whose callbacks are recorded."""
    if history.settings.limits_webhooks:  # L1: a limit may delay them
        return
    for task in history.tasks.values():
        is_recorded = bool(task.creates) and task.creates[0].task.webhook.startswith(f"{WEBHOOK_ORIGIN}/")
        for end in _ends(task, history.settings) if is_recorded else ():
            is_called = any(callback.arrived >= end.sent for callback in task.callbacks)
            if not is_called and end.answered + PATIENCE <= history.end:
                yield Violation(task.id, "ended, and its webhook was not called", (task.creates[0], end))


def _ends(task: TaskHistory, settings: Settings) -> list[Result | Nack]:
    """The operations that make the server call back: results, and on some versions NACKs of the last attempt."""
    return [
        operation
        for operation in task.operations
        if (isinstance(operation, Result) and operation.is_accepted and operation.calls_back)  # W1, S6, G5
        or (isinstance(operation, Nack) and operation.dead and settings.always_calls_back)  # G6
    ]


def wrong_signatures(history: History) -> Iterator[Violation]:
    """Find callbacks with a wrong signature, without one, or with one although there is no secret (W2)."""
    for task in history.tasks.values():
        for callback in task.callbacks:
            timestamp, given = (callback.headers.get(f"x-codeq-{name}") for name in ("timestamp", "signature"))
            secret = history.settings.secret
            if given != (signature(secret, timestamp or "", bytes_of(callback.body)) if secret else None):
                problem = "whose signature is not right" if given else "without signature"
                yield Violation(task.id, f"got a callback {problem}", (*task.creates[:1], callback))


LAWS = (
    Law(
        "callback-cause",
        "No callback before the end, nor of another end",
        "W1 S6 N4",
        unfounded_callbacks,
        ignores_lost_claims=True,
    ),
    Law(
        "callback",
        "A result is followed by a callback to its webhook",
        "W1 W3",
        missing_callbacks,
        ignores_lost_claims=True,
    ),
    Law("signature", "Callbacks are signed", "W2", wrong_signatures, ignores_lost_claims=True),
)
