"""A saved state that contradicts itself is refused in words: no later request fails because of it."""

from __future__ import annotations

import re
from functools import reduce
from operator import getitem
from typing import Any

import pytest

from codeq_fake.core import PROFILES, Broker, CoreSettings, RateLimit
from codeq_fake.core.saved_state import InvalidState, dump
from codeq_fake.runtime.ids import RandomSource
from tests.core.support import load
from tests.core.test_saved_state import busy, restored


def task_in(state: dict[str, Any], name: str) -> Any:
    return next(task for task in state["tasks"] if task["state"] == name)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("READY", {"worker": "w-1"}, "is READY and has a worker"),
        ("DELAYED", {"worker": "w-1"}, "is DELAYED and has a worker"),
        ("COMPLETED", {"worker": "w-1"}, "is COMPLETED and has a worker"),
        ("DEAD", {"worker": "w-1"}, "is DEAD and has a worker"),
        ("LEASED", {"worker": ""}, "is LEASED and has no worker"),
        ("READY", {"lease_until": 1}, "is READY and has a lease"),
        ("COMPLETED", {"lease_expiry": 1}, "is COMPLETED and has a lease"),
        ("READY", {"visible_at": 1}, "is READY and has a delay"),
        ("COMPLETED", {"record": None}, "is COMPLETED and has no result"),
        ("READY", {"history": [[1, "created", "", None, "READY"], [1, "x", "", "READY", "DEAD"]]}, "ends as DEAD"),
        ("READY", {"history": [[1, "created", "", "DEAD", "READY"]]}, "does not begin with its creation"),
        ("READY", {"command": " "}, "has no command"),
        ("READY", {"webhook": "mailto:me"}, "has a webhook that is no URL"),
        ("READY", {"max_attempts": 0}, "has priority 3 and 0 of 0 attempts"),
        ("READY", {"id": ""}, "a task has no id"),
    ],
)
def test_a_task_that_contradicts_its_state_is_refused(name: str, changes: dict[str, Any], reason: str) -> None:
    state = dump(busy().broker)
    task_in(state, name).update(changes)
    with pytest.raises(InvalidState, match=re.escape(reason)):
        restored(state)


@pytest.mark.parametrize("changes", [{"task_id": "another"}, {"status": "FAILED"}, {"status": "DONE"}])
def test_a_result_of_another_task_or_status_is_refused(changes: dict[str, Any]) -> None:
    state = dump(busy().broker)
    task_in(state, "COMPLETED")["record"].update(changes)
    with pytest.raises(InvalidState, match="has a result that is not its own"):
        restored(state)


SUBSCRIPTION = "has no URL, command, mode, group or interval that it can have"


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("subscriptions", 0, "id"), "", "a subscription has no id"),
        (("subscriptions", 0, "mode"), "all", SUBSCRIPTION),
        (("subscriptions", 1, "group"), "", SUBSCRIPTION),
        (("subscriptions", 0, "interval"), -1, SUBSCRIPTION),
        (("subscriptions", 0, "commands"), [], SUBSCRIPTION),
        (("subscriptions", 0, "url"), "x", SUBSCRIPTION),
        (("deliveries", 0, "callback", "delivery_id"), 0, "deliveries do not have distinct numbers"),
        (("deliveries", 0, "callback", "status"), "READY", "delivery 1 is invalid"),
        (("deliveries", 0, "callback", "url"), "x", "delivery 1 is invalid"),
        (("buckets", 0, 0), "everyone", "the bucket everyone t is that of no rate limit"),
        (("buckets", 0, 2), -1e308, "the bucket producer t is that of no rate limit"),
        (("tally", "created", 0, 1), -1, "created counts less than nothing"),
        (("tally", "latency", 0, 2, 0), -1, "latency counts less than nothing"),
    ],
)
def test_a_value_that_contradicts_its_part_is_refused(place: tuple[Any, ...], value: object, reason: str) -> None:
    state = dump(busy().broker)
    *way, last = place
    reduce(getitem, way, state)[last] = value
    with pytest.raises(InvalidState, match=re.escape(reason)):
        restored(state)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("subscriptions", "is there 2 times"),
        ("keys", "keys has two rows for one thing"),
        ("turns", "turns has two rows for one thing"),
        ("buckets", "buckets has two rows for one thing"),
        ("created", "created has two rows for one thing"),
        ("latency", "latency has two rows for one thing"),
    ],
)
def test_what_is_there_twice_is_refused(name: str, reason: str) -> None:
    state = dump(busy().broker)
    rows = state[name] if name in state else state["tally"][name]
    rows.append(rows[0])
    with pytest.raises(InvalidState, match=reason):
        restored(state)


def test_buckets_of_a_limit_that_the_settings_no_longer_have_are_dropped() -> None:
    state = dump(busy().broker)
    state["buckets"] = [["producer", f"token-{number}", 0.0, 0] for number in range(10_000)]
    settings = CoreSettings(rate_limit={"worker": RateLimit(60, 10)})
    broker = Broker(settings=settings, profile=PROFILES["redis"], ids=RandomSource(1), jitter=RandomSource(1))
    load(broker, state)
    assert broker.admit("worker", "t", "claim", now=1) == 0
    assert list(broker.rate_limiter.buckets) == [("worker", "t")]
