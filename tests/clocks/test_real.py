"""The real clock: its timers fire by themselves."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from time import time_ns  # noqa: TID251 - what the clock reads is counted here
from typing import Any

import pytest
import uvloop

from codeq_fake.clocks import WallClock
from tests.clocks.support import MINUTE, SECOND, START, FiringLog, fired, settle


@pytest.mark.asyncio
async def test_a_timer_of_a_real_clock_fires_by_itself_and_never_early() -> None:
    clock = WallClock(start=START)
    assert await fired(clock, START + SECOND // 50) >= START + SECOND // 50


def test_a_timer_of_a_real_clock_does_not_keep_the_loop_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def look() -> int:
        nonlocal looks
        looks += 1
        return time_ns()

    monkeypatch.setattr("codeq_fake.clocks.clock.time.time_ns", look)

    async def story() -> None:
        clock = WallClock(start=START)
        await fired(clock, clock.now() + SECOND // 50 + 400_000)  # not in whole milliseconds, uvloop's grain

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
    assert looks < 20


@pytest.mark.asyncio
async def test_many_timers_leave_turns_to_others_and_set_one_alarm_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them sets another one, as parked long polls do."""
    alarms, fired_at = list[float](), list[int]()
    loop = asyncio.get_running_loop()
    set_alarm = loop.call_later

    def call_later(delay: float, *call: Any, **options: Any) -> asyncio.TimerHandle:
        alarms.append(delay)
        return set_alarm(delay, *call, **options)

    clock, turns = WallClock(start=START), 0
    due = clock.now() + SECOND // 50

    def fire(n: int) -> None:
        fired_at.append(turns)
        clock.call_at(clock.now() + MINUTE - n, lambda: None)  # earlier than the one that was set before

    for n in range(400):
        clock.call_at(due + n, partial(fire, n))
    monkeypatch.setattr(loop, "call_later", call_later)
    while len(fired_at) < 400:
        turns += 1
        await asyncio.sleep(0)
    assert max(Counter(fired_at).values()) <= 50
    assert len(alarms) <= len(set(fired_at)) + 1


@pytest.mark.asyncio
async def test_an_earlier_timer_does_not_wait_for_a_later_one() -> None:
    clock = WallClock(start=START)
    clock.call_at(START + 10 * MINUTE, lambda: None)
    assert await fired(clock, START + SECOND // 100) < START + MINUTE


@pytest.mark.asyncio
async def test_advancing_a_real_clock_adds_to_its_offset_and_it_runs_on() -> None:
    clock = WallClock(start=START)
    log = FiringLog(clock)
    clock.call_at(START + 30 * MINUTE, log.entry("half"))
    assert await clock.advance(settle, by=60 * MINUTE) == 1
    [(_, at)] = log.lines
    assert 30 * MINUTE <= at < 31 * MINUTE
    assert START + 60 * MINUTE <= clock.now() < START + 61 * MINUTE
    assert clock.mode == "real"
    soon = clock.now() + SECOND // 100
    assert await fired(clock, soon) >= soon


@pytest.mark.asyncio
async def test_a_timer_that_an_advance_brings_near_fires_by_itself() -> None:
    clock = WallClock(start=START)
    due = clock.now() + 60 * MINUTE
    firing = asyncio.create_task(fired(clock, due))
    await asyncio.sleep(0)
    await clock.advance(settle, to=due - SECOND // 20)
    assert due <= await firing < due + MINUTE


@pytest.mark.asyncio
async def test_an_advance_that_is_cancelled_leaves_timers_armed() -> None:
    clock = WallClock(start=START)
    due = clock.now() + SECOND // 20
    firing = asyncio.create_task(fired(clock, due))
    advancing = asyncio.create_task(clock.advance(asyncio.Event().wait, by=1))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    advancing.cancel()
    assert await firing >= due


@pytest.mark.asyncio
async def test_a_timer_that_fails_does_not_stop_the_next() -> None:
    clock, failures = WallClock(start=START), list[str]()
    asyncio.get_running_loop().set_exception_handler(lambda _, what: failures.append(str(what["exception"])))

    def fail() -> None:
        raise ValueError("the callback's own")

    clock.call_at(START, fail)
    assert await fired(clock, START + SECOND // 100) > START
    assert failures == ["the callback's own"]


def test_a_real_clock_goes_on_in_the_next_event_loop() -> None:
    clock = WallClock(start=START)
    log = FiringLog(clock)

    async def first() -> None:
        clock.call_at(clock.now() + SECOND // 50, log.entry("left behind"))

    async def second() -> None:
        await fired(clock, clock.now() + SECOND // 20)

    asyncio.run(first())
    asyncio.run(second())
    assert [name for name, _ in log.lines] == ["left behind"]
