"""What makes a saved state contradict itself, although each of its values by itself is possible.

A broker in such a state would fail at some later request. Times are not compared: with the fault `clock_skew` they may
lie in the future.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from codeq_fake import wire
from codeq_fake.documents import LONG, json_depth, refuse_constant

from .commands import is_blank
from .counters import LATENCY_BOUNDS
from .effects import CallbackDue
from .queue import PRIORITIES
from .rate_limits import SCOPES
from .slices import Slices, batches, emptied, in_batches
from .subscriptions import MODES, Subscription
from .task import Record, State, Status, Task

#: The states in which a task has a worker.
_HELD = (State.LEASED, State.LOST, State.UNLEASED)
#: A task whose lease was refused stays in its pending list (K11). A finished one can be there, too: as a duplicate of
#: its id (Z1).
_MUST_BE_LISTED = (State.READY, State.UNLEASED)
_MAY_BE_LISTED = (*_MUST_BE_LISTED, State.COMPLETED, State.FAILED)
_RESULTS = (Status.COMPLETED, Status.FAILED)
#: Where a clean-up leaves the ids of tasks (P8).
_PLACES = ("ready", "delayed", "inProgress", "dead")
#: More than any rate limit gives, and few enough to compute with.
_MOST_TOKENS = 1e30
#: The parts that are rows, and the number of columns that identify a row.
_KEYED = (("keys", 1), ("turns", 2), ("buckets", 2), ("heard", 1), ("unseenDelays", 2))
_COUNTED = (
    ("created", 1),
    ("claimed", 1),
    ("completed", 2),
    ("lease_expired", 1),
    ("deliveries", 3),
    ("rate_limited", 2),
    ("latency", 2),
)


def contradictions(broker: Mapping[str, Any]) -> Iterator[str | None]:
    """Why a broker cannot be in this state (a `saved_state.BrokerState`), in words. None is a pause."""
    tasks: Sequence[Task] = broker["tasks"]
    yield from _repeated("task", (task.id for task in tasks))
    yield from _unlisted(tasks, broker["ready"])
    for task in tasks:
        if not (yield from _is_json(task.payload, object)):
            yield f"the payload of task {task.id} is not JSON text"
        if task.record is not None and not (yield from _is_result(task.record.result)):
            yield f"the result of task {task.id} is not the text of a JSON object"
        for reason in (*_wrong_values(task), *_wrong_for_state(task)):
            yield f"task {task.id} {reason}"
        yield None
    yield from _repeated("subscription", (subscription.id for subscription in broker["subscriptions"]))
    for subscription in broker["subscriptions"]:
        if not _is_subscription(subscription):
            yield f"subscription {subscription.id} has no URL, command, mode, group or interval that it can have"
    yield from _wrong_deliveries([delivery.callback for delivery in broker["deliveries"]], broker["nextDelivery"])
    yield from _wrong_rows(broker, _KEYED)
    for scope, key, tokens, _ in broker["buckets"]:
        if scope not in SCOPES or abs(tokens) > _MOST_TOKENS:
            yield f"the bucket {scope} {key} is that of no rate limit"
    yield from _wrong_leftovers(broker["leftovers"])
    yield from _wrong_rows(broker["tally"], _COUNTED)
    yield from _wrong_counts(broker["tally"])


def _repeated(noun: str, ids: Iterable[str]) -> Iterator[str | None]:
    """A sentence for each id that is there more than once, or is empty."""
    counts: Counter[str] = Counter()
    for part in in_batches(iter(ids)):
        counts.update(part)
        yield None
    for rows in in_batches(iter(counts.items())):
        yield from (f"{noun} {task_id} is there {times} times" for task_id, times in rows if times > 1)
        yield None
    if "" in counts:
        yield f"a {noun} has no id"
    yield from emptied(counts)


def _unlisted(tasks: Sequence[Task], ready: Sequence[str]) -> Iterator[str | None]:
    """A sentence unless `ready` lists each READY and UNLEASED task once, and besides them only finished tasks."""
    states: dict[str, State] = {}
    for part in batches(tasks):
        states.update((task.id, task.state) for task in part)
        yield None
    listed: dict[str, None] = {}
    for ids in batches(ready):
        listed.update(dict.fromkeys(ids))
        yield None
    is_wrong = len(listed) < len(ready)
    for ids in batches(ready):
        is_wrong = is_wrong or any(states.get(task_id) not in _MAY_BE_LISTED for task_id in ids)
        yield None
    for part in batches(tasks):
        is_wrong = is_wrong or any(task.state in _MUST_BE_LISTED and task.id not in listed for task in part)
        yield None
    if is_wrong:
        yield "ready lists a task twice, or one that cannot wait, or lacks one that waits"
    yield from emptied(states, listed)


def _wrong_values(task: Task) -> Iterator[str]:
    """What no task can have, whatever its state."""
    if task.priority not in range(PRIORITIES) or task.attempts < 0 or task.max_attempts < 1:
        yield f"has priority {task.priority} and {task.attempts} of {task.max_attempts} attempts"
    if is_blank(task.command):
        yield "has no command"
    if task.webhook and not wire.is_webhook_url(task.webhook):
        yield "has a webhook that is no URL"
    if task.history and task.history[0].before is not None:
        yield "has a history that does not begin with its creation"


def _wrong_for_state(task: Task) -> Iterator[str]:
    """What the state of a task forbids: a worker, a lease, a delay, a result, another end of its history."""
    state = task.state
    if (state in _HELD) != bool(task.worker):
        yield f"is {state.name} and has {'a' if task.worker else 'no'} worker"
    if state not in _HELD and (task.lease_until or task.lease_expiry):
        yield f"is {state.name} and has a lease"
    if state is not State.DELAYED and task.visible_at:
        yield f"is {state.name} and has a delay"
    if task.record is None:
        if state in (State.COMPLETED, State.FAILED):
            yield f"is {state.name} and has no result"
    elif not _is_record_of(task.record, task):
        yield "has a result that is not its own"
    if task.history and task.history[-1].after is not state:
        yield f"is {state.name} and its history ends as {task.history[-1].after.name}"


def _is_record_of(record: Record, task: Task) -> bool:
    return (
        record.task_id == task.id
        and record.status in _RESULTS
        and (task.state not in (State.COMPLETED, State.FAILED) or record.status == task.status)
    )


def _is_subscription(subscription: Subscription) -> bool:
    return (
        wire.is_webhook_url(subscription.url)
        and bool(subscription.commands)
        and subscription.mode in MODES
        and (subscription.mode != "group" or bool(subscription.group))
        and subscription.interval >= 0
    )


def _wrong_deliveries(callbacks: Sequence[CallbackDue], next_delivery: int) -> Iterator[str | None]:
    """Why callbacks that are under way cannot be tried again."""
    numbers = dict.fromkeys(callback.delivery_id for callback in callbacks)
    if len(numbers) < len(callbacks) or max(numbers, default=0) >= next_delivery or min(numbers, default=1) < 1:
        yield "deliveries do not have distinct numbers below nextDelivery"
    for callback in callbacks:
        if (
            callback.attempt < 1
            or callback.status not in _RESULTS
            or not wire.is_webhook_url(callback.url)
            or not (yield from _is_result(callback.result))
        ):
            yield f"delivery {callback.delivery_id} is invalid"


def _wrong_rows(parts: Mapping[str, Any], keyed: Iterable[tuple[str, int]]) -> Iterator[str | None]:
    """A sentence for each part in which two rows have the same key: its first columns, as many as `keyed` says."""
    for name, columns in keyed:
        yield None
        rows = parts[name]
        if len({tuple(row[:columns]) for row in rows}) < len(rows):
            yield f"{name} has two rows for one thing"


def _wrong_leftovers(rows: Iterable[tuple[str, str, str, int, str]]) -> Iterator[str]:
    for _, name, place, number, task_id in rows:
        if place not in _PLACES or (place == "ready" and number not in range(PRIORITIES)):
            yield f"the id {task_id} is left at no place of the queue {name}"


def _wrong_counts(counters: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each counter that is negative, and for each histogram of another length."""
    for name, label_count in _COUNTED:
        for row in counters[name]:
            counts = row[label_count] if name == "latency" else [row[label_count]]
            if min(counts, default=0) < 0:
                yield f"{name} counts less than nothing"
            if name == "latency" and len(counts) != len(LATENCY_BOUNDS) + 1:
                yield f"a latency does not have {len(LATENCY_BOUNDS) + 1} counts"


def _is_result(text: str | None) -> Slices[bool]:
    """Whether a record can have this result."""
    return text is None or (yield from _is_json(text, dict))


def _is_json(text: str, wanted: type) -> Slices[bool]:
    """Whether a text is the JSON of a value of this type."""
    try:
        if len(text) < LONG:
            return isinstance(json.loads(text, parse_constant=refuse_constant), wanted)
        yield from json_depth(text)
    except RecursionError:
        return True  # text that nests deeper than Python reads is legal (B1)
    except ValueError:
        return False
    return wanted is object or text.lstrip(" \t\n\r").startswith("{")
