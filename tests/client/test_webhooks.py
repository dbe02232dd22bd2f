"""Webhooks: signatures, repeated deliveries, wrong messages, and a wait that a callback ends."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest

from codeq_client import CodeQ
from codeq_client.errors import ConfigurationError, InvalidSignature
from codeq_client.testing import ManualClock
from codeq_client.webhooks import QueueReady, ResultCallback, WebhookReceiver, verify_signature
from codeq_fake.testing import FakeCodeQ
from tests.client.api.support import StillClock

RESULT = {
    "taskId": "t-1",
    "eventType": "X",
    "status": "COMPLETED",
    "result": {"$value": [1]},
    "error": "",
    "artifacts": None,
    "completedAt": "2026-11-24T03:00:00.5-03:00",
}
READY = {
    "eventType": "X",
    "available": True,
    "queueDepth": 0,
    "claimUrl": "/v1/codeq/tasks/claim",
    "sentAt": "2026-11-24T03:00:00-03:00",
    "notificationId": "ntf-1",
}


def signed(body: bytes, secret: str = "s", at: int = 1000) -> dict[str, str]:
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-CodeQ-Timestamp": str(at), "x-codeq-signature": signature}


def test_only_a_recent_signature_with_the_secret_is_valid() -> None:
    body = b'{"a":1}'
    verify_signature("s", signed(body), body, now=1000 + 300)
    verify_signature("s", signed(body), body, now=1000 - 300)
    for headers, text, now in (
        (signed(body, "other"), "does not match the secret", 1000),
        (signed(b"{}"), "does not match the secret", 1000),
        (signed(body), "301 s old", 1301),
        (signed(body), "-301 s old", 699),
        ({}, "has no CodeQ signature", 1000),
        ({**signed(body), "X-CodeQ-Timestamp": "²"}, "has no CodeQ signature", 1000),
        ({**signed(body), "x-codeq-signature": "é"}, "does not match the secret", 1000),
    ):
        with pytest.raises(InvalidSignature, match=text):
            verify_signature("s", headers, body, now=now)


def post(
    receiver: WebhookReceiver, *bodies: Any, headers: dict[str, str] | None = None, method: str = "POST"
) -> list[int]:
    async def main() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(receiver), base_url="http://app.test") as http:
            codes = []
            for body in bodies:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                response = await http.request(method, "/", content=content, headers=headers or signed(content))
                codes.append(response.status_code)
            return codes

    return asyncio.run(main())


def receiver(secret: str | None = "s") -> tuple[WebhookReceiver, list[Any]]:
    made = WebhookReceiver(secret, clock=StillClock())
    got: list[Any] = []

    @made.on_result
    async def on_result(callback: ResultCallback) -> None:
        got.append(callback)

    @made.on_ready
    async def on_ready(notice: QueueReady) -> None:
        got.append(notice)

    return made, got


def test_a_redelivered_result_reaches_its_handler_once() -> None:
    made, got = receiver()
    assert post(made, RESULT, RESULT, {**RESULT, "taskId": "t-2"}) == [204, 204, 204]
    assert [(callback.task_id, callback.command, callback.record.result) for callback in got] == [
        ("t-1", "X", [1]),
        ("t-2", "X", [1]),
    ]


def test_a_failure_is_read() -> None:
    made, got = receiver()
    post(
        made, {**RESULT, "status": "FAILED", "error": "boom", "result": None, "artifacts": [{"name": "a", "url": "u"}]}
    )
    record = got[0].record
    assert (record.status, record.error, record.result, record.artifacts[0].url) == ("FAILED", "boom", None, "u")


def test_a_notification_reaches_its_handler_once() -> None:
    made, got = receiver()
    assert post(made, READY, READY, {**READY, "sentAt": "2026-11-24T03:01:00-03:00"}) == [204] * 3
    assert [notice.command for notice in got] == ["X", "X"]


def test_a_handler_that_fails_gets_the_message_again() -> None:
    made = WebhookReceiver("s", clock=StillClock())
    calls = []

    @made.on_result
    async def on_result(callback: ResultCallback) -> None:
        calls.append(callback)
        if len(calls) == 1:
            raise OSError

    assert post(made, RESULT, RESULT, RESULT) == [500, 204, 204]
    assert len(calls) == 2


@pytest.mark.parametrize(("fails", "codes", "count"), [(False, [204, 204], 1), (True, [500, 204], 2)])
def test_a_message_redelivered_while_it_is_handled_waits(fails: bool, codes: list[int], count: int) -> None:  # noqa: FBT001 - parametrized
    made = WebhookReceiver(None)
    go_on = asyncio.Event()
    calls = 0

    @made.on_result
    async def on_result(_callback: ResultCallback) -> None:
        nonlocal calls
        calls += 1
        await go_on.wait()
        if fails and calls == 1:
            raise OSError

    async def main() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://app.test") as http:
            first = asyncio.create_task(http.post("/", json=RESULT))
            await asyncio.sleep(0.01)
            second = asyncio.create_task(http.post("/", json=RESULT))
            await asyncio.sleep(0.01)
            assert calls == 1
            go_on.set()
            return [(await first).status_code, (await second).status_code]

    assert asyncio.run(main()) == codes
    assert calls == count


def test_other_requests_are_refused() -> None:
    made, got = receiver()
    assert post(made, b"{", b"[]", b"{}", b'"text"', {"taskId": "t"}, b"[" * 50_000) == [400] * 6
    assert post(made, RESULT, headers={"x": "y"}) == [401]
    assert post(made, RESULT, method="GET") == [405]
    assert post(made, b"x" * (16 * 1024 * 1024), b"x" * (16 * 1024 * 1024 + 1)) == [400, 413]
    assert got == []


async def call(receiver: WebhookReceiver, *parts: bytes) -> int:
    """The status of the reply to a body that comes in parts, without httpx, which takes longer than the receiver."""
    messages = deque({"type": "http.request", "body": part, "more_body": True} for part in parts)
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.popleft()

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await receiver({"type": "http", "method": "POST", "headers": []}, receive, send)
    return int(sent[0]["status"])


@pytest.mark.slow
def test_the_latest_ten_thousand_messages_are_remembered() -> None:
    async def main() -> None:
        made, got = receiver(None)
        bodies = [json.dumps({**RESULT, "taskId": f"t-{n}"}).encode() for n in range(10_001)]
        for body in bodies:
            assert await call(made, body) == 204
        got.clear()
        assert [await call(made, body) for body in (bodies[1], bodies[-1], bodies[0])] == [204] * 3
        assert [result.task_id for result in got] == ["t-0"]

    asyncio.run(main())


def test_a_body_in_many_parts_takes_no_longer_than_one_in_few() -> None:
    measured = [0]

    class Part(bytes):
        """A part that counts how often it is measured."""

        def __len__(self) -> int:
            measured[0] += 1
            return super().__len__()

    made, _ = receiver(None)
    assert asyncio.run(call(made, *[Part(b" ")] * 1000)) == 400
    assert measured[0] <= 1000


def test_without_a_secret_unsigned_messages_are_accepted() -> None:
    made, got = receiver(None)
    assert post(made, RESULT, headers={"x": "y"}) == [204]
    assert len(got) == 1


def test_only_http_is_answered() -> None:
    made, _ = receiver()

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    with pytest.raises(RuntimeError, match="websocket"):
        asyncio.run(made({"type": "websocket"}, nothing, nothing))


def test_a_wait_ends_when_the_servers_callback_arrives() -> None:
    async def main() -> None:
        made = WebhookReceiver("s", tolerance=float("inf"))
        fake = FakeCodeQ(settings={"WEBHOOK_HMAC_SECRET": "s"}, webhooks={"http://app.test": made})
        clock = ManualClock(fake.aadvance)
        tokens = {"producer_token": "dev-token", "worker_token": "dev-token"}
        codeq = CodeQ("http://codeq.test", transport=httpx.ASGITransport(fake.app), clock=clock, **tokens)  # type: ignore[arg-type]  # the tokens' dict
        created = await codeq.create("X", {}, webhook="http://app.test/hook")
        task = await codeq.claim(["X"])
        assert task
        waiting = asyncio.create_task(codeq.wait_for_result(created.id, wake=made))
        await clock.advance(20)  # the wait polls every 2 s now
        before = clock.monotonic()
        await codeq.complete(task, "done")
        await clock.advance(0)
        assert await waiting == "done"
        assert clock.monotonic() == before

    asyncio.run(main())


@pytest.mark.parametrize("secret", ["", " ", "\t\n"])
def test_an_empty_secret_is_refused(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="the secret is empty"):
        WebhookReceiver(secret)
    with pytest.raises(ConfigurationError, match="the secret is empty"):
        verify_signature(secret, signed(b"{}", secret), b"{}", now=1000)


@pytest.mark.parametrize("secret", [None, b"secret", 7])
def test_a_secret_that_is_no_text_is_refused(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"the secret is a {type(secret).__name__}, not a string"):
        verify_signature(secret, {}, b"{}")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CodeQ-Timestamp": "1000", "x-codeq-signature": "\udce9"},
        {"X-CodeQ-Timestamp": "\udce9", "x-codeq-signature": "a"},
        {"X-CodeQ-Timestamp": "9" * 5000, "x-codeq-signature": "a"},
    ],
    ids=["signature", "timestamp", "long timestamp"],
)
def test_headers_of_any_content_are_an_invalid_signature(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature):
        verify_signature("s", headers, b"{}", now=1000)


WRONG_VALUES = [[], {}, 5, True, [[]], {"a": []}]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        *((RESULT, name) for name in ("taskId", "eventType", "status", "completedAt", "error")),
        *((READY, name) for name in ("eventType", "sentAt", "notificationId")),
    ],
)
@pytest.mark.parametrize("value", WRONG_VALUES, ids=str)
def test_a_message_of_the_wrong_types_is_a_bad_request(message: dict[str, Any], field: str, value: object) -> None:
    made, got = receiver(None)
    assert asyncio.run(call(made, json.dumps({**message, field: value}).encode())) == 400
    assert got == []


@pytest.mark.parametrize(
    ("message", "field"),
    [(RESULT, "taskId"), (RESULT, "eventType"), (READY, "eventType"), (READY, "sentAt"), (READY, "notificationId")],
)
def test_a_message_without_a_field_that_it_needs_is_a_bad_request(message: dict[str, Any], field: str) -> None:
    made, got = receiver(None)
    assert post(made, {**message, field: None}, {k: v for k, v in message.items() if k != field}) == [400, 400]
    assert got == []
