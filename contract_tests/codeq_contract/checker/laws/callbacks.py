"""Laws of result callbacks: none before the end, one after it, signed."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from codeq_contract.checker.events import Result
from codeq_contract.checker.laws.law import Breach, Law
from codeq_contract.driver.hooks import ORIGIN
from codeq_contract.recordings.times import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeq_contract.checker.events import CalledBack
    from codeq_contract.checker.history import History
    from codeq_contract.checker.task_histories import Life

PATIENCE = 15 * SECOND
"""A try may take this long (W3); that long after a result, its callback has been tried."""


def unfounded(history: History) -> Iterator[Breach]:
    """Callbacks of tasks without a webhook, before the end, or that tell another end than there was."""
    for life in history.lives.values():
        for callback in life.callbacks:
            says = _unfounded(life, callback)
            if says:
                yield Breach(life.id, says, (*life.births[:1], *_results(life)[:1], callback))


def _unfounded(life: Life, callback: CalledBack) -> str:
    if life.births and not life.births[0].task.webhook:
        return "was created without a webhook, and one was called"
    results = [result for result in _results(life) if result.sent <= callback.sent]
    if not results:
        return "was not over when its webhook was called"
    if not any((result.status, result.completed_at) == (callback.status, callback.completed_at) for result in results):
        return f"did not end as {callback.status} at {callback.completed_at}"
    return ""


def missing(history: History) -> Iterator[Breach]:
    """Results that no callback followed, though the webhook is where callbacks are recorded."""
    if history.terms.limits_webhooks:  # L1: then they may be delayed
        return
    for life in history.lives.values():
        for result in _results(life):
            told = any(callback.sent >= result.sent for callback in life.callbacks)
            if not told and _is_recorded(life) and result.answered + PATIENCE <= history.end:
                yield Breach(life.id, "ended, and its webhook was not called", (life.births[0], result))


def _is_recorded(life: Life) -> bool:
    return bool(life.births) and life.births[0].task.webhook.startswith(f"{ORIGIN}/")


def _results(life: Life) -> list[Result]:
    """The results that make the server call back (W1, S6)."""
    return [deed for deed in life.deeds if isinstance(deed, Result) and deed.accepted and deed.calls_back]


def unsigned(history: History) -> Iterator[Breach]:
    """Callbacks whose signature is not right, or missing, or there without a secret (W2)."""
    for life in history.lives.values():
        for callback in life.callbacks:
            timestamp, signature = (callback.headers.get(f"x-codeq-{name}") for name in ("timestamp", "signature"))
            right = _signature(history.terms.secret, timestamp or "", callback.body) if history.terms.secret else None
            if signature != right:
                says = (
                    "got a callback whose signature is not right" if signature else "got a callback without signature"
                )
                yield Breach(life.id, says, (*life.births[:1], callback))


def _signature(secret: str, timestamp: str, body: str) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), "sha256").hexdigest()


LAWS = (
    Law(
        "callback-cause",
        "No callback before the end, nor of another end",
        "W1 S6 N4",
        unfounded,
        withstands_lost_claims=True,
    ),
    Law("callback", "A result is followed by a callback to its webhook", "W1 W3", missing, withstands_lost_claims=True),
    Law("signature", "Callbacks are signed", "W2", unsigned, withstands_lost_claims=True),
)
