"""The control API's state: saved and restored exactly; anything else is refused."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeq_fake.control import BadRequestError
from codeq_fake.testing import FakeCodeQ
from tests.control.support import ID, NOW, claim, create, get, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


def busy(http: httpx.Client) -> Any:
    """The state of a fake with something of everything in it."""
    yaml = "rateLimit: {producer: {requestsPerMinute: 60, burstSize: 20}, admin: {requestsPerMinute: 1, burstSize: 1}}"
    http.post("/_fake/reset", json={"yaml": yaml, "settings": {"BACKOFF_POLICY": "fixed"}}).raise_for_status()
    subscription = {"callbackUrl": "http://203.0.113.1/", "eventTypes": ["A"], "deliveryMode": "group", "groupId": "g"}
    http.post("/v1/codeq/workers/subscriptions", json=subscription).raise_for_status()
    for number in range(6):
        create(http, f"task-{number}", idempotencyKey=f"key-{number}", webhook="http://127.0.0.1:1/")
    create(http, "delayed", delaySeconds=60)
    create(http, "dead", maxAttempts=1, priority=9)
    for outcome in ("nack", "nack", "abandon", "result"):
        claimed = http.post("/v1/codeq/tasks/claim", json={"commands": ["A"]}).json()
        body = {"status": "COMPLETED", "result": {"a": [1.5]}, "artifacts": [{"name": "n", "url": "u"}]}
        http.post(f"/v1/codeq/tasks/{claimed['id']}/{outcome}", json=body).raise_for_status()
        http.post("/_fake/clock/advance", json={"seconds": 0.3})
    claim(http)
    http.post("/v1/codeq/admin/tasks/cleanup", json={})
    assert http.post("/v1/codeq/admin/tasks/cleanup", json={}).status_code == 429
    return get(http, "state")


@pytest.mark.port
def test_a_state_is_restored_exactly(http: httpx.Client) -> None:
    state = busy(http)
    broker = state["broker"]
    assert {task["state"] for task in broker["tasks"]} == {"READY", "DELAYED", "LEASED", "COMPLETED", "DEAD"}
    assert all(broker[part] for part in ("keys", "subscriptions", "turns", "buckets", "deliveries"))
    assert all(broker["tally"][part] for part in ("created", "completed", "deliveries", "rate_limited", "latency"))
    http.post("/_fake/clock/advance", json={"seconds": 3600})
    http.post("/_fake/reset")
    assert get(http, "state") != state
    assert http.put("/_fake/state", json=state).json() == get(http, "health")
    assert get(http, "state") == state


@pytest.mark.port
def test_a_restored_state_is_usable(http: httpx.Client) -> None:
    http.put("/_fake/state", json=busy(http)).raise_for_status()
    assert http.post("/v1/codeq/admin/tasks/cleanup", json={}).status_code == 429
    again = {"command": "A", "payload": {}, "idempotencyKey": "key-0"}
    assert http.post("/v1/codeq/tasks", json=again).json()["id"] == "task-0"
    http.post("/_fake/clock/advance", json={"seconds": 61}).raise_for_status()
    claim(http)
    assert http.get("/metrics").status_code == 200


def test_restoring_keeps_settings_and_empties_the_journals(http: httpx.Client) -> None:
    state = get(http, "state")
    http.post("/_fake/reset", json={"settings": {"MAX_ATTEMPTS_DEFAULT": "7"}})
    create(http)
    http.put("/_fake/state", json=state).raise_for_status()
    assert get(http, "requests") == {"requests": []}
    create(http)
    assert get(http, f"tasks/{ID}")["maxAttempts"] == 7


def test_restoring_brings_the_profile_back(http: httpx.Client) -> None:
    state = get(http, "state")
    http.post("/_fake/reset", json={"profile": "kvrocks-2.9"})
    assert http.put("/_fake/state", json=state).json()["profile"] == "redis"


def test_a_manual_clock_stands_at_the_instant_of_the_state(http: httpx.Client) -> None:
    state = get(http, "state")
    http.post("/_fake/clock/advance", json={"seconds": 3600})
    assert http.put("/_fake/state", json=state).json()["now"] == NOW


def test_a_real_clock_does_not_go_back_for_a_state(http: httpx.Client) -> None:
    state = get(http, "state")
    http.post("/_fake/reset", json={"clock": "real", "now": "2026-02-01T00:00:00Z"})
    assert http.put("/_fake/state", json=state).json()["now"].startswith("2026-02-01T00:00:")
    http.put("/_fake/state", json={**state, "now": "2026-03-01T00:00:00Z"})
    clock = get(http, "clock")
    assert clock["now"].startswith("2026-03-01T00:00:")
    assert clock["mode"] == "real"


def test_a_fake_with_a_seed_never_meets_the_ids_of_a_restored_state(http: httpx.Client, codeq: FakeCodeQ) -> None:
    made = [codeq.enqueue("A").id for _ in range(3)]
    http.put("/_fake/state", json=get(http, "state")).raise_for_status()
    made += [codeq.enqueue("A").id for _ in range(3)]
    assert [task.id for task in codeq.tasks()] == made
    assert len(set(made)) == 6


@pytest.mark.port
@pytest.mark.parametrize(
    ("place", "garbage", "text"),
    [
        (("profile",), "redis-8", "profile: found 'redis-8'"),
        (("profile",), 1, "no state of a fake: profile: found 1, a text belongs here"),
        (("now",), "yesterday", "found 'yesterday' where an RFC 3339 time"),
        (("broker",), [], "no state that this release reads: found version None, 1 is known"),
        (("broker", "version"), "9" * 100_000, f"no state that this release reads: found version '{'9' * 36}..., 1 is"),
        (("broker", "tasks", 0, "payload"), "[NaN]", "no state of a fake: the payload of task task-0 is not JSON text"),
        (("broker", "version"), 99, "no state that this release reads: found version 99, 1 is known"),
        (("broker", "tasks"), {}, "no state of a fake: broker.tasks: found {}, a list belongs here"),
        (("broker", "tasks", 2, "priority"), "high", "no state of a fake: broker.tasks[2].priority: found 'high'"),
        (("broker", "tasks", 2, "priority"), 10, "no state of a fake: task task-2 has priority 10"),
        (("broker", "tasks", 1, "attempts"), True, "no state of a fake: broker.tasks[1].attempts: found True"),
        (("broker", "tasks", 1, "id"), "task-0", "no state of a fake: task task-0 is there 2 times"),
        (("broker", "tasks", 0, "state"), "DONE", "no state of a fake: broker.tasks[0].state: found 'DONE', one of"),
        (("broker", "tasks", 0, "payload"), "{", "no state of a fake: the payload of task task-0 is not JSON text"),
        (("broker", "ready"), ["task-9"], "no state of a fake: ready lists a task twice, or one that cannot wait"),
        (("broker", "ready"), ["task-2"] * 2, "no state of a fake: ready lists a task twice"),
        (("broker", "keys", 0), ["key"], "no state of a fake: broker.keys[0]: found ['key'], a list of 3 belongs here"),
        (("broker", "sweptAt"), 1.5, "no state of a fake: broker.sweptAt: found 1.5, a whole number"),
        (("broker", "buckets", 0, 2), None, "no state of a fake: broker.buckets[0][2]: found None, a number belongs"),
        (("broker", "nextDelivery"), 1, "no state of a fake: deliveries do not have distinct numbers"),
        (("broker", "deliveries", 0, "callback", "attempt"), 0, "no state of a fake: delivery 1 is invalid"),
        (("broker", "tally", "latency", 0, 2), [1], "no state of a fake: a latency does not have 15 counts"),
        (("broker", "subscriptions", 0), {"id": "x"}, "no state of a fake: broker.subscriptions[0]: found {'id': 'x'}"),
    ],
)
def test_an_invalid_state_is_refused_with_the_place_and_changes_nothing(
    http: httpx.Client, place: tuple[Any, ...], garbage: Any, text: str
) -> None:
    state = busy(http)
    broken = json.loads(json.dumps(state))
    part = broken
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = garbage
    status, told = refusal(http.put("/_fake/state", json=broken))
    assert (status, told[: len(text)]) == (400, text)
    assert get(http, "state") == state


def test_a_state_whose_task_has_a_worker_but_no_lease_is_refused(http: httpx.Client) -> None:
    create(http)
    before = get(http, "state")
    state = deepcopy(before)
    state["broker"]["tasks"][0]["worker"] = "worker-dev"
    text = f"no state of a fake: task {ID} is READY and has a worker"
    assert refusal(http.put("/_fake/state", json=state)) == (400, text)
    assert get(http, "state") == before
    assert http.post(f"/v1/codeq/tasks/{ID}/heartbeat", json={}).status_code == 403


@pytest.mark.parametrize("state", [{}, {"broker": {}}, {"profile": "redis", "now": NOW}])
def test_an_incomplete_state_is_refused(http: httpx.Client, state: Any) -> None:
    before = get(http, "state")
    assert refusal(http.put("/_fake/state", json=state))[0] == 400
    assert get(http, "state") == before


GARBAGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.just("\ud800"),
)


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of each part of a JSON value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*place, key)
        yield from leaves(part, (*place, key))


@pytest.fixture(scope="module")
def busy_state() -> Any:
    with FakeCodeQ(now=NOW, profile="redis", seed=1) as fake, fake.client() as client:
        return busy(client)


@pytest.mark.port
@settings(max_examples=50)
@given(data=st.data())
def test_garbage_in_any_place_is_refused_or_harmless(busy_state: Any, data: st.DataObject) -> None:
    state = deepcopy(busy_state)
    *way, last = data.draw(st.sampled_from(list(leaves(state))))
    part = state
    for step in way:
        part = part[step]
    part[last] = data.draw(GARBAGE)
    with FakeCodeQ(now=NOW, profile="redis") as fake:
        before = fake.state()
        try:
            fake.restore(state)
        except BadRequestError:
            assert fake.state() == before
            return
        with fake.client() as client:
            client.get("/_fake/state").raise_for_status()
            client.get("/metrics").raise_for_status()
            client.get("/_fake/tasks").raise_for_status()
            for _ in range(3):
                client.post("/v1/codeq/tasks/claim", json={"commands": ["A"]}).raise_for_status()
            fake.advance(300)
        assert len(fake.tasks()) == len(state["broker"]["tasks"])


def test_a_state_at_the_end_of_time_is_usable(codeq: FakeCodeQ, http: httpx.Client) -> None:
    last = "9999-12-31T23:59:59.999999999Z"
    http.put("/_fake/state", json={**get(http, "state"), "now": last}).raise_for_status()
    codeq.advance(0)
    assert codeq.now == last
