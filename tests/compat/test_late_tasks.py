"""A coroutine that becomes a task where it waits goes on as any task does."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from codeq_fake.compat.late_tasks import begin

pytestmark = pytest.mark.asyncio

WORD: ContextVar[str] = ContextVar("WORD", default="")


async def test_one_that_does_not_wait_needs_no_task() -> None:
    said: list[str] = []

    async def story() -> None:
        said.append("done")

    assert begin(story(), asyncio.get_running_loop()) is None
    assert said == ["done"]


async def test_one_that_waits_goes_on_in_its_context_as_the_current_task() -> None:
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    said: list[object] = []

    async def story() -> None:
        WORD.set("mine")
        said.append(await first)
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            said.extend((await second, WORD.get(), asyncio.current_task()))

    task = begin(story(), loop)
    assert task is not None
    first.set_result(1)
    loop.call_later(0, second.set_result, 2)
    await task
    assert said == [1, 2, "mine", task]


@pytest.mark.parametrize("turns", [0, 1], ids=["at once", "when it waits"])
async def test_one_that_is_cancelled_can_clean_up(turns: int) -> None:
    loop = asyncio.get_running_loop()
    said: list[str] = []

    async def story() -> None:
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            said.append("cleaned up")
            raise

    task = begin(story(), loop)
    assert task is not None
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # A task that is cancelled before its first step never takes it; this one has begun.
    assert said == ["cleaned up"]


async def test_the_error_of_one_that_waits_is_its_tasks() -> None:
    async def story() -> None:
        await asyncio.sleep(0)
        raise LookupError("lost")

    task = begin(story(), asyncio.get_running_loop())
    assert task is not None
    with pytest.raises(LookupError, match="lost"):
        await task
