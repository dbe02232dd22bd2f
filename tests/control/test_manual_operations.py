"""Manual operations of the control API: requeue, delete, resend, queues."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.control import ConflictError, UnknownCallbackError, UnknownTaskError
from codeq_fake.control.controls import Controls
from codeq_fake.core import Submission
from codeq_fake.runtime import webhook_deliveries
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.testing import FakeCodeQ
from tests.control.support import ID, LEASED, NOW, OTHER, READY, claim, create, get, refusal

if TYPE_CHECKING:
    import httpx
    from starlette.types import Receive, Scope, Send

HOOK = "http://app.test/done"
COMPLETED = {"status": "COMPLETED", "result": {}}


class Receiver:
    """An application that is called back; it answers with these statuses, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.heard: list[Any] = []

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        self.heard.append(json.loads((await receive())["body"]))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def hand_in(http: httpx.Client) -> None:
    create(http, webhook=HOOK)
    claim(http)
    http.post(f"/v1/codeq/tasks/{ID}/result", json=COMPLETED).raise_for_status()


def test_a_task_is_requeued(http: httpx.Client) -> None:
    create(http)
    claim(http)
    shown = http.post(f"/_fake/tasks/{ID}/requeue").json()
    assert (shown["status"], shown["lastKnownLocation"]) == ("PENDING", "PENDING_LIST")
    assert shown["history"][-1] == {"at": NOW, "what": "requeued by hand", "by": None, "from": LEASED, "to": READY}
    assert shown == get(http, f"tasks/{ID}")


def test_a_deleted_task_is_returned(http: httpx.Client) -> None:
    create(http)
    before = get(http, f"tasks/{ID}")
    assert http.delete(f"/_fake/tasks/{ID}").json() == before
    assert refusal(http.get(f"/_fake/tasks/{ID}")) == (404, f"no task {ID}")


@pytest.mark.parametrize(("method", "path"), [("POST", "tasks/unknown/requeue"), ("DELETE", "tasks/unknown")])
def test_an_unknown_task_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    assert refusal(http.request(method, f"/_fake/{path}")) == (404, "no task unknown")


def test_the_queues_are_shown_by_tenant_and_command(http: httpx.Client) -> None:
    assert get(http, "queues") == {"queues": [], "parkedClaims": 0}
    create(http, "1", priority=9)
    create(http, "2")
    create(http, "3", delaySeconds=60)
    claim(http, leaseSeconds=30)
    create(http, "4", command="Pack")
    assert get(http, "queues")["queues"] == [
        {
            "tenant": "dev",
            "command": "A",
            "ready": 1,
            "readyByPriority": [1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            "delayed": 1,
            "inProgress": 1,
            "dlq": 0,
            "nextDue": "2026-01-31T12:01:00Z",
            "nextLeaseEnd": "2026-01-31T12:00:29.501Z",
        },
        {
            "tenant": "dev",
            "command": "Pack",
            "ready": 1,
            "readyByPriority": [1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            "delayed": 0,
            "inProgress": 0,
            "dlq": 0,
            "nextDue": None,
            "nextLeaseEnd": None,
        },
    ]


def test_a_callback_is_sent_again_as_a_new_entry() -> None:
    app = Receiver(503, 204)
    with FakeCodeQ(now=NOW, seed=1, webhooks={"http://app.test": app}) as fake, fake.client() as http:
        hand_in(http)
        fake.advance(0)
        again = http.post("/_fake/callbacks/1/resend").json()["callback"]
        assert (again["n"], again["state"], again["url"]) == (2, "delivered", HOOK)
        assert again["tries"] == [{"at": NOW, "status": 204, "error": None, "faults": []}]
        assert fake.callbacks[1] == again
        assert fake.callbacks[0]["state"] == "pending"
        assert app.heard[0] == app.heard[1]


def test_a_callback_that_is_sent_again_is_told_from_those_that_were_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_deliveries, "MOST_SHOWN", 0)  # all that wait get their entries when they are sent

    async def again() -> dict[str, Any]:
        runtime = FakeServer(Config(mounts={"http://app.test": Receiver(204)}, max_callbacks=1), WallClock("manual"))

        async def finish(task_id: str) -> None:
            runtime.source.queue(ids=[task_id])
            now = runtime.clock.now()
            runtime.broker.create("A", webhook=HOOK, tenant="dev", now=now)
            runtime.broker.claim(["A"], worker="w", event_types=["*"], tenant="dev", now=now)
            runtime.broker.submit(task_id, Submission("COMPLETED", "{}"), worker="w", now=now)
            await runtime.carry_out_effects()

        await finish("first")
        await runtime.advance()
        for task_id in ("second", "third"):
            await finish(task_id)
        entry: dict[str, Any] = (await Controls(runtime).resend(1))["callback"]
        return entry

    sent = asyncio.run(again())
    assert (sent["taskId"], sent["n"]) == ("first", 4)


def test_a_notice_is_sent_again() -> None:
    app = Receiver(204)
    with FakeCodeQ(now=NOW, seed=1, webhooks={"http://app.test": app}) as fake, fake.client() as http:
        http.post("/_fake/next", json={"ids": [OTHER]})
        http.post("/v1/codeq/workers/subscriptions", json={"callbackUrl": HOOK, "eventTypes": ["A"]})
        create(http)
        again = http.post("/_fake/callbacks/1/resend").json()["callback"]
        assert (again["n"], again["state"], again["subscriptionId"]) == (2, "delivered", OTHER)
        assert len(app.heard) == 2
        sent = 'codeq_webhook_deliveries_total{command="A",kind="queue_ready",outcome="success"}'
        assert f"{sent} 2\n" in http.get("/metrics").text


def test_an_unknown_callback_is_not_sent(http: httpx.Client) -> None:
    assert refusal(http.post("/_fake/callbacks/7/resend")) == (404, "the journal has no callback 7")
    assert refusal(http.post("/_fake/callbacks/x/resend"))[0] == 400


@pytest.mark.parametrize(
    ("undone", "reason"), [("requeue", "has no result any more"), ("delete", "is gone")], ids=["requeued", "deleted"]
)
def test_a_callback_without_its_result_is_not_sent(undone: str, reason: str) -> None:
    with FakeCodeQ(now=NOW, seed=1, webhooks={"http://app.test": Receiver(204)}) as fake, fake.client() as http:
        hand_in(http)
        getattr(fake, undone)(ID)
        status, text = refusal(http.post("/_fake/callbacks/1/resend"))
        assert (status, text) == (409, f"task {ID} {reason}: there is nothing left to send")
        assert len(fake.callbacks) == 1


def test_a_callback_over_its_rate_limit_is_sent_later() -> None:  # L1
    limits = "rateLimit:\n  webhook: {requestsPerMinute: 1, burstSize: 1}\n"
    app = Receiver(204)
    with FakeCodeQ(now=NOW, seed=1, yaml=limits, webhooks={"http://app.test": app}) as fake, fake.client() as http:
        hand_in(http)
        assert http.post("/_fake/callbacks/1/resend").json() == {"callback": None}
        fake.advance(60)
        assert [(entry["n"], entry["state"]) for entry in fake.callbacks] == [(1, "delivered"), (2, "delivered")]


def test_the_handle_has_the_same_operations() -> None:
    with FakeCodeQ(now=NOW, seed=1, webhooks={"http://app.test": Receiver(503, 204)}) as fake, fake.client() as http:
        hand_in(http)
        fake.resend(1)
        assert [entry["state"] for entry in fake.callbacks] == ["pending", "delivered"]
        fake.requeue(ID)
        assert fake.task(ID).location == "PENDING_LIST"
        assert [(queue["command"], queue["ready"]) for queue in fake.queues()] == [("A", 1)]
        fake.delete(ID)
        assert fake.queues()[0]["ready"] == 0
        with pytest.raises(UnknownTaskError):
            fake.delete(ID)
        with pytest.raises(ConflictError):
            fake.resend(1)
        with pytest.raises(UnknownCallbackError):
            fake.resend(9)
