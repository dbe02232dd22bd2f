"""Faults of callbacks and notices: what the receiver gets, the journal shows, and is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake import faults
from codeq_fake.payloads import FaultKind
from codeq_fake.testing import FakeCodeQ
from codeq_fake.webhooks.composer import sign
from tests.faults.support import claim, complete, create

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from starlette.types import Receive, Scope, Send

HOOK = "http://app.test/done"


class Receiver:
    """An application that is called back, and says yes."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        self.heard.append(({name.decode(): value.decode() for name, value in scope["headers"]}, body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def codeq(receiver: Receiver) -> Iterator[FakeCodeQ]:
    settings = {"WEBHOOK_HMAC_SECRET": "s3cret"}
    with FakeCodeQ(now="2026-01-31T12:00:00Z", settings=settings, webhooks={"http://app.test": receiver}) as fake:
        yield fake


def finish(http: httpx.Client, command: str = "A") -> str:
    """Create, claim and complete a task with a webhook."""
    task_id: str = create(http, command, webhook=HOOK).json()["id"]
    claim(http, command)
    complete(http, task_id)
    return task_id


def tries(codeq: FakeCodeQ) -> list[tuple[str, Any, list[FaultKind]]]:
    return [
        (tried["at"][11:19], tried["status"] or tried["error"], tried["faults"])
        for callback in codeq.callbacks
        for tried in callback["tries"]
    ]


def test_a_lost_attempt_is_followed_by_the_next(codeq: FakeCodeQ, http: httpx.Client, receiver: Receiver) -> None:
    with codeq.faults(faults.callback_lost(times=1)):
        finish(http)
        codeq.advance(seconds=2)
    assert tries(codeq) == [("12:00:00", "lost by a fault rule", ["callback_lost"]), ("12:00:02", 200, [])]
    assert (codeq.callbacks[0]["state"], len(receiver.heard)) == ("delivered", 1)


def test_a_callback_fails_if_all_attempts_are_lost(codeq: FakeCodeQ, http: httpx.Client, receiver: Receiver) -> None:
    with codeq.faults(faults.callback_lost()) as fault:
        finish(http)
        codeq.advance(seconds=60)
    assert (codeq.callbacks[0]["state"], receiver.heard, fault.fired) == ("failed", [], 5)


def test_a_callback_comes_twice_with_the_same_body(codeq: FakeCodeQ, http: httpx.Client, receiver: Receiver) -> None:
    with codeq.faults(faults.callback_twice()):
        finish(http)
        codeq.advance(seconds=60)
    assert tries(codeq) == [("12:00:00", 200, ["callback_twice"])] * 2
    [first, second] = receiver.heard
    assert first == second


def test_a_late_callback_is_sent_when_the_clock_gets_there(
    codeq: FakeCodeQ, http: httpx.Client, receiver: Receiver
) -> None:
    with codeq.faults(faults.callback_late(90, times=1)):
        finish(http)
        codeq.advance(seconds=89)
        assert receiver.heard == []
        codeq.advance(seconds=1)
    assert tries(codeq) == [("12:01:30", 200, ["callback_late"])]
    assert receiver.heard[0][0]["x-codeq-timestamp"] == "1769860890"


def test_a_late_and_lost_attempt_is_lost_late(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.callback_late(5, times=1), faults.callback_lost(times=1)):
        finish(http)
        codeq.advance(seconds=7)
    assert tries(codeq) == [
        ("12:00:05", "lost by a fault rule", ["callback_late", "callback_lost"]),
        ("12:00:07", 200, []),
    ]


@pytest.mark.parametrize("on", ["", "callback"])
def test_a_skewed_clock_signs_at_its_own_time(
    codeq: FakeCodeQ, http: httpx.Client, receiver: Receiver, on: str
) -> None:
    with codeq.faults(faults.clock_skew(-600, on=on)):
        finish(http)
        codeq.advance(seconds=0)
    headers, body = receiver.heard[0]
    assert headers["x-codeq-timestamp"] == str(1769860800 - 600)
    assert headers["x-codeq-signature"] == sign("s3cret", 1769860800 - 600, body)
    assert tries(codeq)[0][0] == "12:00:00"


def test_a_rule_names_a_callbacks_task_or_command(codeq: FakeCodeQ, http: httpx.Client) -> None:
    codeq.next(ids=["1", "2", "3"])
    with codeq.faults(faults.callback_lost(task="2"), faults.callback_lost(command="c")):
        for command in ("A", "B", "C"):
            finish(http, command)
        codeq.advance(seconds=0)
    lost = [callback["taskId"] for callback in codeq.callbacks if callback["tries"][0]["faults"]]
    assert lost == ["2", "3"]


def test_notices_have_faults_only_if_a_rule_names_them(
    codeq: FakeCodeQ, http: httpx.Client, receiver: Receiver
) -> None:
    http.post("/v1/codeq/workers/subscriptions", json={"callbackUrl": HOOK, "eventTypes": ["A", "B"]})
    with codeq.faults(faults.callback_lost(on="notice", command="A")):
        create(http, "A")
    with pytest.warns(faults.FaultNotMetWarning, match="there was 1 create, 1 notice"):
        in_force_for_a_create(codeq, http)
    assert [(entry["command"], entry["state"]) for entry in codeq.callbacks] == [("A", "failed"), ("B", "delivered")]
    assert len(receiver.heard) == 1


def in_force_for_a_create(codeq: FakeCodeQ, http: httpx.Client) -> None:
    codeq.advance(seconds=5)  # U5
    with codeq.faults(faults.callback_lost()):
        create(http, "B")


def test_the_timeline_shows_them(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.callback_lost(times=1)):
        finish(http)
        codeq.advance(seconds=2)
    assert "(12:00:00 lost by a fault rule with callback_lost, 12:00:02 200)" in codeq.timeline()
