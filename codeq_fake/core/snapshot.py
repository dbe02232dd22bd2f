"""Snapshots: the whole state of a broker as plain JSON values, and its exact restoration."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from .broker import Broker
from .callback_retries import Delivery
from .codec import MismatchError, codec
from .counters import LATENCY_BOUNDS, Histogram
from .queue import PRIORITIES, Queue
from .subscriptions import Subscription
from .task import State, Task

VERSION = 1


class InvalidState(ValueError):
    """A JSON value is not the state of a fake. The text says why."""


class CountersState(TypedDict):
    """The rows of the counters: labels and count; of the latency labels, counts and sum."""

    created: list[tuple[str, int]]
    claimed: list[tuple[str, int]]
    completed: list[tuple[str, str, int]]
    lease_expired: list[tuple[str, int]]
    deliveries: list[tuple[str, str, str, int]]
    rate_limited: list[tuple[str, str, int]]
    latency: list[tuple[str, str, list[int], float]]


class BrokerState(TypedDict):
    """Everything that a broker knows."""

    version: int
    tasks: list[Task]
    ready: list[str]
    keys: list[tuple[str, str, int]]
    subscriptions: list[Subscription]
    turns: list[tuple[str, str, int]]
    sweptAt: int
    buckets: list[tuple[str, str, float, int]]
    deliveries: list[Delivery]
    nextDelivery: int
    tally: CountersState


class FakeState(TypedDict):
    """The state of a fake: the name of its store profile, its instant (RFC 3339), and its broker's state."""

    profile: str
    now: str
    broker: BrokerState


#: What adds a task to its queue; a READY or UNLEASED one comes from the list `ready`.
_PLACES = {State.DELAYED: Queue.delay, State.LEASED: Queue.put_leased, State.DEAD: Queue.add_dead_letter}
_COUNTERS = ("created", "claimed", "completed", "lease_expired", "deliveries", "rate_limited")


def dump(broker: Broker) -> dict[str, Any]:
    """The JSON value of a broker's state."""
    counters, subscriptions = broker.counters, broker.subscriptions
    state: dict[str, Any] = codec(BrokerState).dump(
        {
            "version": VERSION,
            "tasks": broker.store.tasks.values(),
            # Sorted by name, since the order in which the queues were created is not part of the state.
            "ready": [task.id for _, queue in sorted(broker.store.queues.items()) for task in queue.ready_tasks()],
            "keys": _rows(broker.keys.kept),
            "subscriptions": subscriptions.by_id.values(),
            "turns": _rows(subscriptions.turns),
            "sweptAt": subscriptions.swept_at,
            "buckets": _rows(broker.rate_limiter.buckets),
            "deliveries": broker.callbacks.deliveries.values(),
            "nextDelivery": broker.callbacks.next_id,
            "tally": {
                **{name: _rows(getattr(counters, name)) for name in _COUNTERS},
                "latency": [(*labels, known.counts, known.total) for labels, known in counters.latency.items()],
            },
        }
    )
    return state


def load(state: Mapping[str, Any]) -> FakeState:
    """The state of a fake, read from its JSON value. Raises InvalidState."""
    broker = state.get("broker")
    version = broker.get("version") if isinstance(broker, dict) else None
    if version != VERSION:
        raise InvalidState(f"no state that this release reads: found version {version!r}, {VERSION} is known")
    try:
        loaded: FakeState = codec(FakeState).load(state)
    except MismatchError as error:
        raise InvalidState(f"no state of a fake: {error}") from None
    for reason in _contradictions(loaded["broker"]):
        raise InvalidState(f"no state of a fake: {reason}")
    return loaded


def restore(broker: Broker, state: BrokerState) -> None:
    """Fill a new broker with a state. A callback whose try was under way is tried again."""
    store, counters = broker.store, broker.counters
    for task in state["tasks"]:
        store.tasks[task.id] = task
        if task.state in _PLACES:
            _PLACES[task.state](store.queue_for(task), task)
    for task_id in state["ready"]:
        store.queue_for(store.tasks[task_id]).put(store.tasks[task_id])
    broker.keys.kept.update({key: (task_id, gone_at) for key, task_id, gone_at in state["keys"]})
    broker.subscriptions.by_id.update({subscription.id: subscription for subscription in state["subscriptions"]})
    broker.subscriptions.turns.update({(command, group): count for command, group, count in state["turns"]})
    broker.subscriptions.swept_at = state["sweptAt"]
    broker.rate_limiter.buckets.update({(scope, key): (tokens, at) for scope, key, tokens, at in state["buckets"]})
    for delivery in state["deliveries"]:
        broker.callbacks.deliveries[delivery.callback.delivery_id] = delivery
        broker.callbacks.schedule(delivery, delivery.due_at)
    broker.callbacks.next_id = state["nextDelivery"]
    for name in _COUNTERS:
        rows: list[Any] = state["tally"][name]  # type: ignore[literal-required]  # a name of the TypedDict
        getattr(counters, name).update(
            {labels[0] if len(labels) == 1 else tuple(labels): count for *labels, count in rows}
        )
    for command, status, counts, total in state["tally"]["latency"]:
        histogram = counters.latency[command, status] = Histogram()
        histogram.counts, histogram.total = counts, total


def _rows(mapping: Mapping[Any, Any]) -> list[tuple[Any, ...]]:
    """Each key and value of a mapping as one row; a tuple has a column for each of its parts."""
    return [(*_columns(key), *_columns(value)) for key, value in mapping.items()]


def _columns(value: object) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _contradictions(broker: BrokerState) -> Iterator[str]:
    """Why a broker cannot be in this state, although each value by itself is possible."""
    ids = Counter(task.id for task in broker["tasks"])
    yield from (f"task {task_id} is there {times} times" for task_id, times in ids.items() if times > 1)
    states = {task.id: task.state for task in broker["tasks"]}
    listed = dict.fromkeys(broker["ready"])
    # A finished task can be listed, too: a duplicate of its id is pending (Z1).
    must_be_listed = (State.READY, State.UNLEASED)
    may_be_listed = (*must_be_listed, State.COMPLETED, State.FAILED)
    if (
        len(listed) < len(broker["ready"])
        or any(states.get(task_id) not in may_be_listed for task_id in listed)
        or any(state in must_be_listed and task_id not in listed for task_id, state in states.items())
    ):
        yield "ready does not list exactly the tasks that are READY, each once"
    for task in broker["tasks"]:
        if task.priority not in range(PRIORITIES) or task.attempts < 0:
            yield f"task {task.id} has priority {task.priority} and {task.attempts} attempts"
        if not _is_json(task.payload, object):
            yield f"the payload of task {task.id} is not JSON text"
        if task.record is not None and not _is_result(task.record.result):
            yield f"the result of task {task.id} is not the text of a JSON object"
    callbacks = [delivery.callback for delivery in broker["deliveries"]]
    numbers = dict.fromkeys(callback.delivery_id for callback in callbacks)
    if len(numbers) < len(callbacks) or max(numbers, default=0) >= broker["nextDelivery"]:
        yield "deliveries do not have distinct numbers below nextDelivery"
    for callback in callbacks:
        if callback.attempt < 1 or not _is_result(callback.result):
            yield f"delivery {callback.delivery_id} is invalid"
    if any(len(counts) != len(LATENCY_BOUNDS) + 1 for *_, counts, _ in broker["tally"]["latency"]):
        yield f"a latency does not have {len(LATENCY_BOUNDS) + 1} counts"


def _is_result(text: str | None) -> bool:
    """Whether a record can have this result."""
    return text is None or _is_json(text, dict)


def _is_json(text: str, wanted: type) -> bool:
    try:
        return isinstance(json.loads(text), wanted)
    except RecursionError:
        return True  # text that nests deeper than Python reads is legal (B1)
    except ValueError:
        return False
