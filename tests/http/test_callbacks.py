"""Result callbacks, from the result to the receiver, on a manual clock (W1 to W4)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.http.support import CLAIM, HOOK, IDENTITIES, NOW, ORIGIN, TASKS, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from starlette.types import Receive, Scope, Send

COMPLETED: dict[str, Any] = {"status": "COMPLETED", "result": {"html": "<a&b>"}}


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def codeq_options(receiver: Receiver) -> dict[str, Any]:
    return {"identities": IDENTITIES, "now": NOW, "profile": "redis", "webhooks": {ORIGIN: receiver}}


@pytest.fixture
def finish(codeq: FakeCodeQ, worker: httpx.Client, receiver: Receiver) -> Callable[..., str]:
    """A function that ends a task with a webhook and returns its id."""
    receiver.clock = lambda: codeq.now

    def finish(body: dict[str, Any] = COMPLETED, *, webhook: str = HOOK) -> str:
        task = codeq.enqueue("<A>", tenant="acme", webhook=webhook)
        worker.post(CLAIM, json={"commands": ["<A>"]})
        assert worker.post(f"{TASKS}/{task.id}/result", json=body).status_code == 200
        codeq.advance(seconds=0)  # until all is quiet
        return task.id

    return finish


def test_w1_the_callback_says_how_the_task_ended(finish: Callable[..., str], receiver: Receiver) -> None:
    artifact = {"name": "a", "url": "http://files.test/?a&b"}
    task = finish(COMPLETED | {"error": "odd", "artifacts": [artifact]})
    (heard,) = receiver.heard
    assert (heard.method, heard.path) == ("POST", "/done")
    assert heard.json == {
        "taskId": task,
        "eventType": "<A>",
        "status": "COMPLETED",
        "result": {"html": "<a&b>"},
        "error": "odd",
        "artifacts": [artifact],
        "completedAt": "2026-11-24T03:15:00-03:00",
    }
    assert b"<a&b>" in heard.body  # not escaped, as replies are


def test_w1_missing_values_are_null_or_empty(finish: Callable[..., str], receiver: Receiver) -> None:
    finish({"status": "FAILED", "error": "torn"})
    (heard,) = receiver.heard
    assert (heard.json["result"], heard.json["error"], heard.json["artifacts"]) == (None, "torn", None)


def test_w1_a_dead_letter_causes_no_callback(codeq: FakeCodeQ, worker: httpx.Client, receiver: Receiver) -> None:
    task = codeq.enqueue("A", tenant="acme", webhook=HOOK, max_attempts=1)
    worker.post(CLAIM, json={"commands": ["A"]})
    worker.post(f"{TASKS}/{task.id}/nack", json={})
    codeq.advance(seconds=3600)
    assert receiver.heard == []


def test_s6_a_batch_of_known_tasks_causes_no_callback(
    codeq: FakeCodeQ, worker: httpx.Client, receiver: Receiver
) -> None:
    tasks = [codeq.enqueue("A", tenant="acme", webhook=HOOK).id for _ in range(2)]
    for _ in tasks:
        worker.post(CLAIM, json={"commands": ["A"]})
    first, second = ({"taskId": task, **COMPLETED} for task in tasks)
    worker.post(f"{TASKS}/batch/results", json={"results": [first]})
    codeq.advance(seconds=3600)
    assert receiver.heard == []
    worker.post(f"{TASKS}/batch/results", json={"results": [second, {"taskId": "none"}]})
    codeq.advance(seconds=0)
    assert [heard.json["taskId"] for heard in receiver.heard] == [tasks[1]]


def test_w2_without_a_secret_a_callback_is_not_signed(finish: Callable[..., str], receiver: Receiver) -> None:
    finish()
    headers = receiver.heard[0].headers
    assert headers["content-type"] == "application/json"
    assert not {name for name in headers if name.startswith("x-codeq")}


@pytest.mark.codeq(settings={"WEBHOOK_HMAC_SECRET": "hush"})
def test_w2_each_try_has_its_own_signature(codeq: FakeCodeQ, finish: Callable[..., str], receiver: Receiver) -> None:
    receiver.statuses = [500]
    finish()
    codeq.advance(seconds=2)
    first, second = receiver.heard
    assert first.body == second.body
    assert [heard.headers["x-codeq-timestamp"] for heard in (first, second)] == ["1795500900", "1795500902"]
    for heard in (first, second):
        signed = heard.headers["x-codeq-timestamp"].encode() + b"." + heard.body
        assert heard.headers["x-codeq-signature"] == hmac.new(b"hush", signed, hashlib.sha256).hexdigest()


def test_w3_a_callback_is_tried_five_times(codeq: FakeCodeQ, finish: Callable[..., str], receiver: Receiver) -> None:
    receiver.statuses = [500, 404, 302, 400, 503, 200]
    finish()
    codeq.advance(seconds=3600)
    assert receiver.times == ["15:00", "15:02", "15:06", "15:14", "15:30"]
    (callback,) = codeq.callbacks
    assert callback["state"] == "failed"
    assert [tried["status"] for tried in callback["tries"]] == [500, 404, 302, 400, 503]
    assert callback["tries"][1] == {"at": "2026-11-24T06:15:02Z", "status": 404, "error": None, "faults": []}


@pytest.mark.codeq(
    settings={
        "RESULT_WEBHOOK_MAX_ATTEMPTS": "6",
        "RESULT_WEBHOOK_BASE_BACKOFF_SECONDS": "1",
        "RESULT_WEBHOOK_MAX_BACKOFF_SECONDS": "3",
    }
)
def test_w3_the_waits_are_settings(codeq: FakeCodeQ, finish: Callable[..., str], receiver: Receiver) -> None:
    receiver.statuses = [500] * 9
    finish()
    codeq.advance(seconds=3600)
    assert receiver.times == ["15:00", "15:01", "15:03", "15:06", "15:09", "15:12"]


def test_w3_a_success_ends_the_tries(codeq: FakeCodeQ, finish: Callable[..., str], receiver: Receiver) -> None:
    receiver.statuses = [500, 299]
    finish()
    codeq.advance(seconds=3600)
    assert receiver.times == ["15:00", "15:02"]
    (callback,) = codeq.callbacks
    assert (callback["kind"], callback["state"], callback["url"]) == ("task_result", "delivered", HOOK)
    assert callback["body"].encode() == receiver.heard[0].body
    assert callback["headers"]["Content-Type"] == "application/json"


def test_w3_several_small_advances_equal_one_large_advance(
    codeq: FakeCodeQ, finish: Callable[..., str], receiver: Receiver
) -> None:
    receiver.statuses = [500] * 5
    finish()
    for _ in range(70):
        codeq.advance(seconds=0.5)
    assert receiver.times == ["15:00", "15:02", "15:06", "15:14", "15:30"]


def test_w3_a_receiver_that_raises_is_a_failure() -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("a bug of the receiver")

    with FakeCodeQ(webhooks={ORIGIN: broken}, now=NOW, settings={"RESULT_WEBHOOK_MAX_ATTEMPTS": "1"}) as fake:
        task = fake.enqueue("A", webhook=HOOK)
        with fake.client() as http:
            http.post(CLAIM, json={"commands": ["A"]})
            http.post(f"{TASKS}/{task.id}/result", json=COMPLETED)
        with fake.expect_receiver_error(RuntimeError, match="a bug of the receiver"):
            fake.advance(seconds=0)
        assert [tried["status"] for tried in fake.callbacks[0]["tries"]] == [500]


@pytest.mark.parametrize(
    ("status", "method", "has_body"),
    [(301, "GET", False), (303, "GET", False), (307, "POST", True), (308, "POST", True)],
)
def test_w4_redirects_are_followed(
    finish: Callable[..., str], receiver: Receiver, status: int, method: str, *, has_body: bool
) -> None:
    receiver.statuses = [(status, "/elsewhere")]
    finish()
    assert [(heard.method, heard.path) for heard in receiver.heard] == [("POST", "/done"), (method, "/elsewhere")]
    assert bool(receiver.heard[1].body) is has_body


def test_a_callback_to_a_public_address_is_not_retried(codeq: FakeCodeQ, finish: Callable[..., str]) -> None:
    finish(webhook="https://your-app.com/hook")
    codeq.advance(seconds=3600)
    (callback,) = codeq.callbacks
    assert (callback["state"], callback["blocked"], len(callback["tries"])) == ("blocked", True, 1)
    assert "--webhook-allow your-app.com" in str(callback["tries"][0]["error"])


def test_w3_the_submitter_does_not_wait_and_a_hanging_receiver_times_out_on_the_fakes_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("codeq_fake.runtime.webhook_deliveries.PATIENCE", 0.01)

    async def hangs(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.Event().wait()

    settings = {"RESULT_WEBHOOK_MAX_ATTEMPTS": "2"}
    with FakeCodeQ(webhooks={ORIGIN: hangs}, now=NOW, settings=settings) as fake, fake.client() as http:
        task = fake.enqueue("A", webhook=HOOK)
        http.post(CLAIM, json={"commands": ["A"]})
        assert http.post(f"{TASKS}/{task.id}/result", json=COMPLETED).status_code == 200
        assert fake.callbacks[0]["state"] == "pending"
        fake.advance(seconds=60)
        (callback,) = fake.callbacks
    assert callback["state"] == "failed"
    assert callback["tries"] == [
        {"at": "2026-11-24T06:15:00Z", "status": None, "error": "no answer within 15 s", "faults": []},
        {"at": "2026-11-24T06:15:17Z", "status": None, "error": "no answer within 15 s", "faults": []},
    ]


def test_a_reset_cancels_the_callbacks_that_are_being_sent() -> None:
    hung_up: list[bool] = []

    async def hangs(_scope: Scope, _receive: Receive, _send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            hung_up.append(True)

    with FakeCodeQ(webhooks={ORIGIN: hangs}, now=NOW) as fake, fake.client() as http:
        task = fake.enqueue("A", webhook=HOOK)
        http.post(CLAIM, json={"commands": ["A"]})
        http.post(f"{TASKS}/{task.id}/result", json=COMPLETED)
        fake.reset()
        fake.advance(seconds=3600)
        assert fake.callbacks == []
    assert hung_up == [True]


def test_an_advance_waits_for_a_receiver_that_calls_the_fake() -> None:
    created: list[int] = []

    async def chains(_scope: Scope, _receive: Receive, _send: Send) -> None:
        async with fake.async_client() as http:
            reply = await http.post(TASKS, json={"command": "NEXT", "payload": 1})
        created.append(reply.status_code)

    with FakeCodeQ(webhooks={ORIGIN: chains}, now=NOW) as fake, fake.client() as http:
        task = fake.enqueue("A", webhook=HOOK)
        http.post(CLAIM, json={"commands": ["A"]})
        http.post(f"{TASKS}/{task.id}/result", json=COMPLETED)
        fake.advance(seconds=1)
        assert [task.command for task in fake.tasks()] == ["A", "NEXT"]
    assert created == [202]


@pytest.mark.codeq(settings={"TRACING_ENABLED": "true"})
def test_x1_a_callback_carries_the_tasks_trace(
    finish: Callable[..., str], receiver: Receiver, worker: httpx.Client
) -> None:
    task = finish()
    shown = worker.get(f"{TASKS}/{task}").json()["traceParent"]
    sent = receiver.heard[0].headers["traceparent"]
    assert sent.split("-")[1] == shown.split("-")[1]
    assert sent != shown


@pytest.fixture
def limited(receiver: Receiver) -> Iterator[FakeCodeQ]:
    yaml = "rateLimit: {webhook: {requestsPerMinute: 6, burstSize: 1}}"
    with FakeCodeQ(now=NOW, yaml=yaml, webhooks={ORIGIN: receiver}) as fake:
        receiver.clock = lambda: fake.now
        yield fake


def test_l1_the_webhooks_bucket_delays_callbacks(limited: FakeCodeQ, receiver: Receiver) -> None:
    with limited.client() as http:
        for _ in range(3):
            task = limited.enqueue("A", webhook=HOOK)
            http.post(CLAIM, json={"commands": ["A"]})
            http.post(f"{TASKS}/{task.id}/result", json=COMPLETED)
    limited.advance(seconds=60)
    assert receiver.times == ["15:00", "15:10", "15:20"]
