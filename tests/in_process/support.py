"""Shared by the tests of the handle: clients in other threads and in other event loops."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from codeq_fake.testing import FakeCodeQ


NOW = "2026-01-31T12:00:00Z"
CLAIM = "/v1/codeq/tasks/claim"
TASKS = "/v1/codeq/tasks"
POLL = {"commands": ["A"], "waitSeconds": 30}


def fake_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("codeq-fake")]


class Parked:
    """Long polls of blocking clients, each in a separate thread, that have arrived at the fake."""

    def __init__(self, fake: FakeCodeQ, threads: ThreadPoolExecutor, count: int = 1, **body: Any) -> None:
        self.arrived = threading.Semaphore(0)

        def claim() -> httpx.Response:
            with fake.client(timeout=30) as http:
                self.arrived.release()
                return http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30, **body})

        self.claims = [threads.submit(claim) for _ in range(count)]
        for _ in range(count):
            self.arrived.acquire(timeout=5)
        with fake.client() as http:
            wait_for(lambda: http.get("/_fake/queues").json()["parkedClaims"] == count)

    @property
    def statuses(self) -> list[int]:
        return [claim.result(timeout=5).status_code for claim in self.claims]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for a condition that no event announces."""
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("the condition did not become true within 5 s")


class Elsewhere:
    """An event loop in a separate thread, such as that of an application under test."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def start(self, fake: FakeCodeQ, method: str, path: str, **options: Any) -> Any:
        """A request from there, with nothing but the application: a future of its reply."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(fake.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://fake.test", timeout=30) as http:
                headers = {"authorization": "Bearer dev-token"}
                return await http.request(method, path, headers=headers, **options)

        return asyncio.run_coroutine_threadsafe(ask(), self.loop)
