"""A broker's whole state as plain JSON values, and back again, exactly."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from .callback_retries import Delivery
from .counters import Latencies
from .effects import CallbackDue
from .subscriptions import Subscription
from .task import Artifact, Happening, Record, State, Task

if TYPE_CHECKING:
    from collections import Counter

    from .broker import Broker

VERSION = 1

#: The fields of a task that are plain values.
_PLAIN = [f.name for f in fields(Task) if f.name not in ("state", "record", "history")]


def dump(broker: Broker) -> dict[str, Any]:
    """Everything that the broker knows. Tasks are listed in the order in which their queues hold them."""
    limiter, outbox, subscriptions = broker.limiter, broker.outbox, broker.subscriptions
    return {
        "version": VERSION,
        "tasks": [_dump_task(task) for task in broker.store.tasks.values()],
        # By name, since the order in which the queues came to be is not part of the state.
        "ready": [task.id for _, queue in sorted(broker.store.queues.items()) for task in queue.ready_tasks()],
        "keys": [[key, task_id, gone_at] for key, (task_id, gone_at) in broker.keys.kept.items()],
        "subscriptions": [asdict(subscription) for subscription in subscriptions.by_id.values()],
        "turns": [[command, group, count] for (command, group), count in subscriptions.turns.items()],
        "sweptAt": subscriptions.swept_at,
        "buckets": [[scope, key, tokens, at] for (scope, key), (tokens, at) in limiter.buckets.items()],
        "deliveries": [
            {"callback": asdict(delivery.callback), "due_at": delivery.due_at}
            for delivery in outbox.deliveries.values()
        ],
        "nextDelivery": outbox.next_id,
        "tally": _dump_tally(broker),
    }


def load(broker: Broker, state: dict[str, Any]) -> None:
    """Fill a new broker with what :func:`dump` returned.

    A callback that was being tried when the state was dumped is tried again. Raises ``KeyError``, ``TypeError`` or
    ``ValueError`` when the state is not one.
    """
    if state["version"] != VERSION:
        raise ValueError(f"state version {state['version']!r}: this release reads version {VERSION}")
    tasks = {task.id: task for task in map(_load_task, state["tasks"])}
    ready = [tasks[task_id] for task_id in state["ready"]]
    _load_tasks(broker, tasks, ready)
    broker.keys.kept.update({key: (task_id, gone_at) for key, task_id, gone_at in state["keys"]})
    for known in state["subscriptions"]:
        subscription = Subscription(**{**known, "commands": tuple(known["commands"])})
        broker.subscriptions.by_id[subscription.id] = subscription
    broker.subscriptions.turns.update({(command, group): count for command, group, count in state["turns"]})
    broker.subscriptions.swept_at = state["sweptAt"]
    broker.limiter.buckets.update({(scope, key): (tokens, at) for scope, key, tokens, at in state["buckets"]})
    for known in state["deliveries"]:
        callback = known["callback"]
        artifacts = tuple(Artifact(**artifact) for artifact in callback["artifacts"])
        delivery = Delivery(CallbackDue(**{**callback, "artifacts": artifacts}))
        broker.outbox.deliveries[delivery.callback.delivery_id] = delivery
        broker.outbox.wait_until(delivery, known["due_at"])
    broker.outbox.next_id = state["nextDelivery"]
    _load_tally(broker, state["tally"])


def _dump_task(task: Task) -> dict[str, Any]:
    return {
        **{name: getattr(task, name) for name in _PLAIN},
        "state": task.state.name,
        "record": asdict(task.record) if task.record is not None else None,
        "history": [
            [h.at, h.what, h.by, h.before.name if h.before is not None else None, h.after.name] for h in task.history
        ],
    }


def _load_task(known: dict[str, Any]) -> Task:
    record = known["record"]
    if record is not None:
        record = Record(**{**record, "artifacts": tuple(Artifact(**artifact) for artifact in record["artifacts"])})
    history = [
        Happening(at, what, by, State[before] if before is not None else None, State[after])
        for at, what, by, before, after in known["history"]
    ]
    return Task(**{**known, "state": State[known["state"]], "record": record, "history": history})


def _load_tasks(broker: Broker, tasks: dict[str, Task], ready: list[Task]) -> None:
    store = broker.store
    for task in tasks.values():
        store.tasks[task.id] = task
        queue = store.queue_for(task)
        match task.state:
            case State.DELAYED:
                queue.delay(task)
            case State.LEASED:
                queue.lease(task)
            case State.DEAD:
                queue.bury(task)
            case _:
                pass
    for task in ready:
        store.queue_for(task).put(task)


def _dump_tally(broker: Broker) -> dict[str, Any]:
    tally = broker.tally
    return {
        **{name: _rows(getattr(tally, name)) for name in _COUNTERS},
        "latency": [[*labels, list(known.counts), known.total] for labels, known in tally.latency.items()],
    }


_COUNTERS = ("created", "claimed", "completed", "lease_expired", "deliveries", "rate_limited")


def _rows(counter: Counter[Any]) -> list[list[Any]]:
    return [[*((labels,) if isinstance(labels, str) else labels), count] for labels, count in counter.items()]


def _load_tally(broker: Broker, known: dict[str, Any]) -> None:
    for name in _COUNTERS:
        counter: Counter[Any] = getattr(broker.tally, name)
        counter.update({labels[0] if len(labels) == 1 else tuple(labels): count for *labels, count in known[name]})
    for command, status, counts, total in known["latency"]:
        latencies = broker.tally.latency[command, status] = Latencies()
        latencies.counts, latencies.total = counts, total
