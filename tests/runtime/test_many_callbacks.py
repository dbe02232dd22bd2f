"""Many callbacks that are due at once: others get their turn in between, and all are tried."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.core import Broker
from codeq_fake.core.callback_retries import Delivery
from codeq_fake.core.effects import CallbackDue
from codeq_fake.core.slices import Slices
from codeq_fake.runtime.fake_server import Config, FakeServer

pytestmark = pytest.mark.asyncio

START = 1_769_860_800_000_000_000
SECOND = 1_000_000_000


def with_retries(number: int, *, at: int) -> FakeServer:
    """A fake whose callbacks are all due at one instant, to a host that the guard refuses."""
    runtime = FakeServer(Config(), WallClock("manual", start=START))
    callbacks = runtime.broker.callbacks
    for n in range(1, number + 1):
        due = CallbackDue(n, 2, "http://public.example/", f"task-{n}", "A", "COMPLETED", "null", "", (), START)
        callbacks.deliveries[n] = Delivery(due)
        callbacks.schedule(callbacks.deliveries[n], at)
    runtime.arm()
    return runtime


async def test_others_get_their_turn_while_many_callbacks_are_tried() -> None:
    runtime = with_retries(1500, at=START + SECOND)
    advancing = asyncio.create_task(runtime.advance(by=10 * SECOND))
    counts = [0]
    while not advancing.done():
        counts.append(runtime.deliveries.journal.count)
        await asyncio.sleep(0)
    assert counts[-1] == 1500
    assert max(after - before for before, after in pairwise(counts)) <= 500
    assert {entry.state for entry in runtime.deliveries.journal.entries} == {"blocked"}
    assert runtime.clock.now() == START + 10 * SECOND


async def test_all_that_was_overdue_is_tried_while_the_clock_stands_still() -> None:
    saved = with_retries(1200, at=START)
    runtime = FakeServer(Config(), WallClock("manual", start=START))

    def fill(broker: Broker) -> Slices[None]:
        broker.callbacks = saved.broker.callbacks
        yield

    for _ in runtime.restore("redis", START, fill):
        pass
    async with asyncio.timeout(20):
        while runtime.broker.callbacks.deliveries:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
    assert runtime.deliveries.journal.count == 1200
