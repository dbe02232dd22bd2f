"""What the workers of the gallery have in common: the calls of CodeQ over httpx, as a small program would write them.

Nothing here knows of the simulation.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Handler = Callable[["Api", "Task", "Charge"], Awaitable[object]]

COMMAND = "CHARGE"
LEASE = 60
#: A lease ends up to 1.5 s early, with the whole seconds of the store (K8).
MARGIN = 2
SERVER_ERROR, TOO_MANY_REQUESTS = 500, 429


class Charge(Protocol):
    """The outside world: charges the customer of an order. It drops a repeat with the same key."""

    def __call__(self, what: Any, *, task: str, key: str = "") -> None: ...


@dataclass
class Task:
    """A claimed task. `lease_ends` is on the clock of the event loop, which no one can set."""

    id: str
    order: int
    lease_ends: float
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def is_held(self) -> bool:
        """Whether its lease certainly lasts."""
        return asyncio.get_running_loop().time() < self.lease_ends - MARGIN

    @property
    def key(self) -> str:
        """The idempotency key of its charge: of the order, whichever worker charges it."""
        return f"order-{self.order}"


class Api:
    """The calls. `post` raises `httpx.HTTPError` if there is no answer; the others do not."""

    def __init__(self, base_url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(base_url=f"{base_url}/v1/codeq", headers=headers, timeout=40)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self._http.post(path, json=body)

    async def ask(self, path: str, **body: Any) -> httpx.Response | None:
        """The server's answer, or None if there was none: try again later."""
        return await _answer(self.post(path, **body))

    async def ask_for(self, path: str) -> httpx.Response | None:
        """As `ask`, of a GET."""
        return await _answer(self._http.get(path))

    async def claim(self, lease: int = LEASE) -> Task | None:
        """The next task, or None: there is none, or no answer."""
        sent = asyncio.get_running_loop().time()
        response = await self.ask("/tasks/claim", commands=[COMMAND], leaseSeconds=lease, waitSeconds=10)
        if response is None:
            await asyncio.sleep(1)
        return task_of(response.json(), sent + lease) if response is not None and response.status_code == 200 else None

    async def claim_batch(self, count: int) -> list[Task]:
        """As `claim`, for up to `count` tasks."""
        sent = asyncio.get_running_loop().time()
        response = await self.ask("/tasks/claim/batch", commands=[COMMAND], leaseSeconds=LEASE, count=count)
        if response is None or response.status_code != 200:
            await asyncio.sleep(2)
            return []
        return [task_of(fields, sent + LEASE) for fields in response.json()["tasks"]]

    async def renew(self, task: Task) -> None:
        """Renew a lease that lasts.

        A heartbeat may be answered with 200 and does not revive a lease that is over (H3). So an answer that comes
        after the lease's end proves nothing: the heartbeat may have come late, too.
        """
        if not task.is_held:
            return
        sent = asyncio.get_running_loop().time()
        response = await self.ask(f"/tasks/{task.id}/heartbeat", extendSeconds=LEASE)
        if response is not None:
            is_renewed = response.status_code == 200 and task.is_held
            task.lease_ends = sent + LEASE if is_renewed else 0

    async def finish(self, task: Task) -> httpx.Response | None:
        """Send the result until it is answered, or the lease is over. Returns the answer."""
        while task.is_held:
            response = await self.ask(f"/tasks/{task.id}/result", **result_of(task))
            if response is not None:
                return response
            await asyncio.sleep(1)
        return None


async def _answer(request: Awaitable[httpx.Response]) -> httpx.Response | None:
    """The answer to a request, or None if the server or the network is out of order."""
    try:
        response = await request
    except httpx.HTTPError:
        return None
    is_outage = response.status_code >= SERVER_ERROR or response.status_code == TOO_MANY_REQUESTS
    return None if is_outage and "not-found" not in response.text else response


def task_of(fields: dict[str, Any], lease_ends: float) -> Task:
    """The task of a claim's answer. Its payload is text that holds JSON (T1)."""
    return Task(fields["id"], json.loads(fields["payload"])["order"], lease_ends, fields)


def result_of(task: Task) -> dict[str, Any]:
    """The body of its result."""
    return {"status": "COMPLETED", "result": {"order": task.order}}


@asynccontextmanager
async def renewing(api: Api, *tasks: Task, interval: float = LEASE / 3) -> AsyncIterator[None]:
    """Renew the leases of tasks meanwhile."""
    renewal = asyncio.create_task(_renew(api, tasks, interval))
    try:
        yield
    finally:
        renewal.cancel()


async def _renew(api: Api, tasks: tuple[Task, ...], interval: float) -> None:
    while True:
        await asyncio.sleep(interval)
        for task in tasks:
            await api.renew(task)


async def work(least: float = 5, most: float = 20) -> None:
    """What a handler takes its time for."""
    await asyncio.sleep(random.uniform(least, most))


async def serve(base_url: str, token: str, charge: Charge, handle: Handler) -> None:
    """Claim and handle tasks, one after another, for ever."""
    async with Api(base_url, token) as api:
        while True:
            task = await api.claim()
            if task is not None:
                await handle(api, task, charge)


async def charge_order(api: Api, task: Task, charge: Charge) -> bool:
    """Handle a task as it should be: under a renewed lease, charged with a key, its result sent until it arrives.

    Returns whether its result was answered.
    """
    async with renewing(api, task):
        await work()
        if not task.is_held:
            return False
        charge(task.order, task=task.id, key=task.key)
        return await api.finish(task) is not None


async def charge_orders(base_url: str, token: str, charge: Charge) -> None:
    """A right worker."""
    await serve(base_url, token, charge, charge_order)
