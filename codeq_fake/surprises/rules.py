"""The rules: what the documents say, what the server does instead, and which request shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from codeq_fake.core import State
from codeq_fake.core.commands import queue_name
from codeq_fake.core.times import SECOND
from codeq_fake.journal import Request

from .history import History, Lease, fields, queues_in

_OK, _NO_CONTENT, _UNAUTHORIZED = 200, 204, 401
_HIGHEST_PRIORITY = 9
_ADMIN_ONLY = "Admin only"
_TWO_DIGITS = re.compile(rb'"priority"\s*:\s*\d\d')

#: Whether a request shows a divergence, given the requests before it.
Shows: TypeAlias = Callable[[Request, History], bool]


class Rule(NamedTuple):
    """A divergence: what is `said`, what is `done`, and the requests of some `operations` that may show it.

    `where` and `unless` are capabilities, fields of `Version` or `Store`. A rule is for profiles that have `where`, if
    it names one, and not for those that have `unless`.
    """

    name: str
    clause: str
    said: str
    done: str
    operations: tuple[str, ...]
    shows: Shows
    where: str = ""
    unless: str = ""


def _heartbeat_shortens(request: Request, history: History) -> bool:
    extension = fields(request).get("extendSeconds")
    if request.status != _OK or not isinstance(extension, int) or extension <= 0:
        return False
    # In whole seconds, as `leaseUntil` shows it.
    return any(task.lease_until // SECOND < lease.until for lease, task in history.claimed(request.tasks))


def _nack_kills_early(request: Request, history: History) -> bool:
    return any(lease.deliveries < lease.task.max_attempts for lease in _dead_letters(request, history))


def _batch_skips_callback(request: Request, history: History) -> bool:
    results = fields(request).get("results")
    if not isinstance(results, list) or len(results) != len(request.tasks):
        return False  # A task is unknown.
    ended = (task for _, task in history.claimed(request.tasks) if task.state in (State.COMPLETED, State.FAILED))
    return any(task.has_webhook for task in ended)


def _priority_is_above_nine(request: Request, _: History) -> bool:
    if _TWO_DIGITS.search(request.body) is None:
        return False
    tasks = fields(request).get("tasks") if request.operation == "create_batch" else [fields(request)]
    return isinstance(tasks, list) and any(_priority_of(task) > _HIGHEST_PRIORITY for task in tasks)


def _claim_misses_expired_task(request: Request, history: History) -> bool:
    if request.status != _NO_CONTENT:
        return False
    now = request.at // SECOND
    queues = queues_in(request, "commands")
    # A lease of the same worker is one of the same tenant (K6).
    return any(
        0 < lease.until <= now and queue_name(lease.task.command) in queues and lease.worker == request.caller
        for lease in history.leases.values()
    )


def _delayed_task_has_subscriber(request: Request, history: History) -> bool:
    delayed = (task for task in request.tasks if task.state is State.DELAYED)
    return any(queue_name(task.command) in history.subscribed for task in delayed)


def _sends(request: Request, *names: str) -> bool:
    """Whether the body has one of these fields."""
    # A body may be large: it is parsed only if its text has one of the names.
    if not any(f'"{name}"'.encode() in request.body for name in names):
        return False
    return not fields(request).keys().isdisjoint(names)


def _priority_of(task: Any) -> int:  # noqa: ANN401 - any JSON value
    value = task.get("priority") if isinstance(task, dict) else None
    return value if isinstance(value, int) else 0


def _dead_letters(request: Request, history: History) -> list[Lease]:
    """The tasks that a NACK has made dead letters."""
    if request.status != _OK:
        return []
    return [lease for lease, task in history.claimed(request.tasks) if task.state is State.DEAD]


#: All divergences, in the order in which they are reported.
RULES = (
    Rule(
        "nack-fields",
        "N4",
        said="NACK takes error and willRetry",
        done="they are ignored; delaySeconds and reason count",
        operations=("nack",),
        shows=lambda request, _: _sends(request, "error", "willRetry"),
    ),
    Rule(
        "heartbeat-field",
        "H1",
        said="a heartbeat takes leaseSeconds",
        done="it is ignored; extendSeconds counts, and without it the default of 300 s",
        operations=("heartbeat",),
        shows=lambda request, _: _sends(request, "leaseSeconds"),
    ),
    Rule(
        "heartbeat-shortens",
        "H1",
        said="a heartbeat keeps a lease that is longer",
        done="the lease ends extendSeconds after the heartbeat, and here that is earlier than before",
        operations=("heartbeat",),
        shows=_heartbeat_shortens,
    ),
    Rule(
        "attempts",
        "N2",
        said="attempts count claims, or NACKs",
        done="both count, so a task is a dead letter after fewer deliveries than maxAttempts says",
        operations=("nack",),
        shows=_nack_kills_early,
    ),
    Rule(
        "dead-letter-callback",
        "N4",
        said="webhooks fire when a task fails",
        done="not when it becomes a dead letter",
        operations=("nack",),
        shows=lambda request, history: any(lease.task.has_webhook for lease in _dead_letters(request, history)),
        unless="dead_letter_calls_back",
    ),
    Rule(
        "batch-callback",
        "S6",
        said="webhooks fire for a result",
        done="not for one in a batch, unless a task of the batch is unknown",
        operations=("submit_batch",),
        shows=_batch_skips_callback,
        unless="batch_calls_back",
    ),
    Rule(
        "priority",
        "C5",
        said="priority goes from 0 to 10",
        done="from 0 to 9, and what is above becomes 9",
        operations=("create", "create_batch"),
        shows=_priority_is_above_nine,
    ),
    Rule(
        "expired-lease",
        "K7",
        said="a task whose lease has run out goes back to its queue",
        done="the next claim only delays it, by the backoff policy; once that is over another claim gets it",
        operations=("claim", "claim_batch"),
        shows=_claim_misses_expired_task,
        unless="reaper_interval",
    ),
    Rule(
        "expired-lease",
        "P6",
        said="a task whose lease has run out goes back to its queue",
        done="a claim or the reaper delays it, by the backoff policy; if it was the reaper, no claim finds it until "
        "another task of its command and tenant is delayed",
        operations=("claim", "claim_batch"),
        shows=_claim_misses_expired_task,
        where="reaper_interval",
    ),
    Rule(
        "delayed-notice",
        "U3",
        said="queue-ready notices come for delayed tasks too",
        done="only for one that is created, without a delay, into an empty queue",
        operations=("create", "create_batch"),
        shows=_delayed_task_has_subscriber,
        unless="announces_all",
    ),
    Rule(
        "delayed-notice",
        "P10",
        said="queue-ready notices come for delayed tasks too",
        done="only for one that is created without a delay",
        operations=("create", "create_batch"),
        shows=_delayed_task_has_subscriber,
        where="announces_all",
    ),
    Rule(
        "admin-refusal",
        "A8",
        said="a caller who is not an admin gets 403",
        done="the caller gets 401, as without a token",
        operations=("queues", "queue", "cleanup"),
        shows=lambda request, _: request.status == _UNAUTHORIZED and _ADMIN_ONLY in request.error,
    ),
    Rule(
        "healthz",
        "R18",
        said="GET /healthz reports that the server runs",
        done="there is no such path",
        operations=("",),
        shows=lambda request, _: (request.method, request.path.partition("?")[0]) == ("GET", "/healthz"),
    ),
    Rule(
        "queue-statistics",
        "M1",
        said="GET /v1/codeq/admin/queues gives statistics of each queue",
        done="it gives the sizes of two built-in commands' queues without a tenant; add the command to the path",
        operations=("queues",),
        shows=lambda request, _: request.status == _OK,
        unless="lists_all_queues",
    ),
)
