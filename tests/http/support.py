"""Callers, requests, receivers and filled fakes for the tests of the HTTP routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response

from codeq_fake.http import Operation
from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

Headers = Sequence[tuple[bytes, bytes]]

NOW = "2026-11-24T06:15:00Z"

V1 = "/v1/codeq"
TASKS = f"{V1}/tasks"
CLAIM = f"{TASKS}/claim"
SUBSCRIPTIONS = f"{V1}/workers/subscriptions"
QUEUES = f"{V1}/admin/queues"
CLEANUP = f"{V1}/admin/tasks/cleanup"

ALL_SCOPES = "codeq:claim codeq:heartbeat codeq:abandon codeq:nack codeq:result codeq:subscribe"


def _producer(subject: str, **claims: object) -> dict[str, Any]:
    return {"kind": "producer", "claims": {"sub": subject, "tenantId": "acme"} | claims}


def _worker(subject: str, **claims: object) -> dict[str, Any]:
    return {
        "kind": "worker",
        "claims": {"sub": subject, "tenantId": "acme", "scope": ALL_SCOPES, "eventTypes": ["*"]} | claims,
    }


#: By name. The token of a caller is its name.
IDENTITIES: Mapping[str, dict[str, Any]] = {
    "producer": _producer("prod-1"),
    "admin": _producer("ops-1", role="ADMIN"),
    "worker": _worker("w-1"),
    "other": _worker("w-2"),
    "scopeless": _worker("w-3", scope="codeq:none"),
    "packer": _worker("w-4", eventTypes=["PACK"]),
    "nameless": _worker("", sub=None),
    "stranger": _producer("prod-2", tenantId="beta"),
}


# Requests without a client in between: any bytes, any headers, and a client that hangs up.


@dataclass(frozen=True)
class Answer:
    """A reply."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request_scope(method: str, target: str, headers: Headers = ()) -> Scope:
    """The ASGI scope that a server makes of a request line and headers."""
    raw_path, _, query = target.encode("latin-1").partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(raw_path).decode(errors="replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }


@dataclass
class Connection:
    """A client's side of one request: it sends the body, and hangs up when `gone` is set."""

    body: Iterable[bytes] = ()
    sent: list[Message] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._parts = iter(self.body)
        self._complete = False

    async def receive(self) -> Message:
        for part in self._parts:
            return {"type": "http.request", "body": part, "more_body": True}
        if not self._complete:
            self._complete = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def answer(self) -> Answer:
        start, *bodies = self.sent
        assert start["type"] == "http.response.start"
        assert [part["type"] for part in bodies] == ["http.response.body"] * len(bodies)
        assert not bodies[-1].get("more_body", False)
        return Answer(start["status"], dict(start["headers"]), b"".join(part["body"] for part in bodies))


async def ask(app: ASGIApp, method: str, target: str, body: Iterable[bytes] = (), headers: Headers = ()) -> Answer:
    """Send one request and return its reply."""
    connection = Connection(body)
    await app(request_scope(method, target, headers), connection.receive, connection.send)
    return connection.answer()


def bearer(token: str) -> Headers:
    return [(b"authorization", f"Bearer {token}".encode())]


# A receiver of callbacks.

ORIGIN = "http://hooks.test"
HOOK = f"{ORIGIN}/done"


@dataclass(frozen=True)
class Heard:
    """A received request. `at` is the fake's time."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """An ASGI application that answers with the next of `statuses`, then 200. A redirect is a status and a location."""

    statuses: list[int | tuple[int, str]] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    clock: Callable[[], str] = lambda: ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.heard.append(Heard(request.method, request.url.path, dict(request.headers), body, self.clock()))
        answer = self.statuses.pop(0) if self.statuses else 200
        status, headers = answer if isinstance(answer, tuple) else (answer, "")
        await Response(status_code=status, headers={"location": headers} if headers else None)(scope, receive, send)

    @property
    def times(self) -> list[str]:
        """Minutes and seconds of the received requests."""
        return [heard.at[14:-1] for heard in self.heard]


# A fake that holds something in each place.

#: An address that is reserved for documentation. No callback is sent to it.
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

#: A valid body for each operation that reads one.
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
    """The name of a caller that may call it."""
    return {"producer": "producer", "admin": "admin"}.get(operation.right, "worker")


def fill() -> bytes:
    """The state of a fake with a task in each place, an expired lease and a due task."""
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


async def ask_and_hang_up(fake: FakeCodeQ, method: str, target: str, body: bytes, head: Headers) -> Answer:
    """Send one request and hang up, so that no claim waits. No error may be reported to the event loop."""
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    client = Connection([body[:7], body[7:]])
    client.gone.set()
    await fake.app(request_scope(method, target, head), client.receive, client.send)
    await fake.aadvance(0)
    assert errors == []
    return client.answer()


async def filled(state: bytes, artifacts: str = "/nowhere") -> FakeCodeQ:
    """A fake with this state, which stores files in the directory `artifacts`."""
    settings = {"LOCAL_ARTIFACTS_DIR": artifacts}
    fake = FakeCodeQ(identities=IDENTITIES, now=NOW, profile="redis", seed=1, settings=settings)
    assert (await ask_and_hang_up(fake, "PUT", "/_fake/state", state, ())).status == 200
    return fake
