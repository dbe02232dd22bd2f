"""Queue-ready notices, from the create to the subscriber (U3 to U9)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.clocks import let_tasks_run
from codeq_fake.testing import FakeCodeQ
from tests.http.support import CLAIM, IDENTITIES, NOW, ORIGIN, SUBSCRIPTIONS, TASKS, Receiver

if TYPE_CHECKING:
    import httpx
    from starlette.types import Receive, Scope, Send

GOOD: dict[str, Any] = {"command": "A", "payload": 1}


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def codeq_options(receiver: Receiver) -> dict[str, Any]:
    return {"identities": IDENTITIES, "now": NOW, "profile": "redis", "webhooks": {ORIGIN: receiver}}


def subscribe(worker: httpx.Client, path: str = "/ready", **request: Any) -> str:
    body = {"callbackUrl": f"{ORIGIN}{path}", "eventTypes": ["A"], **request}
    subscription: str = worker.post(SUBSCRIPTIONS, json=body).json()["subscriptionId"]
    return subscription


def test_u1_u2_a_subscription_is_answered_with_its_id_and_expiry(codeq: FakeCodeQ, worker: httpx.Client) -> None:
    codeq.next(ids=["s-1"])
    reply = worker.post(SUBSCRIPTIONS, json={"callbackUrl": f"{ORIGIN}/"})
    assert (reply.status_code, reply.text) == (
        200,
        '{"expiresAt":"2026-11-24T03:20:00-03:00","subscriptionId":"s-1"}',
    )
    codeq.advance(seconds=0.25)
    reply = worker.post(f"{SUBSCRIPTIONS}/s-1/heartbeat", json={"ttlSeconds": 60})
    assert (reply.status_code, reply.text) == (
        200,
        '{"expiresAt":"2026-11-24T03:16:00.25-03:00","subscriptionId":"s-1"}',
    )


def test_u1_the_tokens_event_types_are_not_consulted(codeq: FakeCodeQ, receiver: Receiver) -> None:
    with codeq.client("packer") as packer:
        subscribe(packer)
    codeq.enqueue("A", tenant="acme")
    assert len(receiver.heard) == 1


def test_u4_a_notice_is_sent_before_the_create_is_answered(
    producer: httpx.Client, worker: httpx.Client, receiver: Receiver
) -> None:
    subscription = subscribe(worker)
    assert producer.post(TASKS, json=GOOD).status_code == 202
    (heard,) = receiver.heard
    assert (heard.method, heard.path, heard.headers["content-type"]) == ("POST", "/ready", "application/json")
    assert heard.json == {
        "eventType": "A",
        "available": True,
        "queueDepth": 0,
        "claimUrl": "/v1/codeq/tasks/claim",
        "sentAt": "2026-11-24T06:15:00Z",
        "notificationId": f"ntf-{subscription}",
    }


@pytest.mark.codeq(settings={"WEBHOOK_HMAC_SECRET": "hush"})
def test_u4_a_notice_is_signed_like_a_callback(
    producer: httpx.Client, worker: httpx.Client, receiver: Receiver
) -> None:
    subscribe(worker)
    producer.post(TASKS, json=GOOD)
    (heard,) = receiver.heard
    signed = heard.headers["x-codeq-timestamp"].encode() + b"." + heard.body
    assert heard.headers["x-codeq-signature"] == hmac.new(b"hush", signed, hashlib.sha256).hexdigest()


def test_u4_a_notice_that_fails_is_not_sent_again(
    codeq: FakeCodeQ, producer: httpx.Client, worker: httpx.Client, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    subscribe(worker)
    assert producer.post(TASKS, json=GOOD).status_code == 202
    codeq.advance(seconds=60)
    assert len(receiver.heard) == 1
    (notice,) = codeq.callbacks
    assert (notice["kind"], notice["state"], notice["tries"][0]["status"]) == ("queue_ready", "failed", 500)


def test_u4_u6_fanout_subscribers_are_notified_in_order_of_expiry(
    producer: httpx.Client, worker: httpx.Client, receiver: Receiver
) -> None:
    for path, ttl in (("/c", 300), ("/a", 100), ("/b", 200)):
        subscribe(worker, path, ttlSeconds=ttl)
    producer.post(TASKS, json=GOOD)
    assert [heard.path for heard in receiver.heard] == ["/a", "/b", "/c"]


def test_u3_each_task_of_a_batch_may_notify(producer: httpx.Client, worker: httpx.Client, receiver: Receiver) -> None:
    subscribe(worker, eventTypes=["A", "B"])
    subscribe(worker, "/b", eventTypes=["B"])
    producer.post(f"{TASKS}/batch", json={"tasks": [GOOD, GOOD, GOOD | {"command": "B"}]})
    assert [(heard.path, heard.json["eventType"]) for heard in receiver.heard] == [("/ready", "A"), ("/b", "B")]


def test_u3_u5_no_notice_without_a_new_ready_task(
    codeq: FakeCodeQ, producer: httpx.Client, worker: httpx.Client, receiver: Receiver
) -> None:
    subscribe(worker, minIntervalSeconds=10)
    producer.post(TASKS, json=GOOD)
    producer.post(TASKS, json=GOOD)  # U3: the queue is not empty
    for _ in range(2):
        worker.post(CLAIM, json={"commands": ["A"]})
    codeq.advance(seconds=9)
    producer.post(TASKS, json=GOOD)  # U5: too early
    assert len(receiver.heard) == 1
    worker.post(CLAIM, json={"commands": ["A"]})
    codeq.advance(seconds=1)
    producer.post(TASKS, json=GOOD)
    assert len(receiver.heard) == 2


def test_u9_a_swept_subscription_is_unknown(codeq: FakeCodeQ, worker: httpx.Client) -> None:
    swept = subscribe(worker, eventTypes=["GENERATE_MASTER"], ttlSeconds=30)
    kept = subscribe(worker, eventTypes=["A"], ttlSeconds=30)
    codeq.advance(seconds=59)
    assert worker.post(f"{SUBSCRIPTIONS}/{kept}/heartbeat").status_code == 200
    codeq.advance(seconds=1)
    reply = worker.post(f"{SUBSCRIPTIONS}/{swept}/heartbeat")
    assert (reply.status_code, reply.json()) == (404, {"error": "not-found"})
    codeq.advance(seconds=3600)
    assert worker.post(f"{SUBSCRIPTIONS}/{kept}/heartbeat").status_code == 200


@pytest.mark.asyncio
async def test_u4_the_create_waits_for_its_notices_and_the_task_exists_meanwhile() -> None:
    answer = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await answer.wait()
        await Receiver()(scope, receive, send)

    fake = FakeCodeQ(now=NOW, webhooks={ORIGIN: slow})
    async with fake.async_client() as http:
        await http.post(SUBSCRIPTIONS, json={"callbackUrl": f"{ORIGIN}/", "eventTypes": ["A"]})
        create = asyncio.create_task(http.post(TASKS, json=GOOD))
        await let_tasks_run()
        assert not create.done()
        claimed = await http.post(CLAIM, json={"commands": ["A"]})
        assert claimed.status_code == 200
        answer.set()
        created = await create
    assert (created.status_code, created.json()["id"]) == (202, claimed.json()["id"])


@pytest.mark.asyncio
async def test_u4_a_producer_that_hangs_up_does_not_cancel_the_notice() -> None:
    answer = asyncio.Event()
    receiver = Receiver()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await answer.wait()
        await receiver(scope, receive, send)

    fake = FakeCodeQ(now=NOW, webhooks={ORIGIN: slow})
    async with fake.async_client() as http:
        await http.post(SUBSCRIPTIONS, json={"callbackUrl": f"{ORIGIN}/", "eventTypes": ["A"]})
        create = asyncio.create_task(http.post(TASKS, json=GOOD))
        await let_tasks_run()
        create.cancel()
        await let_tasks_run()
        answer.set()
        await fake.aadvance(0)
    assert create.cancelled()
    assert (len(receiver.heard), len(fake.tasks())) == (1, 1)


@pytest.mark.asyncio
async def test_u4_a_subscriber_that_hangs_holds_a_create_up_for_15_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeq_fake.runtime.webhook_deliveries.PATIENCE", 0.01)

    async def hangs(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.Event().wait()

    fake = FakeCodeQ(now=NOW, webhooks={ORIGIN: hangs})
    async with fake.async_client() as http:
        await http.post(SUBSCRIPTIONS, json={"callbackUrl": f"{ORIGIN}/", "eventTypes": ["A"]})
        create = asyncio.create_task(http.post(TASKS, json=GOOD))
        await let_tasks_run()
        await fake.aadvance(14.999)
        assert not create.done()
        await fake.aadvance(0.001)
        assert create.done()
    assert (create.result().status_code, fake.callbacks[0]["state"]) == (202, "failed")
