"""The saved state: all of a broker as plain JSON values, and how it is restored (the file: `control.state_file`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypedDict

from codeq_fake.documents import excerpt

from .broker import Broker
from .callback_retries import Delivery
from .codec import MismatchError, codec, load_in_slices
from .consistency import contradictions
from .counters import Histogram
from .frozen_items import FrozenItems
from .queue import Leftovers, Queue
from .slices import Slices, in_order
from .subscriptions import Subscription
from .task import State, Task
from .topics import Topic

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
    topics: list[Topic]
    repaired: list[tuple[str, str, int]]
    heard: list[tuple[str, int]]
    unseenDelays: list[tuple[str, str, int]]
    leftovers: list[tuple[str, str, str, int, str]]
    staleEntries: list[tuple[int, str]]


class FakeState(TypedDict):
    """The state of a fake: the name of its store profile, its instant (RFC 3339), and its broker's state."""

    profile: str
    now: str
    broker: BrokerState


#: What adds a task without a lease to its queue; a READY or UNLEASED one comes from the list `ready`.
_PLACES = {State.DELAYED: Queue.delay, State.DEAD: Queue.add_dead_letter}
#: The parts that states of older releases lack. A state in which a part lacks a field is refused.
_NEW_PARTS: Mapping[str, list[Any]] = MappingProxyType(
    {"topics": [], "repaired": [], "heard": [], "unseenDelays": [], "leftovers": [], "staleEntries": []}
)
_COUNTERS = ("created", "claimed", "completed", "lease_expired", "deliveries", "rate_limited")


def dump(broker: Broker) -> dict[str, Any]:
    """The JSON value of a broker's state."""
    tasks = map(codec(Task).dump, broker.store.tasks.values())
    pending = map(Queue.pending_ids, broker.store.queues.values())
    return {name: _whole(part) for name, part in _parts(broker, tasks, pending).items()}


def begin_dump(broker: Broker) -> dict[str, Any]:
    """The JSON value of a broker's state at this instant, with iterators in the place of long lists.

    They may be read later, while the broker goes on. Those of the tasks and of `ready` have to be read to their ends or
    closed. An item None only says that others may have a turn.
    """
    store = broker.store
    tasks = FrozenItems(store.all(), codec(Task).dump, store.watch_of_tasks)
    pending = FrozenItems(list(store.queues.values()), Queue.pending_ids, store.watch_of_queues)
    return _parts(broker, iter(tasks), iter(pending))


def _parts(broker: Broker, tasks: Iterator[dict[str, Any]], pending: Iterator[Iterator[str]]) -> dict[str, Any]:
    """The members of a saved state, with iterators of the tasks and of the pending lists, which may be long."""
    counters, subscriptions = broker.counters, broker.subscriptions
    # Of what can change before it is read, the present values.
    subscribed = [(one, one.expires_at, one.throttled_until) for one in subscriptions.by_id.values()]
    delivered = [(one.callback, one.due_at) for one in broker.callbacks.deliveries.values()]
    dump_delivery = codec(Delivery).dump
    # Only an embedded store leaves something in queues. To look at all of them takes a while.
    queues = list(broker.store.queues.items()) if broker.reaper is not None else []
    return {
        "version": VERSION,
        "tasks": tasks,
        "ready": _in_claim_order(list(broker.store.queues), pending),
        "keys": _rows(broker.keys.kept),
        "subscriptions": itertools.starmap(_dump_subscription, subscribed),
        "turns": _rows(subscriptions.turns),
        "sweptAt": subscriptions.swept_at,
        "buckets": _rows(broker.rate_limiter.buckets),
        "deliveries": (dump_delivery(Delivery(callback, due_at)) for callback, due_at in delivered),
        "nextDelivery": broker.callbacks.next_id,
        "tally": {
            **{name: _rows(getattr(counters, name)) for name in _COUNTERS},
            "latency": ([*labels, known.counts, known.total] for labels, known in counters.frozen_latencies()),
        },
        "topics": map(codec(Topic).dump, list(broker.topics.by_name.values())),
        "repaired": _rows(broker.requeueing.repaired),
        "heard": _rows(subscriptions.heard),
        "unseenDelays": sorted([*key, queue.unseen_delays] for key, queue in queues if queue.unseen_delays),
        "leftovers": sorted([*key, *row] for key, queue in queues for row in _leftovers(queue)),
        "staleEntries": sorted(map(list, broker.entry_index.stale)) if broker.entry_index is not None else [],
    }


def _leftovers(queue: Queue) -> Iterator[tuple[str, int, str]]:
    """The ids that a clean-up has left in a queue, with their place and its number: a priority or a due time (P8)."""
    left = queue.leftovers
    if left is None:
        return
    for priority, ready in queue.pending.items():
        yield from (("ready", priority, task_id) for task_id in ready.left_ids())
    yield from (("delayed", due, task_id) for due, task_id in left.delayed)
    yield from (("inProgress", 0, task_id) for task_id in left.in_progress)
    yield from (("dead", 0, task_id) for task_id in left.dead)


def _restore_leftover(queue: Queue, place: str, number: int, task_id: str) -> None:
    """Put back the id of a deleted task: `number` is its priority if it was ready, its due time (ns) if delayed."""
    left = queue.leftovers = queue.leftovers or Leftovers()
    match place:
        case "ready":
            ready = queue.pending.get(number)
            (queue.add_list(number) if ready is None else ready).append_id(task_id)
        case "delayed":
            left.delayed.add((number, task_id))
        case "inProgress":
            left.in_progress.add(task_id)
        case _:
            left.dead.add(task_id)


def _in_claim_order(keys: list[tuple[str, str]], pending: Iterator[Iterator[str]]) -> Iterator[str | None]:
    """The ids of pending tasks by queue, in the order of their claims.

    The queues are sorted by name, since the order in which they were created is not part of the state.
    """
    rows: list[tuple[tuple[str, str], Iterator[str]]] = []
    for row in zip(keys, pending, strict=True):
        rows.append(row)
        yield None
    for _, ids in (yield from in_order(rows)):
        yield from ids


def _dump_subscription(subscription: Subscription, expires_at: int, throttled_until: int) -> dict[str, Any]:
    dumped: dict[str, Any] = codec(Subscription).dump(subscription)
    return {**dumped, "expires_at": expires_at, "throttled_until": throttled_until}


def _whole(part: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A member of a saved state with lists in the place of iterators, without the items None."""
    if isinstance(part, dict):
        return {name: _whole(value) for name, value in part.items()}
    return [item for item in part if item is not None] if isinstance(part, Iterator) else part


def load(state: Mapping[str, Any]) -> Slices[FakeState]:
    """The state of a fake, read from its JSON value. Raises InvalidState."""
    broker = state.get("broker")
    version = broker.get("version") if isinstance(broker, dict) else None
    if not isinstance(broker, dict) or version != VERSION:
        raise InvalidState(f"no state that this release reads: found version {excerpt(version)}, {VERSION} is known")
    try:
        loaded: FakeState = yield from load_in_slices(FakeState, {**state, "broker": _with_new_parts(broker)})
    except MismatchError as error:
        raise InvalidState(f"no state of a fake: {error}") from None
    for reason in contradictions(loaded["broker"]):
        if reason:
            raise InvalidState(f"no state of a fake: {reason}")
        yield
    return loaded


def _with_new_parts(broker: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state of a broker with the parts that older releases did not have."""
    return {**_NEW_PARTS, **broker}


def restore(broker: Broker, state: BrokerState) -> Slices[None]:
    """Fill a new broker with a state that `load` has checked. A callback whose try was under way is tried again."""
    store, counters = broker.store, broker.counters
    _restore_embedded(broker, state)
    for task in state["tasks"]:
        store.keep(task)
        if task.state is State.LEASED:
            broker.leases.index(task, store.queue_for(task))
        elif task.state in _PLACES:
            _PLACES[task.state](store.queue_for(task), task)
        yield
    for task_id in state["ready"]:
        store.queue_for(store.tasks[task_id]).put(store.tasks[task_id])
        yield
    broker.keys.kept.update({key: (task_id, expiry) for key, task_id, expiry in state["keys"]})
    yield
    broker.subscriptions.by_id.update({subscription.id: subscription for subscription in state["subscriptions"]})
    broker.subscriptions.turns.update({(command, group): count for command, group, count in state["turns"]})
    broker.subscriptions.swept_at = state["sweptAt"]
    broker.rate_limiter.buckets.update({(scope, key): (tokens, at) for scope, key, tokens, at in state["buckets"]})
    broker.topics.by_name.update({(topic.tenant, topic.name): topic for topic in state["topics"]})
    broker.requeueing.repaired.update({(tenant, name): at for tenant, name, at in state["repaired"]})
    for delivery in state["deliveries"]:
        if not (delivery.callback.artifacts or broker.profile.version.batch_calls_back):
            # Older releases saved an empty list where the callback says null.
            delivery.callback = replace(delivery.callback, artifacts=None)
        broker.callbacks.deliveries[delivery.callback.delivery_id] = delivery
        broker.callbacks.schedule(delivery, delivery.due_at)
        yield
    broker.callbacks.next_id = state["nextDelivery"]
    for name in _COUNTERS:
        rows: list[Any] = state["tally"][name]  # type: ignore[literal-required]  # a name of the TypedDict
        getattr(counters, name).update(
            {labels[0] if len(labels) == 1 else tuple(labels): count for *labels, count in rows}
        )
        yield
    for command, status, counts, total in state["tally"]["latency"]:
        counters.latency[command, status] = Histogram(counts, total)
        yield


def _restore_embedded(broker: Broker, state: BrokerState) -> None:
    """Restore what only an embedded store has, except for tasks."""
    for tenant, name, place, number, task_id in state["leftovers"]:
        _restore_leftover(broker.store.queue_at(tenant, name), place, number, task_id)
    for tenant, name, count in state["unseenDelays"]:
        broker.store.queue_at(tenant, name).unseen_delays = count
    if broker.entry_index is not None:
        broker.entry_index.stale.update(state["staleEntries"])
    broker.subscriptions.heard.update(dict(state["heard"]))


def _rows(mapping: Mapping[Any, Any]) -> Iterator[list[Any]]:
    """Each key and value that a mapping has now as one row; a tuple has a column for each of its parts."""
    # Not `items`: to create so many pairs at once would take a while.
    keys, values = list(mapping), list(mapping.values())
    return ([*_columns(key), *_columns(value)] for key, value in zip(keys, values, strict=True))


def _columns(value: object) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
