"""What an advance promises: everything that falls due, in due order."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.clocks import END_OF_TIME, EndOfTimeError, Mode, TimeWentBackError, WallClock
from codeq_fake.clocks.timers import TimerQueue
from tests.clocks.support import MINUTE, SECOND, START, FiringLog, manual, settle


@pytest.mark.asyncio
async def test_advance_fires_in_due_order_and_at_the_due_instants() -> None:
    clock = manual()
    log = FiringLog(clock)
    for name, after in (("c", 3), ("a", 1), ("b", 2), ("beyond", 5)):
        clock.call_at(START + after, log.entry(name))
    assert await clock.advance(settle, by=4) == 3
    assert log.lines == [("a", 1), ("b", 2), ("c", 3)]
    assert clock.now() == START + 4


@pytest.mark.asyncio
async def test_timers_of_one_instant_fire_in_the_order_in_which_they_were_made() -> None:
    clock = manual()
    log = FiringLog(clock)
    for name in "abc":
        clock.call_at(START + 1, log.entry(name))
    await clock.advance(settle, by=1)
    assert [name for name, _ in log.lines] == ["a", "b", "c"]


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["manual", "real"])
async def test_many_timers_of_one_instant_fire_in_order_and_let_others_in_between(mode: Mode) -> None:
    clock = WallClock(mode)
    fired: list[int] = []
    seen: set[int] = set()

    async def look() -> None:
        while len(fired) < 1000:
            seen.add(len(fired))
            await asyncio.sleep(0)

    settled: list[int] = []

    async def note() -> None:
        settled.append(len(fired))

    when = clock.now() + (SECOND if mode == "manual" else SECOND // 100)
    for number in range(1000):
        clock.call_at(when, partial(fired.append, number))
    looking = asyncio.create_task(look())
    if mode == "manual":
        assert await clock.advance(note, by=SECOND) == 1000
        assert settled == [0, 1000]
    await asyncio.wait_for(looking, 5)
    assert fired == list(range(1000))
    assert len(seen) >= 3


@pytest.mark.asyncio
async def test_a_timer_made_by_a_timer_fires_in_the_same_advance() -> None:
    clock = manual()
    log = FiringLog(clock)
    clock.call_at(START + 1, lambda: clock.call_at(START + 2, log.entry("second")))
    clock.call_at(START + 3, log.entry("third"))
    assert await clock.advance(settle, by=3) == 3
    assert log.lines == [("second", 2), ("third", 3)]


@pytest.mark.asyncio
async def test_what_settling_makes_due_fires_in_the_same_advance() -> None:
    clock = manual()
    log = FiringLog(clock)
    late = iter([START + 2])

    async def make_one_more() -> None:
        for when in late:
            clock.call_at(when, log.entry("made while settling"))

    await clock.advance(make_one_more, by=5)
    assert log.lines == [("made while settling", 2)]


@pytest.mark.asyncio
async def test_settling_comes_first_and_after_each_instant() -> None:
    clock = manual()
    settled: list[int] = []

    async def note() -> None:
        settled.append(clock.now() - START)

    for after in (1, 1, 2):
        clock.call_at(START + after, lambda: None)
    await clock.advance(note, by=9)
    assert settled == [0, 1, 2]


@pytest.mark.asyncio
async def test_a_cancelled_timer_does_not_fire_and_does_not_count() -> None:
    clock = manual()
    log = FiringLog(clock)
    clock.call_at(START + 1, log.entry("cancelled")).cancel()
    clock.call_at(START + 2, log.entry("kept"))
    assert await clock.advance(settle, by=2) == 1
    assert log.lines == [("kept", 2)]


@pytest.mark.asyncio
async def test_a_timer_may_cancel_one_of_the_same_instant() -> None:
    clock = manual()
    log = FiringLog(clock)

    def cancel_second() -> None:
        second.cancel()

    clock.call_at(START + 1, cancel_second)
    second = clock.call_at(START + 1, log.entry("second"))
    assert await clock.advance(settle, by=1) == 1
    assert log.lines == []


@pytest.mark.asyncio
async def test_cancelling_after_it_fired_is_harmless() -> None:
    clock = manual()
    timer = clock.call_at(START, lambda: None)
    assert await clock.advance(settle) == 1
    timer.cancel()
    assert await clock.advance(settle) == 0


def test_cancelled_timers_do_not_pile_up_in_a_queue_that_nothing_fires() -> None:
    timers = TimerQueue()
    for after in range(1000):
        timers.add(START + after, lambda: None).cancel()
    assert len(timers) == 1


@pytest.mark.asyncio
async def test_an_overdue_timer_fires_at_the_present_not_in_the_past() -> None:
    clock = manual()
    log = FiringLog(clock)
    clock.call_at(START - MINUTE, log.entry("overdue"))
    await clock.advance(settle)
    assert log.lines == [("overdue", 0)]


@pytest.mark.asyncio
async def test_advancing_by_nothing_fires_what_is_due_now() -> None:
    clock = manual()
    log = FiringLog(clock)
    clock.call_at(START, log.entry("now"))
    clock.call_at(START + 1, log.entry("later"))
    assert await clock.advance(settle) == 1
    assert log.lines == [("now", 0)]


@pytest.mark.asyncio
@given(
    dues=st.lists(st.integers(0, 100), max_size=20),
    stops=st.lists(st.integers(0, 100), max_size=6).map(sorted),
)
async def test_advancing_in_steps_fires_as_advancing_at_once_does(dues: list[int], stops: list[int]) -> None:
    async def diary_of(*goals: int) -> list[tuple[str, int]]:
        clock = manual()
        log = FiringLog(clock)
        for number, due in enumerate(dues):
            clock.call_at(START + due, log.entry(str(number)))
        for goal in goals:
            await clock.advance(settle, to=START + goal)
        return log.lines

    assert await diary_of(*stops, 100) == await diary_of(100)


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["manual", "real"])
@pytest.mark.parametrize(
    ("request_of", "refusal"),
    [
        ({"to": START - 1}, TimeWentBackError),
        ({"by": -1_000_000 * SECOND}, TimeWentBackError),
        ({"to": END_OF_TIME + 1}, EndOfTimeError),
        ({"by": END_OF_TIME}, EndOfTimeError),
    ],
)
async def test_a_refused_advance_does_nothing(mode: Any, request_of: dict[str, int], refusal: type[Exception]) -> None:
    clock = WallClock(mode, start=START)
    log = FiringLog(clock)
    clock.call_at(START + MINUTE, log.entry("never"))
    for change in (None, "manual", "real"):
        with pytest.raises(refusal):
            await clock.advance(settle, **request_of, mode=change)
    assert clock.mode == mode
    assert clock.now() - START < MINUTE
    assert log.lines == []


@pytest.mark.asyncio
async def test_the_last_instant_is_the_end_of_the_year_9999() -> None:
    clock = manual()
    await clock.advance(settle, to=END_OF_TIME)
    assert clock.now() == END_OF_TIME


@pytest.mark.asyncio
async def test_a_real_clock_stands_still_at_the_end() -> None:
    clock = WallClock(start=END_OF_TIME)
    assert await clock.advance(settle, by=0) == 0
    with pytest.raises(EndOfTimeError):
        await clock.advance(settle, by=1)
    assert clock.now() == END_OF_TIME


@pytest.mark.asyncio
async def test_a_real_clock_can_be_advanced_by_nothing() -> None:
    clock = WallClock(start=START)
    for mode in (None, "manual", "real"):
        await clock.advance(settle, mode=mode)


@pytest.mark.asyncio
async def test_advances_that_meet_add_up() -> None:
    clock = manual()
    await asyncio.gather(*(clock.advance(settle, by=MINUTE) for _ in range(3)))
    assert clock.now() == START + 3 * MINUTE


@pytest.mark.asyncio
async def test_an_advance_that_meets_another_waits_for_its_end() -> None:
    clock = manual()
    go_on = asyncio.Event()

    async def wait() -> None:
        await go_on.wait()

    first = asyncio.create_task(clock.advance(wait, by=MINUTE))
    second = asyncio.create_task(clock.advance(settle, by=1))
    await asyncio.sleep(0)
    assert clock.now() == START
    go_on.set()
    await asyncio.gather(first, second)
    assert clock.now() == START + MINUTE + 1


@pytest.mark.asyncio
async def test_an_instant_that_another_advance_has_passed_is_refused() -> None:
    clock = manual()
    far = asyncio.create_task(clock.advance(settle, by=MINUTE))
    near = asyncio.create_task(clock.advance(settle, to=START + 1, mode="real"))
    await asyncio.wait({far, near})
    assert isinstance(near.exception(), TimeWentBackError)
    assert (clock.mode, clock.now()) == ("manual", START + MINUTE)


@pytest.mark.asyncio
async def test_an_advance_that_is_cancelled_leaves_the_clock_usable() -> None:
    clock = manual()
    advancing = asyncio.create_task(clock.advance(asyncio.Event().wait, by=MINUTE))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    advancing.cancel()
    await asyncio.wait({advancing})
    await clock.advance(settle, by=1)
    assert clock.now() == START + 1
