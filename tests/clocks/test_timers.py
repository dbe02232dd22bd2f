"""Timers of different clients share one clock: none of them may keep another one from firing, or stop the clock."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from codeq_fake.clocks import Clock, VirtualClock, VirtualTimeLoop, WallClock
from tests.clocks.support import SECOND, START, FiringLog, settle


@pytest.mark.parametrize("kind", ["manual", "real", "auto"])
def test_a_timer_that_fails_stops_no_other_and_the_clock_goes_on(kind: str) -> None:
    failures: list[object] = []

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: failures.append(about["exception"]))
        clock = new_clock(kind)
        log = FiringLog(clock)
        clock.call_at(START + SECOND, log.entry("before"))
        clock.call_at(START + SECOND, fail)
        clock.call_at(START + SECOND, log.entry("beside"))
        clock.call_at(START + 2 * SECOND, log.entry("after"))
        assert await clock.advance(settle, by=3 * SECOND) == 4
        assert [name for name, _ in log.lines] == ["before", "beside", "after"]
        assert clock.now() >= START + 3 * SECOND

    run(kind, story())
    assert [str(failure) for failure in failures] == ["the timer's own"]


@pytest.mark.parametrize("kind", ["real", "auto"])
def test_the_alarm_does_not_belong_to_the_context_of_the_caller_that_set_it(kind: str) -> None:
    owner = ContextVar("owner", default="none")
    seen: list[str] = []

    async def story() -> None:
        clock = new_clock(kind)
        fired = asyncio.Event()

        def fire() -> None:
            seen.append(owner.get())
            fired.set()

        async def park() -> None:
            owner.set("a worker that is killed")
            clock.call_at(clock.now() + SECOND // 100, fire)

        await asyncio.create_task(park())
        await asyncio.wait_for(fired.wait(), 5)

    run(kind, story())
    assert seen == ["none"]


def new_clock(kind: str) -> Clock:
    if kind == "auto":
        return VirtualClock(start=START)
    return WallClock("manual" if kind == "manual" else "real", start=START)


def run(kind: str, story: object) -> None:
    factory = VirtualTimeLoop if kind == "auto" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(story)  # type: ignore[arg-type]  # a coroutine


def fail() -> None:
    raise ValueError("the timer's own")
