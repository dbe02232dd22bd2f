"""No page holds the event loop for long, however many queues there are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.holds import LongestHold
from tests.http.support import NOW, ask

if TYPE_CHECKING:
    from tests.http.support import Answer

pytestmark = pytest.mark.slow

QUEUES = 20_000


@pytest.mark.parametrize("path", ["/_fake/", "/_fake/page/tasks", "/_fake/page/tasks?q=c199"])
def test_a_page_about_many_queues_lets_others_in_between(path: str) -> None:
    async def shown() -> tuple[Answer, LongestHold]:
        fake = FakeCodeQ(now=NOW)
        await ask(fake.app, "GET", path)  # the first request loads what all need
        for n in range(QUEUES):
            fake.enqueue(f"C{n:05}", delay=QUEUES - n)
        async with LongestHold() as longest:
            answer = await ask(fake.app, "GET", path)
        return answer, longest

    answer, longest = asyncio.run(shown())
    assert answer.status == 200
    assert b"C19999" in answer.body
    assert longest.is_short, (longest.seconds, longest.total)
