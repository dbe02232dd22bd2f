"""Many callbacks that are due at once: others get their turn in between, and all are tried."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.core import Broker
from codeq_fake.core.callback_retries import Delivery
from codeq_fake.core.effects import CallbackDue
from codeq_fake.core.slices import Slices
from codeq_fake.faults.parsing import rule_of
from codeq_fake.runtime.fake_server import Config, FakeServer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

pytestmark = pytest.mark.asyncio

START = 1_769_860_800_000_000_000
SECOND = 1_000_000_000


URL = "http://public.example"


def with_retries(number: int, *, at: int, config: Config | None = None, result: str = "null") -> FakeServer:
    """A fake whose callbacks are all due at one instant, to a host that the guard refuses."""
    runtime = FakeServer(config or Config(), WallClock("manual", start=START))
    callbacks = runtime.broker.callbacks
    for n in range(1, number + 1):
        due = CallbackDue(n, 2, URL, f"task-{n}", "A", "COMPLETED", result, "", (), START)
        callbacks.deliveries[n] = Delivery(due)
        callbacks.schedule(callbacks.deliveries[n], at)
    runtime.arm()
    return runtime


@pytest.mark.slow
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


@contextmanager
def traced_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


async def _silent(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """A receiver that never answers."""
    await asyncio.Event().wait()


@pytest.mark.slow
async def test_what_waits_to_be_sent_takes_little_more_memory_than_before() -> None:
    config = Config(mounts={URL: _silent}, max_callbacks=4)
    with traced_memory():
        before = tracemalloc.get_traced_memory()[0]
        runtime = with_retries(5000, at=START + SECOND, config=config)
        due = tracemalloc.get_traced_memory()[0]
        advancing = asyncio.create_task(runtime.advance(by=SECOND))
        while runtime.broker.next_due() is not None:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        waiting = tracemalloc.get_traced_memory()[0]
    runtime.release()
    advancing.cancel()
    assert waiting - due < (due - before) / 2


async def test_a_callback_that_the_journal_has_dropped_takes_no_memory() -> None:
    config = Config(journal_bytes=500_000)
    runtime = with_retries(100, at=START, config=config, result='"' + 100_000 * "x" + '"')
    runtime.fault_plan.add([rule_of({"on": "callback", "do": "callback_lost"})])
    with traced_memory():
        before = tracemalloc.get_traced_memory()[0]
        await runtime.advance(by=0)
        assert tracemalloc.get_traced_memory()[0] - before < 1_000_000
    # All are tried again. The log counts all tries of a callback, the journal has those that it noted last.
    tries: list[int] = []
    runtime.on_try = lambda entry: tries.append(entry.last_try)
    await runtime.advance(by=60 * SECOND)
    assert Counter(tries) == {3: 100, 4: 100, 5: 100}
    assert [entry.first_try for entry in runtime.deliveries.journal.entries] == [5, 5, 5, 5]
