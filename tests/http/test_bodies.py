"""Request bodies: B1 to B3, and required fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.http import OPERATIONS
from tests.clauses import CLAUSE_OF
from tests.http.support import CLAIM, CLEANUP, NOW, SUBSCRIPTIONS, TASKS

if TYPE_CHECKING:
    import httpx

    from codeq_fake.http import Operation
    from codeq_fake.testing import FakeCodeQ

#: R16 and R11 accept a bad body.
STRICT = [
    operation
    for operation in OPERATIONS
    if operation.body is not None and CLAUSE_OF[operation.name] not in {"R11", "R16"}
]
LIMITED = "rateLimit: {producer: &x {requestsPerMinute: 1, burstSize: 1}, worker: *x, admin: *x}"


def path_of(operation: Operation, name: str = "x") -> str:
    return operation.path.replace("{id}", name).replace("{command}", name)


def caller_of(operation: Operation) -> str:
    return {"producer": "producer", "admin": "admin"}.get(operation.right, "worker")


def error(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]


@pytest.mark.parametrize("body", ["", " ", "no JSON", "{", "[]", '"text"', "7", '{"a":1,}', "\ufeff{}", '{"a":NaN}'])
@pytest.mark.parametrize("operation", STRICT, ids=lambda operation: CLAUSE_OF[operation.name])
def test_b2_a_bad_body_is_refused(codeq: FakeCodeQ, operation: Operation, body: str) -> None:
    text = "invalid request body" if CLAUSE_OF[operation.name] == "R8" else "invalid body"
    with codeq.client(caller_of(operation)) as client:
        assert error(client.post(path_of(operation), content=body)) == (400, text)


#: A field of each route with a value of the wrong type.
WRONG_TYPES = [
    ("producer", TASKS, {"command": "A", "payload": 1, "priority": "high"}),
    ("producer", TASKS, {"command": "A", "payload": 1, "delaySeconds": 5.5}),
    ("producer", TASKS, {"command": 7, "payload": 1}),
    ("producer", f"{TASKS}/batch", {"tasks": {"command": "A"}}),
    ("producer", f"{TASKS}/batch", {"tasks": [{"command": "A", "payload": 1}, {"command": 7}]}),
    ("worker", CLAIM, {"commands": "A"}),
    ("worker", CLAIM, {"commands": [7]}),
    ("worker", CLAIM, {"leaseSeconds": "60"}),
    ("worker", CLAIM, {"waitSeconds": True}),
    ("worker", f"{CLAIM}/batch", {"count": "2"}),
    ("worker", f"{TASKS}/x/heartbeat", {"extendSeconds": "60"}),
    ("worker", f"{TASKS}/x/nack", {"delaySeconds": 2**63}),
    ("worker", f"{TASKS}/x/nack", {"reason": 7}),
    ("worker", f"{TASKS}/batch/results", {"results": [{"taskId": 7}]}),
    ("worker", SUBSCRIPTIONS, {"callbackUrl": "http://hooks.test/", "eventTypes": "A"}),
    ("worker", SUBSCRIPTIONS, {"callbackUrl": "http://hooks.test/", "ttlSeconds": "60"}),
]


@pytest.mark.parametrize(("caller", "path", "body"), WRONG_TYPES)
def test_b1_a_wrong_type_is_a_bad_body(codeq: FakeCodeQ, caller: str, path: str, body: dict[str, Any]) -> None:
    with codeq.client(caller) as client:
        assert error(client.post(path, json=body)) == (400, "invalid body")


@pytest.mark.parametrize(
    "body",
    [
        {"status": 7},
        {"status": "COMPLETED", "result": []},
        {"status": "COMPLETED", "result": "{}"},
        {"status": "COMPLETED", "artifacts": {}},
        {"status": "COMPLETED", "artifacts": [{"name": 7}]},
        {"status": "COMPLETED", "workerId": 7},
        {"status": "FAILED", "error": 7},
    ],
)
def test_b1_a_wrong_type_in_a_result_is_a_bad_body(worker: httpx.Client, body: dict[str, Any]) -> None:
    assert error(worker.post(f"{TASKS}/x/result", json=body)) == (400, "invalid request body")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"payload": 1},
        {"command": "A"},
        {"command": "A", "payload": None},
        {"command": "", "payload": 1},
        {"command": None, "payload": 1},
    ],
)
def test_c1_command_and_payload_are_required(producer: httpx.Client, body: dict[str, Any]) -> None:
    assert error(producer.post(TASKS, json=body)) == (400, "invalid body")


@pytest.mark.parametrize("payload", [0, "", False, [], {}])
def test_c1_any_payload_but_null_is_accepted(producer: httpx.Client, payload: object) -> None:
    reply = producer.post(TASKS, json={"command": "A", "payload": payload})
    assert (reply.status_code, json.loads(reply.json()["payload"])) == (202, payload)


@pytest.mark.parametrize("body", [{}, {"status": ""}, {"status": None}, {"result": {}}])
def test_s1_a_status_is_required(worker: httpx.Client, body: dict[str, Any]) -> None:
    assert error(worker.post(f"{TASKS}/x/result", json=body)) == (400, "invalid request body")


@pytest.mark.parametrize("body", [{}, {"callbackUrl": ""}, {"callbackUrl": None}])
def test_u1_a_callback_url_is_required(worker: httpx.Client, body: dict[str, Any]) -> None:
    assert error(worker.post(SUBSCRIPTIONS, json=body)) == (400, "invalid body")


@pytest.mark.parametrize(
    "body",
    [
        '{"COMMAND":"A","Payload":1}',
        '{"command":"B","command":"A","payload":1,"unknown":[]}',
        '{"command":"A","payload":1,"priority":null} trailing',
        '{"command":"A","payload":1,"delay\u017feconds":null}',
    ],
)
def test_b1_bodies_are_read_as_go_reads_them(producer: httpx.Client, body: str) -> None:
    reply = producer.post(TASKS, content=body.encode())
    assert (reply.status_code, reply.json()["command"]) == (202, "A")


def test_b1_null_as_the_whole_body_counts_as_an_empty_object(producer: httpx.Client, worker: httpx.Client) -> None:
    assert worker.post(CLAIM, content="null").status_code == 204
    assert error(producer.post(TASKS, content="null")) == (400, "invalid body")


@pytest.mark.parametrize("body", ["", "no JSON", "[]", '{"ttlSeconds":"60"}', "{}"])
def test_b2_a_renewal_ignores_a_bad_or_missing_body(codeq: FakeCodeQ, worker: httpx.Client, body: str) -> None:
    made = worker.post(SUBSCRIPTIONS, json={"callbackUrl": "http://hooks.test/", "ttlSeconds": 60}).json()
    codeq.advance(seconds=1)
    reply = worker.post(f"{SUBSCRIPTIONS}/{made['subscriptionId']}/heartbeat", content=body)
    assert reply.json()["expiresAt"] == "2026-11-24T03:20:01-03:00"


@pytest.mark.parametrize("body", ["", "no JSON", "[]", '{"limit":"1"}', '{"before":7}', "{}"])
def test_b2_a_clean_up_ignores_a_bad_or_missing_body(admin: httpx.Client, body: str) -> None:
    reply = admin.post(CLEANUP, content=body)
    assert reply.text == '{"before":"2026-11-24T06:15:00Z","deleted":0,"limit":0}'


@pytest.mark.parametrize(
    ("body", "limit", "before"),
    [
        ('{"limit":7,"limit":"x"}', 7, NOW),
        ('{"limit":7}x', 7, NOW),
        ('{"limit":7,"before":{"a":1}}', 7, NOW),
        ('{"before":"2020-01-01T00:00:00Z","limit":1.5}', 0, "2020-01-01T00:00:00Z"),
        ('{"before":"2020-01-01T00:00:00Z","before":5,"LIMIT":99999999999999999999}', 0, "2020-01-01T00:00:00Z"),
        ('{"limit":-1,"limit":0.0,"unknown":[1e400]}', -1, NOW),
        ('{"limit":7,"before":"2020-01-01T00:00:00Z"', 0, NOW),
    ],
)
def test_b2_a_clean_up_passes_over_fields_of_the_wrong_type(
    admin: httpx.Client, body: str, limit: int, before: str
) -> None:
    assert admin.post(CLEANUP, content=body).json() == {"before": before, "deleted": 0, "limit": limit}


def test_b2_a_renewal_passes_over_fields_of_the_wrong_type(worker: httpx.Client) -> None:
    made = worker.post(SUBSCRIPTIONS, json={"callbackUrl": "http://hooks.test/", "ttlSeconds": 9}).json()
    path = f"{SUBSCRIPTIONS}/{made['subscriptionId']}/heartbeat"
    reply = worker.post(path, content='{"ttlSeconds":60,"ttlSeconds":"x"}')
    assert reply.json()["expiresAt"] == "2026-11-24T03:16:00-03:00"


@pytest.mark.parametrize("body", ["", "no JSON", "[]"])
def test_b2_an_abandon_reads_no_body(codeq: FakeCodeQ, worker: httpx.Client, body: str) -> None:
    task = codeq.enqueue("A", tenant="acme")
    worker.post(CLAIM, json={"commands": ["A"]})
    assert worker.post(f"{TASKS}/{task.id}/abandon", content=body).json() == {"status": "requeued"}


@pytest.mark.parametrize("operation", STRICT, ids=lambda operation: CLAUSE_OF[operation.name])
def test_b3_the_token_is_checked_before_the_body(codeq: FakeCodeQ, operation: Operation) -> None:
    with codeq.client(headers={"authorization": ""}) as anonymous:
        assert error(anonymous.post(path_of(operation), content="no JSON")) == (401, "missing Authorization header")


@pytest.mark.parametrize(
    "operation", [each for each in STRICT if each.right == "worker"], ids=lambda operation: CLAUSE_OF[operation.name]
)
def test_b3_then_the_scope_is_checked(codeq: FakeCodeQ, operation: Operation) -> None:
    with codeq.client("scopeless") as client:
        assert error(client.post(path_of(operation), content="no JSON")) == (403, "missing scope")


@pytest.mark.codeq(yaml=LIMITED)
@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.limit is not None],
    ids=lambda operation: CLAUSE_OF[operation.name],
)
def test_b3_then_the_rate_limit_and_then_the_body(codeq: FakeCodeQ, operation: Operation) -> None:
    strict = CLAUSE_OF[operation.name] != "R16"
    with codeq.client(caller_of(operation)) as client, codeq.client("scopeless") as scopeless:
        first, second = (client.post(path_of(operation), content="no JSON") for _ in range(2))
        assert first.status_code == (400 if strict else 200)
        assert second.status_code == 429
        if operation.right == "worker":
            refused = {scopeless.post(path_of(operation), content="no JSON").status_code for _ in range(2)}
            assert refused == {403}
    with codeq.client("unknown") as anonymous:
        assert {anonymous.post(path_of(operation), content="no JSON").status_code for _ in range(2)} == {401}
