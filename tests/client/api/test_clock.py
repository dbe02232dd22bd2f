"""Waits that end early, on the clock of the machine."""

from __future__ import annotations

import asyncio
import math

import pytest

from codeq_client._api.clock import SystemClock, sleep_or

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("seconds", [0.001, 0.0])
async def test_a_sleep_ends_by_itself(seconds: float) -> None:
    assert not await sleep_or(SystemClock(), seconds, asyncio.Event().wait)


@pytest.mark.parametrize("seconds", [60.0, math.inf])
async def test_a_sleep_is_ended_and_needs_no_other_task(seconds: float) -> None:
    """A worker sleeps so at each turn of its loops: a task for each sleep was a third of a simulated run."""
    woken, before = asyncio.Event(), asyncio.all_tasks()
    sleeping = asyncio.ensure_future(sleep_or(SystemClock(), seconds, woken.wait))
    for _ in range(3):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() - before == {sleeping}
    woken.set()
    assert await sleeping


async def test_a_cancelled_sleep_is_cancelled() -> None:
    sleeping = asyncio.ensure_future(sleep_or(SystemClock(), 60, asyncio.Event().wait))
    await asyncio.sleep(0)
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
