"""A fake that holds something in each place, a good body for each operation, and calls that nobody waits for."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from codeq_fake.testing import FakeCodeQ
from tests.http.callers import CLAIM, IDENTITIES, NOW, SUBSCRIPTIONS, TASKS
from tests.http.direct import Connection, request_scope

if TYPE_CHECKING:
    from codeq_fake.http import Operation
    from tests.http.direct import Answer, Headers

#: An address that is reserved for documentation: nobody is there, and no callback goes there.
NOWHERE = "http://203.0.113.9/hook"

_ITEM = {"command": "A", "payload": {"n": [1, 2.5, "x"]}, "priority": 3, "webhook": NOWHERE, "maxAttempts": 5,
         "idempotencyKey": "k", "runAt": "2026-11-24T06:16:00Z", "delaySeconds": 5}  # fmt: skip
_RESULT = {
    "workerId": "w-1",
    "status": "COMPLETED",
    "result": {"n": 1},
    "error": "odd",
    "artifacts": [{"name": "a", "url": "u"}, {"name": "b", "contentBase64": "aGk=", "contentType": "text/plain"}],
}

#: A good body for each operation that reads one.
GOOD: dict[str, dict[str, Any]] = {
    "create": _ITEM,
    "create_batch": {"tasks": [_ITEM, {"command": "B", "payload": None}]},
    "claim": {"commands": ["A", "B"], "leaseSeconds": 60, "waitSeconds": 2},
    "claim_batch": {"commands": ["A", "B"], "leaseSeconds": 60, "count": 2},
    "heartbeat": {"extendSeconds": 60},
    "nack": {"delaySeconds": 5, "reason": "busy"},
    "submit": _RESULT,
    "submit_batch": {"results": [{"taskId": "held", **_RESULT}, {"taskId": "done", **_RESULT}]},
    "subscribe": {"callbackUrl": NOWHERE, "eventTypes": ["A"], "ttlSeconds": 60, "deliveryMode": "group",
                  "groupId": "g", "minIntervalSeconds": 5},
    "renew": {"ttlSeconds": 60},
    "cleanup": {"limit": 1, "before": "2026-11-24T06:15:00Z"},
}  # fmt: skip


def caller_of(operation: Operation) -> str:
    """Who may call it."""
    return {"producer": "producer", "admin": "admin"}.get(operation.right, "worker")


def fill() -> bytes:
    """The state of a fake that holds a task in each place, a lease that has run out, and a delayed task that is due."""
    with FakeCodeQ(identities=IDENTITIES, now="2026-11-24T06:14:00Z", profile="redis", seed=1) as fake:
        fake.next(ids=["dead", "done", "held", "spent", "waiting", "due", "later", "s-1"])
        for number in range(5):
            fake.enqueue("A", number, tenant="acme", max_attempts=5 if number else 1)
        fake.enqueue("A", tenant="acme", delay=1)
        fake.enqueue("B", tenant="acme", delay=3600)
        with fake.client("worker") as worker:
            for lease in (300, 300, 300, 1):
                worker.post(CLAIM, json={"commands": ["A"], "leaseSeconds": lease})
            worker.post(f"{TASKS}/dead/nack", json={})
            worker.post(f"{TASKS}/done/result", json={"status": "COMPLETED", "result": {"n": 1}})
            worker.post(SUBSCRIPTIONS, json={"callbackUrl": NOWHERE, "eventTypes": ["A"], "ttlSeconds": 3600})
        fake.advance(to=NOW)
        return json.dumps(fake.state()).encode()


async def ask(fake: FakeCodeQ, method: str, target: str, body: bytes, head: Headers) -> Answer:
    """One request of a client that hangs up when it has sent it, so that no claim waits; nothing may go wrong aside."""
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    client = Connection([body[:7], body[7:]])
    client.gone.set()
    await fake.app(request_scope(method, target, head), client.receive, client.send)
    await fake.aadvance(0)
    assert errors == []
    return client.answer()


async def filled(state: bytes, artifacts: str = "/nowhere") -> FakeCodeQ:
    """A fake in this state; files go to the directory ``artifacts``."""
    settings = {"LOCAL_ARTIFACTS_DIR": artifacts}
    fake = FakeCodeQ(identities=IDENTITIES, now=NOW, profile="redis", seed=1, settings=settings)
    assert (await ask(fake, "PUT", "/_fake/state", state, ())).status == 200
    return fake
