"""Set-up of the worker tests: client, fake server and their clocks in one event loop, and a network with faults."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Literal, TypeAlias, TypeVar

import httpx

from codeq_client import CodeQ, Event, Job, TaskEnded, Worker
from codeq_client.testing import ManualClock
from codeq_fake.control import ConflictError, UnknownTaskError
from codeq_fake.testing import FakeCodeQ, Profile, TaskView

CLAIMS = {
    "sub": "w",
    "eventTypes": ["*"],
    "scope": "codeq:claim codeq:heartbeat codeq:abandon codeq:nack codeq:result codeq:subscribe",
    "tenantId": "acme",
}
START = "2026-11-24T08:00:00.4Z"
IDENTITIES: dict[str, Any] = {
    "producer": {"kind": "producer", "claims": {"sub": "p", "tenantId": "acme", "role": "ADMIN"}},
    "worker": {"kind": "worker", "claims": CLAIMS},
    "other": {"kind": "worker", "claims": {**CLAIMS, "sub": "other"}},
    "third": {"kind": "worker", "claims": {**CLAIMS, "sub": "third"}},
}


#: A race of the real server that happens to one task.
Race: TypeAlias = Literal["redeliver_finished", "lose_task", "revoke_lease"]

Fault = Callable[[httpx.Request, Callable[[], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]


class Network(httpx.AsyncBaseTransport):
    """Passes requests to the server, through the fault that `fault_for` returns for them."""

    def __init__(self, fake: FakeCodeQ, clock: ManualClock, subject: str = "w") -> None:
        self.subject = subject
        self._server = httpx.ASGITransport(fake.app)
        self.clock = clock
        self.fault_for: Callable[[httpx.Request], Fault | None] = lambda _request: None
        self.log: list[tuple[float, str, bytes]] = []
        self.served: list[tuple[str, str, httpx.Response]] = []
        """Operation, path and reply of what the server did before this network answered, in its order."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.log.append((self.clock.monotonic(), operation_of(request), request.content))

        served = self.served

        async def forward(changed: httpx.Request = request) -> httpx.Response:
            response = await self._server.handle_async_request(changed)
            await response.aread()
            served.append((operation_of(request), request.url.path, response))
            return response

        fault = self.fault_for(request)
        try:
            return await (fault(request, forward) if fault else forward())
        finally:
            served = []  # a request that arrives later is not part of this answer

    def fail(self, operation: str, *faults: Fault | None) -> None:
        """Apply these faults to the next requests of the operation, one each; a single fault applies to all of them."""
        left = list(faults)

        def fault_for(request: httpx.Request) -> Fault | None:
            if operation_of(request) != operation:
                return None
            return faults[0] if len(faults) == 1 else (left.pop(0) if left else None)

        self.fault_for = fault_for

    def times(self, operation: str) -> list[float]:
        return [at for at, name, _ in self.log if name == operation]

    def submits(self) -> list[int]:
        """Return how many results each request with results had."""
        return [len(json.loads(body).get("results", [0])) for _, name, body in self.log if name == "submit"]


def operation_of(request: httpx.Request) -> str:
    """Return "create", "claim", "heartbeat", "nack", "abandon", "submit", "get" or "result"."""
    last = request.url.path.rsplit("/", 1)[-1]
    if request.method == "GET":
        return "result" if last == "result" else "get"
    return {"result": "submit", "results": "submit", "tasks": "create", "batch": "claim"}.get(last, last)


async def broken(_request: httpx.Request, _forward: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """A custom transport raises an error that is not httpx's."""
    raise OSError("boom")


async def request_lost(request: httpx.Request, _forward: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    raise httpx.ReadError("the request was lost", request=request)


async def refused(request: httpx.Request, _forward: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


async def untrusted(request: httpx.Request, _forward: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    raise httpx.ConnectError(str(cause), request=request) from cause


async def reply_lost(request: httpx.Request, forward: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    await forward()
    raise httpx.ReadError("the reply was lost", request=request)


async def half_accepted(request: httpx.Request, forward: Any) -> httpx.Response:
    """Only the first half of a batch of results reaches the server, and the reply is lost."""
    body = json.loads(request.content or b"{}")
    if "results" not in body:
        return await reply_lost(request, forward)
    half = json.dumps({"results": body["results"][: len(body["results"]) // 2]})
    headers = {name: value for name, value in request.headers.items() if name != "content-length"}
    await forward(httpx.Request(request.method, request.url, headers=headers, content=half))
    raise httpx.ReadError("the reply was lost", request=request)


async def gateway_lost(_request: httpx.Request, forward: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """The request reaches the server, but a proxy loses the reply."""
    await forward()
    return httpx.Response(502, text="Bad Gateway")


async def garbled(_request: httpx.Request, forward: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    response = await forward()
    return httpx.Response(response.status_code, content=response.content[: len(response.content) // 2])


def answers(status: int, text: str = "boom", **headers: str) -> Fault:
    async def answer(_request: httpx.Request, _forward: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        return httpx.Response(
            status, json={"error": text}, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return answer


def late(clock: ManualClock, seconds: float, late_requests: list[asyncio.Task[None]]) -> Fault:
    """Return a fault that delivers the request `seconds` later, when the client has given up."""

    async def fault(request: Any, forward: Any) -> Any:
        async def arrive() -> None:
            await clock.sleep(seconds)
            await forward()

        late_requests.append(asyncio.create_task(arrive()))
        return await request_lost(request, forward)

    return fault


async def false_empty(_request: Any, _forward: Any) -> httpx.Response:
    """Z4: a claim is answered as if there were no task."""
    return httpx.Response(204)


def slow(clock: ManualClock, seconds: float) -> Fault:
    async def fault(_request: Any, forward: Any) -> Any:
        response = await forward()
        await clock.sleep(seconds)
        return response

    return fault


def slow_to_connect(clock: ManualClock, until: float) -> Fault:
    """Return a fault that lets no connection be made before this moment of the clock."""

    async def fault(request: httpx.Request, forward: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        longest: float = request.extensions["timeout"]["connect"]
        seconds = until - clock.monotonic()
        await clock.sleep(min(seconds, longest))
        if seconds > longest:
            raise httpx.ConnectTimeout("the connection took too long", request=request)
        return await forward()

    return fault


def sleeper(clock: ManualClock, seconds: float) -> Callable[[Job[Any]], Awaitable[None]]:
    """Return a handler that takes this long."""

    async def handler(_job: Job[Any]) -> None:
        await clock.sleep(seconds)

    return handler


T = TypeVar("T")


class Scenario:
    """One fake, its clock, and clients."""

    def __init__(self, profile: Profile | None = None, webhooks: dict[str, Any] | None = None, **settings: str) -> None:
        chosen: dict[str, Any] = {"profile": profile} if profile else {}
        # Nothing here depends on the time of day or on chance, so that hypothesis can repeat an example.
        self.fake = FakeCodeQ(
            clock="manual",
            now=START,
            identities=IDENTITIES,
            settings=settings,
            webhooks=webhooks,
            seed=1,
            **chosen,
        )
        self.fake.next(ids=[f"00000000-0000-4000-8000-{number:012}" for number in range(500)])
        self._random = random.Random(1)  # noqa: S311 - jitter guards nothing
        self.clock = ManualClock(self.fake.aadvance)
        self.network = Network(self.fake, self.clock)
        self.events: list[tuple[float, Event]] = []
        self.codeq = self.client("worker", self.network)
        self.calm = self.client("other", Network(self.fake, self.clock))
        """The client of another worker, whose network has no faults."""

    def client(self, worker: str, network: Network) -> CodeQ:
        codeq = CodeQ(
            "http://codeq.test", producer_token="producer", worker_token=worker, transport=network, clock=self.clock
        )
        codeq.core = replace(codeq.core, random=self._random.random)
        return codeq

    def worker(self, codeq: CodeQ | None = None, **settings: Any) -> Worker:
        settings.setdefault("poll", 1)
        return Worker(codeq or self.codeq, hooks=[self.note], **settings)

    def note(self, event: Event) -> None:
        self.events.append((self.clock.monotonic(), event))

    @asynccontextmanager
    async def running(self, worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
        """Run a worker, and stop it at the end."""
        run = asyncio.create_task(worker.run(signals=False))
        await self.clock.advance(0)
        try:
            yield run
        finally:
            worker.stop()
            await self.finished(run)

    async def finished(self, work: Awaitable[T]) -> T:
        """Return what `work` returns, while time passes."""
        doing = asyncio.ensure_future(work)
        await self.clock.advance_until(doing.done)
        return await doing

    async def suspend(self, seconds: float) -> None:
        """Move the clocks on while the machine is suspended: every sleep takes that much longer."""
        await self.fake.aadvance(seconds)
        self.clock.suspended(seconds)

    def task(self, task_id: str) -> TaskView:
        return self.fake.task(task_id)

    def unended(self) -> set[str]:
        """Return the tasks that have not ended."""
        return {task.id for status in ("PENDING", "IN_PROGRESS") for task in self.fake.tasks(status=status)}

    def enqueue(self, command: str, payload: Any = None, **options: Any) -> str:
        return self.fake.enqueue(command, payload, tenant="acme", **options).id

    def ended(self) -> list[tuple[str, str]]:
        """Return id and settlement of each task that left a worker."""
        return [(event.task.id, event.settled.value) for _, event in self.events if isinstance(event, TaskEnded)]

    async def until_ended(self, count: int = 1) -> None:
        await self.clock.advance_until(lambda: len(self.ended()) >= count)

    def race(self, task_id: str, race: Race) -> bool:
        """Apply a race of the real server to a task, if possible. Requests under way are not affected."""
        try:
            self.fake.race(race, task_id)
        except (ConflictError, UnknownTaskError):
            return False
        return True

    def edit(self, task_id: str, **fields: Any) -> None:
        """Change a task in the store, as the races of the real server do; `state` READY also queues it."""
        state = self.fake.state()
        (task,) = [task for task in state["broker"]["tasks"] if task["id"] == task_id]
        task.update(fields, history=[])
        if fields.get("state") == "READY":
            task.update(lease_until=0, lease_expiry=0)
            state["broker"]["ready"].append(task_id)
        self.fake.restore(json.loads(json.dumps(state)))
