"""What a fake's whole state looks like as JSON. What does not look like that is refused before anything changes."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, TypedDict

from codeq_fake.core import Subscription, Task
from codeq_fake.core.codec import MisshapenError, checker
from codeq_fake.core.counters import LATENCY_BOUNDS
from codeq_fake.core.effects import CallbackDue
from codeq_fake.core.queue import PRIORITIES
from codeq_fake.core.snapshot import VERSION

from .errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from codeq_fake.core.codec import Check


class _Delivery(TypedDict):
    callback: CallbackDue
    due_at: int


class _Tally(TypedDict):
    created: list[tuple[str, int]]
    claimed: list[tuple[str, int]]
    completed: list[tuple[str, str, int]]
    lease_expired: list[tuple[str, int]]
    deliveries: list[tuple[str, str, str, int]]
    rate_limited: list[tuple[str, str, int]]
    latency: list[tuple[str, str, list[int], float]]


class _Broker(TypedDict):
    version: int
    tasks: list[Task]
    ready: list[str]
    keys: list[tuple[str, str, int]]
    subscriptions: list[Subscription]
    turns: list[tuple[str, str, int]]
    sweptAt: int
    buckets: list[tuple[str, str, float, int]]
    deliveries: list[_Delivery]
    nextDelivery: int
    tally: _Tally


class _State(TypedDict):
    profile: str
    now: str
    broker: _Broker


@cache
def _check_shape() -> Check:
    return checker(_State)


def check(state: Mapping[str, Any]) -> None:
    """Raise BadRequestError, with the reason, unless ``state`` can be the state of a fake."""
    broker = state.get("broker")
    version = broker.get("version") if isinstance(broker, dict) else None
    if version != VERSION:
        raise BadRequestError(f"no state that this release reads: found version {version!r}, {VERSION} is known")
    try:
        _check_shape()(state)
    except MisshapenError as misfit:
        raise BadRequestError(f"no state of a fake: {misfit}") from None
    for reason in _contradictions(broker):
        raise BadRequestError(f"no state of a fake: {reason}")


def _contradictions(broker: Any) -> Iterable[str]:  # noqa: ANN401 - of the shape of `_Broker`
    """What a broker could not be in, though each value by itself may be what it is."""
    ids = Counter(task["id"] for task in broker["tasks"])
    yield from (f"task {task_id} is there {times} times" for task_id, times in ids.items() if times > 1)
    states = {task["id"]: task["state"] for task in broker["tasks"]}
    once = set(broker["ready"])
    # A finished task may be listed, too: a second copy of it waits (Z1).
    strangers = {task_id for task_id in once if states.get(task_id) not in ("READY", "COMPLETED", "FAILED")}
    missing = {task_id for task_id, state in states.items() if state == "READY"} - once
    if len(once) < len(broker["ready"]) or strangers or missing:
        yield "ready does not list exactly the tasks that are READY, each once"
    for task in broker["tasks"]:
        if task["priority"] not in range(PRIORITIES) or task["attempts"] < 0:
            yield f"task {task['id']} has priority {task['priority']} and {task['attempts']} attempts"
        if not _is_json(task["payload"], object):
            yield f"the payload of task {task['id']} is not JSON text"
        if task["record"] is not None and not _is_result(task["record"]["result"]):
            yield f"the result of task {task['id']} is not the text of a JSON object"
    numbers = [delivery["callback"]["delivery_id"] for delivery in broker["deliveries"]]
    if len(set(numbers)) < len(numbers) or max(numbers, default=0) >= broker["nextDelivery"]:
        yield "deliveries do not have numbers of their own, below nextDelivery"
    for delivery in broker["deliveries"]:
        if delivery["callback"]["attempt"] < 1 or not _is_result(delivery["callback"]["result"]):
            yield f"delivery {delivery['callback']['delivery_id']} is none"
    if any(len(counts) != len(LATENCY_BOUNDS) + 1 for *_, counts, _ in broker["tally"]["latency"]):
        yield f"a latency does not have {len(LATENCY_BOUNDS) + 1} counts"


def _is_result(text: str | None) -> bool:
    """Whether this is what a record keeps of a result."""
    return text is None or _is_json(text, dict)


def _is_json(text: str, wanted: type) -> bool:
    try:
        return isinstance(json.loads(text), wanted)
    except RecursionError:
        return True  # what nests deeper than Python reads is legal (B1)
    except ValueError:
        return False
