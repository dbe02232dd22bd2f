"""Divergences between CodeQ's documents and its server: which requests show that a client relies on one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.core import State
from codeq_fake.journal import Request, TouchedTask
from codeq_fake.surprises.history import History
from codeq_fake.surprises.rules import RULES
from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

TASKS = "/v1/codeq/tasks"
START = "2026-01-31T12:00:00Z"


def create(http: httpx.Client, **fields: Any) -> str:
    task: str = http.post(TASKS, json={"command": "A", "payload": 1, **fields}).json()["id"]
    return task


def claimed(http: httpx.Client, **fields: Any) -> str:
    """The id of a task with a lease of two minutes."""
    task = create(http, **fields)
    http.post(f"{TASKS}/claim", json={"commands": ["A"], "leaseSeconds": 120})
    return task


def beat(http: httpx.Client, task: str, **fields: Any) -> None:
    assert http.post(f"{TASKS}/{task}/heartbeat", json=fields).status_code == 200


def nack(http: httpx.Client, task: str, **fields: Any) -> str:
    status: str = http.post(f"{TASKS}/{task}/nack", json=fields).json()["status"]
    return status


def submit_together(http: httpx.Client, *tasks: str) -> None:
    results = [{"taskId": task, "status": "COMPLETED", "result": {"ok": True}} for task in tasks]
    http.post(f"{TASKS}/batch/results", json={"results": results})


def hook(http: httpx.Client) -> str:
    return claimed(http, webhook="http://127.0.0.1:9/", maxAttempts=1)


def beat_twice(http: httpx.Client) -> None:
    task = claimed(http)
    beat(http, task, extendSeconds=200)
    beat(http, task, extendSeconds=199)


def lease_again_for_longer(http: httpx.Client) -> None:
    task = claimed(http)
    nack(http, task, delaySeconds=1)
    http.post("/_fake/clock/advance", json={"seconds": 1})
    http.post(f"{TASKS}/claim", json={"commands": ["A"], "leaseSeconds": 130})
    beat(http, task, extendSeconds=130)


def give_back_then_nack(http: httpx.Client) -> None:
    """Two deliveries of two attempts, as documented."""
    task = claimed(http, maxAttempts=2)
    http.post(f"{TASKS}/{task}/abandon")
    http.post(f"{TASKS}/claim", json={"commands": ["A"]})
    assert nack(http, task) == "dlq"


def do_all_together(http: httpx.Client) -> None:
    task = {"command": "A", "payload": 1}
    http.post(f"{TASKS}/batch", json={"tasks": [task, {**task, "webhook": "http://127.0.0.1:9/"}]})
    claim = http.post(f"{TASKS}/claim/batch", json={"commands": ["A"], "count": 2}).json()
    submit_together(http, *(task["id"] for task in claim["tasks"]))


def let_it_run_out(http: httpx.Client, **claim: Any) -> None:
    claimed(http)
    http.post("/_fake/clock/advance", json={"seconds": 121})
    http.post(f"{TASKS}/claim", json={"commands": ["a"], **claim})


def abandon_and_come_late(http: httpx.Client) -> None:
    http.post(f"{TASKS}/{claimed(http)}/abandon")
    assert http.post(f"{TASKS}/claim", json={"commands": ["A"]}).status_code == 200
    let_it_run_out(http, commands=["B"])


def end_together_and_come_late(http: httpx.Client) -> None:
    submit_together(http, claimed(http))
    http.post("/_fake/clock/advance", json={"seconds": 121})
    assert http.post(f"{TASKS}/claim", json={"commands": ["A"]}).status_code == 204


def another_tenant_comes(http: httpx.Client) -> None:
    claimed(http)
    http.post("/_fake/clock/advance", json={"seconds": 121})
    other = {"authorization": "Bearer other"}
    assert http.post(f"{TASKS}/claim", json={"commands": ["A"]}, headers=other).status_code == 204


def subscribe(http: httpx.Client, *commands: str) -> None:
    body = {"callbackUrl": "http://127.0.0.1:9/", "eventTypes": commands}
    assert http.post("/v1/codeq/workers/subscriptions", json=body).status_code == 200


def subscribe_then_create(http: httpx.Client, **fields: Any) -> None:
    subscribe(http, "a")
    create(http, **fields)


def together_after_subscribing(http: httpx.Client, *tasks: dict[str, Any]) -> None:
    subscribe(http, "a")
    batch = [{"command": "A", "payload": 1, **fields} for fields in tasks]
    http.post(f"{TASKS}/batch", json={"tasks": [{"command": ""}, *batch]})


def as_a_producer(http: httpx.Client, method: str, path: str) -> None:
    """Call a route as a producer who is not an admin."""
    assert http.request(method, path, headers={"authorization": "Bearer other-producer"}).status_code == 401


#: A caller with all rights, a worker of another tenant, and a producer who is not an admin.
CALLERS: dict[str, Any] = {
    "settings": {"ALLOW_PRODUCER_AS_WORKER": "true"},
    "identities": {
        "dev-token": {"kind": "producer", "claims": {"sub": "dev", "role": "ADMIN"}},
        "other": {"kind": "worker", "claims": {"sub": "w2", "eventTypes": ["*"], "scope": "codeq:claim"}},
        "other-producer": {"kind": "producer", "claims": {"sub": "p2", "role": "USER"}},
    },
}

Traffic = tuple[str, "Callable[[httpx.Client], object]"]

#: Traffic that shows a rule, by the rule's name.
SHOWN: list[Traffic] = [
    ("nack-fields", lambda http: nack(http, claimed(http), error="torn")),
    ("nack-fields", lambda http: nack(http, claimed(http), delaySeconds=1, willRetry=True)),
    ("nack-fields", lambda http: http.post(f"{TASKS}/nowhere/nack", json={"error": "torn"})),
    ("heartbeat-field", lambda http: beat(http, claimed(http), leaseSeconds=60)),
    ("heartbeat-shortens", lambda http: beat(http, claimed(http), extendSeconds=60)),
    ("heartbeat-shortens", beat_twice),
    ("attempts", lambda http: nack(http, claimed(http, maxAttempts=2))),
    ("dead-letter-callback", lambda http: nack(http, hook(http))),
    ("batch-callback", lambda http: submit_together(http, claimed(http), hook(http))),
    ("batch-callback", do_all_together),
    ("priority", lambda http: create(http, priority=10)),
    ("priority", lambda http: http.post(f"{TASKS}/batch", json={"tasks": [{"command": "A", "priority": 99}]})),
    ("expired-lease", let_it_run_out),
    ("delayed-notice", lambda http: subscribe_then_create(http, delaySeconds=60)),
    ("delayed-notice", lambda http: together_after_subscribing(http, {"delaySeconds": 60})),
    ("admin-refusal", lambda http: as_a_producer(http, "GET", "/v1/codeq/admin/queues")),
    ("admin-refusal", lambda http: as_a_producer(http, "GET", "/v1/codeq/admin/queues/A")),
    ("admin-refusal", lambda http: as_a_producer(http, "POST", "/v1/codeq/admin/tasks/cleanup")),
    ("healthz", lambda http: http.get("/healthz")),
    ("queue-statistics", lambda http: http.get("/v1/codeq/admin/queues")),
]

#: Similar traffic that shows none.
NOT_SHOWN: list[Traffic] = [
    ("reason", lambda http: nack(http, claimed(http, payload={"error": 1}), delaySeconds=1, reason='an "error"')),
    ("as long", lambda http: beat(http, claimed(http), extendSeconds=120)),
    ("by default", lambda http: beat(http, claimed(http), extendSeconds=0)),
    ("a new lease", lease_again_for_longer),
    ("the only attempt", lambda http: nack(http, claimed(http, maxAttempts=1))),
    ("given back", give_back_then_nack),
    ("not dead yet", lambda http: nack(http, claimed(http, maxAttempts=3), delaySeconds=1)),
    ("no webhook", lambda http: submit_together(http, claimed(http))),
    ("an unknown task", lambda http: submit_together(http, hook(http), "unknown")),
    ("a payload's priority", lambda http: create(http, priority=9, payload={"priority": 50})),
    ("one queue", lambda http: http.get("/v1/codeq/admin/queues/A")),
    ("another queue", abandon_and_come_late),
    ("another tenant", another_tenant_comes),
    ("ended in a batch", end_together_and_come_late),
    ("not run out yet", lambda http: http.post(f"{TASKS}/claim", json={"commands": [f"A{claimed(http)}"]})),
    ("due at once", lambda http: subscribe_then_create(http, delaySeconds=0)),
    ("another subscription", lambda http: subscribe_then_create(http, command="B", delaySeconds=60)),
    ("no admin route", lambda http: http.get("/v1/codeq/admin/queues/A", headers={"authorization": "Bearer unknown"})),
    ("nowhere", lambda http: http.get("/nowhere")),
    ("no JSON", lambda http: http.post(f"{TASKS}/x/nack", content=b'{"error": ')),
    ("no object", lambda http: http.post(f"{TASKS}/x/nack", content=b'["error"]')),
    ("no list", lambda http: http.post(f"{TASKS}/batch", json={"tasks": {"priority": 10}})),
]


@pytest.mark.parametrize("traffic", SHOWN, ids=[f"{n} {name}" for n, (name, _) in enumerate(SHOWN)])
def test_a_client_that_relies_on_the_documents_is_reported(traffic: Traffic) -> None:
    name, play = traffic
    with FakeCodeQ(now=START, **CALLERS) as fake, fake.client("dev-token") as http:
        play(http)
        assert [surprise.rule for surprise in fake.surprises] == [name]


@pytest.mark.port
@pytest.mark.parametrize("traffic", NOT_SHOWN, ids=[name for name, _ in NOT_SHOWN])
def test_other_clients_are_not_reported(traffic: Traffic) -> None:
    with FakeCodeQ(now=START, **CALLERS) as fake, fake.client("dev-token") as http:
        traffic[1](http)
        assert fake.surprises == []


@pytest.mark.parametrize("submit", ["submit", "submit_batch"])
def test_a_task_is_forgotten_when_it_ends(submit: str) -> None:
    task = TouchedTask("x", "A", State.LEASED, lease_until=1, max_attempts=5, has_webhook=True)
    ended = task._replace(state=State.COMPLETED, lease_until=0)
    history, kept = History(), []
    for n, (operation, left) in enumerate([("create", task), ("claim", task), (submit, ended)]):
        history.add(Request(n, 0, "POST", TASKS, "w", b"", 200, b"", operation, (left,)))
        kept.append(len(history.leases))
    assert kept == [0, 1, 0]


def test_a_task_that_a_batch_leaves_as_it_was_is_still_known() -> None:
    task = TouchedTask("x", "A", State.LEASED, lease_until=1, max_attempts=5, has_webhook=True)
    history = History()
    for n, operation in enumerate(["claim", "submit_batch"]):
        history.add(Request(n, 0, "POST", TASKS, "w", b"", 200, b"", operation, (task,)))
    assert "x" in history.leases


def test_a_restored_task_is_known_from_its_claim() -> None:
    with FakeCodeQ(now=START) as fake, fake.client() as http:
        fake.enqueue("A", webhook="http://127.0.0.1:9/", max_attempts=1)
        fake.restore(fake.state())
        task = http.post(f"{TASKS}/claim", json={"commands": ["A"]}).json()["id"]
        assert nack(http, task) == "dlq"
        assert [surprise.rule for surprise in fake.surprises] == ["dead-letter-callback"]


def test_each_rule_is_tested_and_has_its_own_name() -> None:
    assert [rule.name for rule in RULES if not rule.where] == list(dict(SHOWN))


def test_each_is_reported_once_with_the_first_request_that_shows_it() -> None:
    with FakeCodeQ() as fake, fake.client() as http:
        http.get("/metrics")
        for _ in range(3):
            http.get("/healthz")
            assert [surprise.request for surprise in fake.surprises] == [2]
        fake.reset()
        assert fake.surprises == []
        http.get("/healthz")
        [surprise] = fake.surprises
        told = http.get("/_fake/surprises").json()
    assert told == {"surprises": [asdict(surprise)]}
    assert str(surprise) == ("documented: GET /healthz reports that the server runs; done: there is no such path (R18)")


def test_requests_that_the_journal_has_dropped_are_not_reported() -> None:
    with FakeCodeQ(journal_size=1) as fake, fake.client() as http:
        http.get("/healthz")
        http.get("/metrics")
        assert fake.surprises == []


@pytest.mark.parametrize(
    ("settings", "rules"),
    [
        ({}, []),
        ({"ENV": "", "LOGLEVEL": "x"}, []),
        ({"ENV": "prod", "LOG_LEVEL": "debug", "DEFAULT_LEASE_SECONDS": "5"}, ["variable"] * 3),
        ({"TIMEZONE": "UTC", "REQUEUE_INSPECT_LIMIT": "5"}, ["variable"] * 2),
        ({"BACKOFF_POLICY": "exponential"}, ["exponential"]),
        ({"BACKOFF_POLICY": "linear"}, []),
        ({"BACKOFF_POLICY": "exponental"}, ["policy"]),
    ],
)
def test_settings_can_show_surprises(settings: dict[str, str], rules: list[str]) -> None:
    assert [surprise.rule for surprise in FakeCodeQ(settings=settings).surprises] == rules


def test_a_producer_and_a_worker_of_different_tenants_are_reported() -> None:
    """As in CodeQ's own compose file."""
    scopes = '"scopes": ["codeq:claim"], "eventTypes": ["*"]'

    def rules(worker: str) -> list[str]:
        settings = {"PRODUCER_AUTH_PROVIDER": "static", "WORKER_AUTH_PROVIDER": "static"}
        settings["PRODUCER_AUTH_CONFIG"] = '{"token": "p", "subject": "producer-dev"}'
        settings["WORKER_AUTH_CONFIG"] = f'{{"token": "w", {worker}, {scopes}}}'
        return [surprise.rule for surprise in FakeCodeQ(settings=settings).surprises]

    assert rules('"subject": "worker-dev"') == ["tenants"]
    assert rules('"subject": "worker-dev", "raw": {"tenantId": "producer-dev"}') == []


@pytest.mark.port  # of the webhook
def test_what_the_documents_say_of_callbacks_is_true_on_main() -> None:
    for profile, found in (("redis", {"dead-letter-callback", "batch-callback"}), ("main/redis", set())):
        with FakeCodeQ(profile=profile) as fake, fake.client() as http:  # type: ignore[arg-type]  # names of `Profile`
            nack(http, hook(http))
            submit_together(http, hook(http))
            assert {each.rule for each in fake.surprises} - {"attempts"} == found


def test_what_is_done_is_told_as_the_embedded_store_does_it() -> None:
    with FakeCodeQ(profile="main/pebble", now=START) as fake, fake.client() as http:
        let_it_run_out(http)
        subscribe(http, "B")
        create(http, command="B", delaySeconds=60)
        assert {each.rule: each.clause for each in fake.surprises} == {"expired-lease": "P6", "delayed-notice": "P10"}


def test_a_producer_and_a_worker_who_share_the_claim_tid_meet_on_main() -> None:
    settings = {"PRODUCER_AUTH_PROVIDER": "static", "WORKER_AUTH_PROVIDER": "static"}
    settings["PRODUCER_AUTH_CONFIG"] = '{"token": "p", "subject": "p-1", "raw": {"tid": "acme"}}'
    settings["WORKER_AUTH_CONFIG"] = '{"token": "w", "subject": "w-1", "raw": {"tid": "acme"}}'
    assert [each.rule for each in FakeCodeQ(settings=settings).surprises] == ["tenants"]
    assert FakeCodeQ(profile="main/redis", settings=settings).surprises == []
