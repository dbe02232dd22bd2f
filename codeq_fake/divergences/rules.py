"""Section 17 as a table: what upstream's documents say, what v0.3.3 does, and which request shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codeq_fake.auth.caller import tenant_of
from codeq_fake.core import State
from codeq_fake.core.backoff import DEFAULT_POLICY, POLICIES
from codeq_fake.core.commands import BUILT_IN_COMMANDS, queue_name
from codeq_fake.core.times import SECOND
from codeq_fake.settings import StaticAuth

from .past import Lease
from .surprise import Surprise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from codeq_fake.settings import Settings

    from .call import Call
    from .past import Past

_OK, _NO_CONTENT, _UNAUTHORIZED = 200, 204, 401
_HIGHEST_PRIORITY = 9
_ADMIN_ONLY = "Admin only"
_TWO_DIGITS = re.compile(rb'"priority"\s*:\s*\d\d')


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table. ``shows`` says whether a call of one of the ``operations`` shows it."""

    name: str
    clause: str
    said: str
    done: str
    operations: tuple[str, ...]
    shows: Callable[[Call, Past], bool]

    def surprise(self, call: Call) -> Surprise:
        """What is told of it."""
        return Surprise(self.name, self.clause, self.said, self.done, call.request.n)


def _sends(*names: str) -> Callable[[Call, Past], bool]:
    """Whether the body has one of these fields."""
    quoted = [f'"{name}"'.encode() for name in names]

    def shows(call: Call, _: Past) -> bool:
        # Read only when the bytes let it be hoped for: bodies may be large, and this is asked of each.
        return any(name in call.request.body for name in quoted) and not call.fields().keys().isdisjoint(names)

    return shows


def _always(_: Call, __: Past) -> bool:
    return True


def _is_answered(call: Call, _: Past) -> bool:
    return call.request.status == _OK


def _too_urgent(call: Call, _: Past) -> bool:
    if _TWO_DIGITS.search(call.request.body) is None:
        return False
    fields = call.fields()
    tasks = fields.get("tasks") if call.operation == "create_batch" else [fields]
    return isinstance(tasks, list) and any(_priority(task) > _HIGHEST_PRIORITY for task in tasks)


def _priority(task: Any) -> int:  # noqa: ANN401 - whatever the client has sent
    priority = task.get("priority") if isinstance(task, dict) else None
    return priority if isinstance(priority, int) else 0


def _shortens(call: Call, past: Past) -> bool:
    """Compared in whole seconds, as `leaseUntil` has them."""
    extension = call.fields().get("extendSeconds")
    if call.request.status != _OK or not isinstance(extension, int) or extension <= 0:
        return False
    return any(
        task.lease_until // SECOND < past.leases[task.id].until for task in call.request.tasks if task.id in past.leases
    )


def _dead_lease(call: Call, past: Past) -> Lease | None:
    """What is known of the task that a NACK has made a dead letter."""
    dead = (task.id for task in call.request.tasks if call.request.status == _OK and task.state is State.DEAD)
    return past.leases.get(next(dead, ""))


def _dies_early(call: Call, past: Past) -> bool:
    lease = _dead_lease(call, past)
    return lease is not None and lease.deliveries < lease.task.max_attempts


def _dies_unheard(call: Call, past: Past) -> bool:
    lease = _dead_lease(call, past)
    return lease is not None and lease.task.has_webhook


def _ends_unheard(call: Call, past: Past) -> bool:
    """With an unknown id among them, each result is stored by itself, with its callback."""
    results, tasks = call.fields().get("results"), call.request.tasks
    if not isinstance(results, list) or len(results) != len(tasks):
        return False
    return any(
        task.has_webhook and task.state in (State.COMPLETED, State.FAILED) and task.id in past.leases for task in tasks
    )


def _finds_no_expired(call: Call, past: Past) -> bool:
    """The claim that finds an expired lease only delays its task. Its worker has the same tenant (K6)."""
    if call.request.status != _NO_CONTENT:
        return False
    now = call.request.at // SECOND
    queues = set(map(queue_name, call.texts("commands") or BUILT_IN_COMMANDS))
    return any(
        0 < lease.until <= now and queue_name(lease.task.command) in queues and lease.worker == call.request.caller
        for lease in past.leases.values()
    )


def _delays_unheard(call: Call, past: Past) -> bool:
    return any(
        task.state is State.DELAYED and queue_name(task.command) in past.subscribed for task in call.request.tasks
    )


def _is_refused(call: Call, _: Past) -> bool:
    return call.request.status == _UNAUTHORIZED and _ADMIN_ONLY in call.request.error


RULES = (
    Rule(
        "nack-fields",
        "N4",
        "NACK takes error and willRetry",
        "they are ignored; delaySeconds and reason count",
        ("nack",),
        _sends("error", "willRetry"),
    ),
    Rule(
        "heartbeat-field",
        "H1",
        "a heartbeat takes leaseSeconds",
        "it is ignored; extendSeconds counts, and without it the default of 300 s",
        ("heartbeat",),
        _sends("leaseSeconds"),
    ),
    Rule(
        "heartbeat-shortens",
        "H1",
        "a heartbeat keeps a lease that is longer",
        "the lease ends so many seconds after the heartbeat, and here that is earlier than before",
        ("heartbeat",),
        _shortens,
    ),
    Rule(
        "attempts",
        "N2",
        "attempts count claims, or NACKs",
        "both count, so a task is a dead letter after fewer deliveries than maxAttempts says",
        ("nack",),
        _dies_early,
    ),
    Rule(
        "dead-letter-callback",
        "N4",
        "webhooks fire when a task fails",
        "not when it becomes a dead letter",
        ("nack",),
        _dies_unheard,
    ),
    Rule(
        "batch-callback",
        "S6",
        "webhooks fire for a result",
        "not for one that is handed in with others, unless one of their tasks is unknown",
        ("submit_batch",),
        _ends_unheard,
    ),
    Rule(
        "priority",
        "C5",
        "priority goes from 0 to 10",
        "from 0 to 9, and what is above becomes 9",
        ("create", "create_batch"),
        _too_urgent,
    ),
    Rule(
        "expired-lease",
        "K7",
        "a task whose lease has run out goes back to its queue",
        "the next claim only delays it, by the backoff policy; once that is over another claim gets it",
        ("claim", "claim_batch"),
        _finds_no_expired,
    ),
    Rule(
        "delayed-notice",
        "U3",
        "queue-ready notices come for delayed tasks too",
        "only for one that is created, without a delay, into an empty queue",
        ("create", "create_batch"),
        _delays_unheard,
    ),
    Rule(
        "admin-refusal",
        "A8",
        "who is no admin is answered 403",
        "it is 401, as for who has no token",
        ("queues", "queue", "cleanup"),
        _is_refused,
    ),
    Rule("healthz", "R18", "GET /healthz tells that the server runs", "there is no such path", ("healthz",), _always),
    Rule(
        "queue-statistics",
        "M1",
        "GET /v1/codeq/admin/queues gives statistics of each queue",
        "it gives the sizes of two built-in commands' queues without a tenant; add the command to the path",
        ("queues",),
        _is_answered,
    ),
)


def of_settings(settings: Settings) -> Iterator[Surprise]:
    """What the fake's own settings show."""
    for name in settings.unread:
        yield Surprise("variable", "settings", f"the environment may set {name}", "it is not read from there")
    if settings.backoff_policy == "exponential":
        yield Surprise(
            "exponential", "N6", "exponential waits base*2^(attempts-1)", "it waits base*2^attempts: twice as long"
        )
    if settings.backoff_policy not in POLICIES:
        yield Surprise(
            "policy",
            "N6",
            f"{settings.backoff_policy} is a backoff policy",
            f"it acts as {DEFAULT_POLICY}, as any unknown",
        )
    producer, worker = settings.producer_auth, settings.worker_auth
    if settings.auth_given and isinstance(producer, StaticAuth) and isinstance(worker, StaticAuth):
        tenants = [tenant_of(auth.raw, auth.subject) for auth in (producer, worker)]
        if tenants[0] != tenants[1]:
            yield Surprise(
                "tenants",
                "A9",
                "a producer's and a worker's token need no tenant to meet",
                f"the tenant is the subject then: {tenants[0]!r} and {tenants[1]!r} never meet",
            )
