"""No call of the contract holds the event loop for long, however many tasks there are."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving.application import application
from codeq_fake.testing import FakeCodeQ
from tests.holds import LongestHold, measured
from tests.http.support import CLEANUP, NOW, ask, bearer

if TYPE_CHECKING:
    from tests.http.support import Answer

pytestmark = pytest.mark.slow

TASKS = 20_000


@measured
def test_a_cleanup_of_many_tasks_lets_others_in_between() -> None:
    async def cleaned() -> tuple[Answer, int, LongestHold]:
        fake = FakeCodeQ(now=NOW)
        for _ in range(TASKS):
            fake.enqueue("A", delay=60)
        await ask(fake.app, "POST", CLEANUP, [], bearer("dev-token"))  # the first request loads what all need
        await fake.aadvance(86_400)
        async with LongestHold() as longest:
            answer = await ask(fake.app, "POST", CLEANUP, [b'{"limit":%d}' % (TASKS - 1)], bearer("dev-token"))
        return answer, len(fake.state()["broker"]["tasks"]), longest

    answer, left, longest = asyncio.run(cleaned())
    assert (answer.status, answer.json["deleted"], left) == (200, TASKS - 1, 1)
    assert longest.is_short, (longest.seconds, longest.total)


@measured
def test_the_metrics_of_many_commands_let_others_in_between() -> None:
    async def asked() -> None:
        runtime = FakeServer(Config(), WallClock("manual", start=0))
        app = application(runtime)
        await ask(app, "GET", "/metrics")  # the first request loads what all need
        for n in range(TASKS):
            runtime.broker.create(f"C{n:05}", tenant="dev", now=0)
        for headers in ([], [(b"accept-encoding", b"gzip")]):
            async with LongestHold() as longest:
                answer = await ask(app, "GET", "/metrics", [], headers)
            text = gzip.decompress(answer.body) if headers else answer.body
            lines = [line for line in text.splitlines() if b"task_created" in line]
            assert lines[2:] == [b'codeq_task_created_total{command="C%05d"} 1' % n for n in range(TASKS)]
            assert lines[0].startswith(b"# HELP")
            assert longest.is_short, (headers, longest.seconds, longest.total)

    asyncio.run(asked())
