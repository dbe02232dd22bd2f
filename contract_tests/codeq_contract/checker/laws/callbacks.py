"""Laws on result callbacks: none before the end, one after it, signed."""

from __future__ import annotations

from collections.abc import Iterator

from codeq_contract.checker.events import CallbackReceived, Result
from codeq_contract.checker.history import History
from codeq_contract.checker.task_histories import TaskHistory
from codeq_contract.recordings.format import WEBHOOK_ORIGIN, bytes_of, signature
from codeq_contract.recordings.times import SECOND

from .law import Law, Violation

PATIENCE = 15 * SECOND
"""The longest duration of one try (W3). A callback has certainly been tried that long after its result."""


def unfounded_callbacks(history: History) -> Iterator[Violation]:
    """Find callbacks of tasks without a webhook, callbacks before the end, and those that report another end."""
    for task in history.tasks.values():
        for callback in task.callbacks:
            message = _problem(task, callback)
            if message:
                yield Violation(task.id, message, (*task.creates[:1], *_results(task)[:1], callback))


def _problem(task: TaskHistory, callback: CallbackReceived) -> str:
    """What is wrong with a callback, or an empty text."""
    if task.creates and not task.creates[0].task.webhook:
        return "was created without a webhook, and one was called"
    results = [result for result in _results(task) if result.sent <= callback.sent]
    if not results:
        return "was not over when its webhook was called"
    if not any((result.status, result.completed_at) == (callback.status, callback.completed_at) for result in results):
        return f"did not end as {callback.status} at {callback.completed_at}"
    return ""


def missing_callbacks(history: History) -> Iterator[Violation]:
    """Find results without a callback, if the webhook is one whose callbacks are recorded."""
    if history.settings.limits_webhooks:  # L1: a limit may delay them
        return
    for task in history.tasks.values():
        is_recorded = bool(task.creates) and task.creates[0].task.webhook.startswith(f"{WEBHOOK_ORIGIN}/")
        for result in _results(task) if is_recorded else ():
            is_called = any(callback.sent >= result.sent for callback in task.callbacks)
            if not is_called and result.answered + PATIENCE <= history.end:
                yield Violation(task.id, "ended, and its webhook was not called", (task.creates[0], result))


def _results(task: TaskHistory) -> list[Result]:
    """The results that make the server call back (W1, S6)."""
    return [
        operation
        for operation in task.operations
        if isinstance(operation, Result) and operation.is_accepted and operation.calls_back
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
