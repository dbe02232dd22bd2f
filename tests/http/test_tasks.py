"""What a task and its result look like on the wire: T1, T2, R23, and the worker's replies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.http.support import CLAIM, NOW, TASKS

if TYPE_CHECKING:
    import httpx

HOOK = "http://hooks.test/?a=1&b=<2>"
CREATED = '"createdAt":"2026-11-24T03:15:00-03:00"'
UPDATED = '"updatedAt":"2026-11-24T03:15:00-03:00"'


@pytest.fixture(autouse=True)
def named(codeq: FakeCodeQ) -> None:
    """The first task's id is ``t-1``, and time is a whole second."""
    codeq.next(ids=["t-1"])


def test_c1_a_new_task_shows_what_it_has(producer: httpx.Client) -> None:
    reply = producer.post(TASKS, json={"command": "A", "payload": {}})
    assert reply.status_code == 202
    assert reply.text == (
        '{"id":"t-1","command":"A","payload":"{}","status":"PENDING","lastKnownLocation":"PENDING_LIST",'
        f'"maxAttempts":5,"tenantId":"acme",{CREATED},{UPDATED}}}'
    )


def test_r23_keys_come_in_the_contracts_order(producer: httpx.Client, worker: httpx.Client) -> None:
    request = {"delaySeconds": 0, "webhook": HOOK, "priority": 3, "payload": 1, "maxAttempts": 7, "command": "<A>"}
    producer.post(TASKS, json=request)
    reply = worker.post(CLAIM, json={"commands": ["<A>"], "leaseSeconds": 60})
    assert reply.text == (
        r'{"id":"t-1","command":"\u003cA\u003e","payload":"1","priority":3,'
        r'"webhook":"http://hooks.test/?a=1\u0026b=\u003c2\u003e",'
        '"status":"IN_PROGRESS","lastKnownLocation":"INPROG_SET","workerId":"w-1","leaseUntil":"2026-11-24T06:16:00Z",'
        f'"attempts":1,"maxAttempts":7,"tenantId":"acme",{CREATED},{UPDATED}}}'
    )


@pytest.mark.codeq(settings={"TRACING_ENABLED": "true"})
def test_x1_traced_tasks_show_their_trace(producer: httpx.Client) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "tracestate": "vendor=1"}
    reply = producer.post(TASKS, json={"command": "A", "payload": 1, "webhook": HOOK}, headers=headers)
    keys = list(reply.json())
    assert keys[keys.index("webhook") :][:4] == ["webhook", "traceParent", "traceState", "status"]
    assert reply.json()["traceParent"].split("-")[1] == trace
    assert reply.json()["traceState"] == "vendor=1"


def test_section_4_times_are_in_the_servers_zone_with_up_to_nine_digits(
    codeq: FakeCodeQ, producer: httpx.Client
) -> None:
    codeq.advance(to="2026-11-24T06:15:00.123456780Z")
    task = producer.post(TASKS, json={"command": "A", "payload": 1}).json()
    assert task["createdAt"] == task["updatedAt"] == "2026-11-24T03:15:00.12345678-03:00"


@pytest.mark.codeq(yaml="timezone: Asia/Kolkata")
def test_section_4_the_zone_is_a_setting_and_leases_are_in_utc(producer: httpx.Client, worker: httpx.Client) -> None:
    task = producer.post(TASKS, json={"command": "A", "payload": 1}).json()
    assert task["createdAt"] == "2026-11-24T11:45:00+05:30"
    assert worker.post(CLAIM, json={"commands": ["A"]}).json()["leaseUntil"] == "2026-11-24T06:20:00Z"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ('{"b":1,"a":{"d":[],"c":null}}', '{"a":{"c":null,"d":[]},"b":1}'),
        ('"<&>\u2028é"', r'"\u003c\u0026\u003e\u2028é"'),
        ("9007199254740993", "9007199254740992"),
        ("1E400", None),
        ("[1.0,1e21,1e-7,-0]", "[1,1e+21,1e-7,-0]"),
        (r'"\ud800"', '"\ufffd"'),
    ],
)
def test_t1_a_payload_is_sent_back_as_go_encodes_it(producer: httpx.Client, sent: str, stored: str | None) -> None:
    reply = producer.post(TASKS, content=f'{{"command":"A","payload":{sent}}}'.encode())
    if stored is None:
        assert reply.json() == {"error": "invalid body"}
    else:
        assert reply.json()["payload"] == stored


def test_t2_a_task_with_a_result_has_a_result_key(
    codeq: FakeCodeQ, producer: httpx.Client, worker: httpx.Client
) -> None:
    codeq.enqueue("A", tenant="acme")
    worker.post(CLAIM, json={"commands": ["A"]})
    assert "resultKey" not in producer.get(f"{TASKS}/t-1").json()
    worker.post(f"{TASKS}/t-1/result", json={"status": "FAILED", "error": "torn <off>"})
    assert producer.get(f"{TASKS}/t-1").text == (
        '{"id":"t-1","command":"A","payload":"null","status":"FAILED","lastKnownLocation":"NONE","attempts":1,'
        r'"maxAttempts":5,"error":"torn \u003coff\u003e","resultKey":"codeq:results","tenantId":"acme",'
        f"{CREATED},{UPDATED}}}"
    )


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"status": "COMPLETED", "result": {}}, '"status":"COMPLETED"'),
        (
            {"status": "COMPLETED", "result": {"b": "<", "a": 1.0}, "error": "odd", "workerId": "w-9"},
            r'"status":"COMPLETED","result":{"a":1,"b":"\u003c"},"error":"odd"',
        ),
        (
            {"status": "FAILED", "error": "torn", "artifacts": [{"name": "a", "url": "u"}, {"url": "v"}, {}]},
            '"status":"FAILED","error":"torn","artifacts":[{"name":"a","url":"u"},{"name":"","url":"v"}]',
        ),
    ],
)
def test_s2_a_record_leaves_out_what_is_empty(
    codeq: FakeCodeQ, worker: httpx.Client, body: dict[str, Any], shown: str
) -> None:
    codeq.enqueue("A", tenant="acme")
    worker.post(CLAIM, json={"commands": ["A"]})
    reply = worker.post(f"{TASKS}/t-1/result", json=body)
    record = f'{{"taskId":"t-1",{shown},"completedAt":"2026-11-24T03:15:00-03:00"}}'
    assert (reply.status_code, reply.text) == (200, record)
    task = worker.get(f"{TASKS}/t-1").text
    assert worker.get(f"{TASKS}/t-1/result").text == f'{{"result":{record},"task":{task}}}'  # S7


def test_h1_d1_n3_n4_workers_get_these_words(codeq: FakeCodeQ, worker: httpx.Client) -> None:
    codeq.enqueue("A", tenant="acme", max_attempts=4)
    worker.post(CLAIM, json={"commands": ["A"]})
    said = [
        worker.post(f"{TASKS}/t-1/heartbeat", json={"extendSeconds": 60}).text,
        worker.post(f"{TASKS}/t-1/abandon").text,
        worker.post(CLAIM, json={"commands": ["A"]}).json()["attempts"],
        worker.post(f"{TASKS}/t-1/nack", json={"delaySeconds": 7, "reason": "busy"}).text,
    ]
    codeq.advance(seconds=7)
    worker.post(CLAIM, json={"commands": ["A"]})
    said.append(worker.post(f"{TASKS}/t-1/nack", json={"reason": "busy"}).text)
    assert said == [
        '{"ok":true}',
        '{"status":"requeued"}',
        2,
        '{"delaySeconds":7,"status":"requeued"}',
        '{"delaySeconds":0,"status":"dlq"}',
    ]


def test_h1_a_heartbeat_moves_the_lease_that_is_shown(codeq: FakeCodeQ, worker: httpx.Client) -> None:
    codeq.enqueue("A", tenant="acme")
    worker.post(CLAIM, json={"commands": ["A"]})
    codeq.advance(seconds=1.9)
    worker.post(f"{TASKS}/t-1/heartbeat", json={"extendSeconds": 60})
    assert worker.get(f"{TASKS}/t-1").json()["leaseUntil"] == "2026-11-24T06:16:01Z"


def test_s8_neither_reading_route_looks_at_the_tenant(codeq: FakeCodeQ, worker: httpx.Client) -> None:
    codeq.enqueue("A", tenant="acme")
    worker.post(CLAIM, json={"commands": ["A"]})
    worker.post(f"{TASKS}/t-1/result", json={"status": "COMPLETED", "result": {"n": 1}})
    with codeq.client("stranger") as stranger:
        assert stranger.get(f"{TASKS}/t-1").json()["tenantId"] == "acme"
        assert stranger.get(f"{TASKS}/t-1/result").json()["result"]["result"] == {"n": 1}


def test_c8_a_key_answers_202_with_the_task_as_it_is_now(codeq: FakeCodeQ, worker: httpx.Client) -> None:
    body = {"command": "A", "payload": 1, "idempotencyKey": "k"}
    with codeq.client("producer") as producer, codeq.client("stranger") as stranger:
        producer.post(TASKS, json=body)
        worker.post(CLAIM, json={"commands": ["A"]})
        again = stranger.post(TASKS, json={"command": "B", "payload": 2, "idempotencyKey": "k"})
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (202, "t-1", "IN_PROGRESS")
    assert json.loads(again.json()["payload"]) == 1


def test_a9_each_tenant_has_its_own_queues(codeq: FakeCodeQ, worker: httpx.Client) -> None:
    with codeq.client("stranger") as stranger:
        assert stranger.post(TASKS, json={"command": "A", "payload": 1}).json()["tenantId"] == "beta"
    assert worker.post(CLAIM, json={"commands": ["A"]}).status_code == 204


def test_k1_without_commands_a_worker_claims_its_event_types(codeq: FakeCodeQ) -> None:
    codeq.enqueue("PACK", tenant="acme")
    with codeq.client("packer") as packer:
        assert packer.post(CLAIM, json={}).json()["command"] == "PACK"


def test_two_fakes_in_one_process_do_not_meet(codeq: FakeCodeQ, producer: httpx.Client) -> None:
    with FakeCodeQ(now=NOW) as other, other.client() as http:
        empty = other.state()
        producer.post(TASKS, json={"command": "A", "payload": 1})
        codeq.advance(seconds=60)
        assert other.state() == empty
        assert other.requests == []
        assert http.get(f"{TASKS}/t-1").status_code == 404
        assert "codeq_task_created_total" not in http.get("/metrics").text
    assert codeq.task("t-1").status == "PENDING"
