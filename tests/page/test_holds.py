"""No page holds the event loop for long, however many queues there are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving.application import application
from tests.holds import LIMIT, LongestHold, measured
from tests.http.support import ask

if TYPE_CHECKING:
    from tests.http.support import Answer

pytestmark = pytest.mark.slow

QUEUES = 20_000


@measured
def test_a_page_about_many_queues_lets_others_in_between() -> None:
    async def shown() -> None:
        runtime = FakeServer(Config(), WallClock("manual", start=0))
        app, broker = application(runtime), runtime.broker
        paths = ("/_fake/", "/_fake/page/tasks", "/_fake/page/tasks?q=c199")
        broker.create("C", tenant="dev", delay_seconds=1, now=0)
        for path in paths:
            await ask(app, "GET", path)  # the first request loads what all need
        for n in range(QUEUES):
            broker.create(f"C{n:05}", tenant="dev", delay_seconds=QUEUES - n, now=0)
        for path in paths:
            async with LongestHold() as longest:
                answer = await ask(app, "GET", path)
            assert answer.status == 200
            assert b"C19999" in answer.body
            assert longest.is_short, (path, longest.seconds, longest.total)

    asyncio.run(shown())


@measured
def test_a_page_skips_many_outdated_leases_while_others_have_turns() -> None:
    async def shown() -> tuple[Answer, LongestHold]:
        runtime = FakeServer(Config(), WallClock("manual", start=0))
        app, broker = application(runtime), runtime.broker
        await ask(app, "GET", "/_fake/")  # the first request loads what all need
        for _ in range(QUEUES):
            broker.create("A", tenant="dev", now=0)
        claims = [
            broker.claim(["A"], worker="w", event_types=["*"], tenant="dev", lease_seconds=60, now=0)
            for _ in range(QUEUES)
        ]
        for task in filter(None, reversed(claims)):
            broker.heartbeat(task.id, worker="w", extend_seconds=3600, now=0)
        async with LongestHold() as longest:
            answer = await ask(app, "GET", "/_fake/")
        return answer, longest

    answer, longest = asyncio.run(shown())
    assert b"20,000" in answer.body
    assert longest.seconds < max(longest.total / 10, LIMIT / 5), (longest.seconds, longest.total)
