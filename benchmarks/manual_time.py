"""The real time that long waits cost on the manual clock."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from statistics import median
from typing import TYPE_CHECKING

from starlette.responses import Response

from codeq_fake.testing import FakeCodeQ

from .rows import under

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import httpx

    from .effort import Effort
    from .rows import Row

_POLL_SECONDS = 30
_TRIES = 5
_ALL_TRIES_SECONDS = 60
_DAY_SECONDS = 24 * 60 * 60
_TASKS = 100


def measure(effort: Effort) -> list[Row]:
    """The rows."""
    stories = {
        f"{_POLL_SECONDS} s of long poll on an empty queue": _poll,
        f"a callback with {_TRIES} failing tries": _call_back,
        f"24 h, and the clean-up of {_TASKS} tasks": _retention,
    }
    return [under(20, f"{what}, manual clock", _milliseconds(story, effort), " ms") for what, story in stories.items()]


def _milliseconds(story: Callable[[], Awaitable[float]], effort: Effort) -> float:
    async def repeat() -> float:
        return median([await story() for _ in range(effort.repetitions)]) * 1000

    return asyncio.run(repeat())


async def _poll() -> float:
    async with _fake() as (codeq, client):
        start = time.perf_counter()
        poll = asyncio.create_task(client.post("/v1/codeq/tasks/claim", json={"waitSeconds": _POLL_SECONDS}))
        await codeq.aadvance(_POLL_SECONDS)
        _expect((await poll).status_code, 204)
        return time.perf_counter() - start


async def _call_back() -> float:
    refuse = Response(status_code=500)
    async with _fake(webhooks={"http://app.test": refuse}) as (codeq, client):
        created = await client.post(
            "/v1/codeq/tasks", json={"command": "BENCH", "payload": 1, "webhook": "http://app.test/done"}
        )
        await client.post("/v1/codeq/tasks/claim", json={"commands": ["BENCH"]})
        result = {"status": "COMPLETED", "result": {"ok": True}}
        start = time.perf_counter()
        await client.post(f"/v1/codeq/tasks/{created.json()['id']}/result", json=result)
        await codeq.aadvance(_ALL_TRIES_SECONDS)
        taken = time.perf_counter() - start
        _expect(len(codeq.callbacks[0]["tries"]), _TRIES)
        return taken


async def _retention() -> float:
    async with _fake() as (codeq, client):
        for _ in range(_TASKS):
            codeq.enqueue("BENCH", {"jobId": "job-123"})
        start = time.perf_counter()
        await codeq.aadvance(_DAY_SECONDS)
        cleaned = await client.post("/v1/codeq/admin/tasks/cleanup")
        taken = time.perf_counter() - start
        _expect(cleaned.json()["deleted"], _TASKS)
        return taken


@asynccontextmanager
async def _fake(**options: object) -> AsyncIterator[tuple[FakeCodeQ, httpx.AsyncClient]]:
    codeq = FakeCodeQ(**options)  # type: ignore[arg-type]  # passed on
    async with codeq.async_client() as client:
        yield codeq, client


def _expect(found: object, wanted: object) -> None:
    """Fail when the benchmark does not measure what it says."""
    if found != wanted:
        raise RuntimeError(f"found {found!r} instead of {wanted!r}")
