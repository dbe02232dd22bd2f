"""The clock: what it reads, when its timers fire, and what an advance promises."""

from __future__ import annotations

import asyncio
from time import time_ns  # noqa: TID251 - what the clock reads is counted here
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.clock import END_OF_TIME, Clock, EndOfTimeError, TimeWentBackError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

START = 1_769_860_800_000_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND


async def settle() -> None:
    """Nothing is woken up in these tests that would have to finish."""


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def manual(start: int = START) -> Clock:
    return Clock("manual", start=start)


class Diary:
    """Writes down which timer fired when."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lines: list[tuple[str, int]] = []

    def entry(self, name: str) -> Callable[[], None]:
        return lambda: self.lines.append((name, self.clock.now() - START))


# What it reads.


def test_a_manual_clock_stands_where_it_starts() -> None:
    clock = manual()
    assert (clock.mode, clock.now(), clock.now()) == ("manual", START, START)


def test_a_manual_clock_without_a_start_stands_at_the_present() -> None:
    before, clock, after = Clock().now(), Clock("manual"), Clock().now()
    assert before <= clock.now() <= after
    assert clock.now() == clock.now()


def test_a_real_clock_begins_at_its_start_and_runs() -> None:
    clock, wall = Clock(start=START), Clock()
    before = wall.now()
    now = clock.now()
    assert clock.mode == "real"
    assert START <= now <= START + (wall.now() - before) + SECOND


def test_a_real_clock_does_not_go_back_with_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = iter([START, START - MINUTE, START + 1])
    monkeypatch.setattr("codeq_fake.clock.time.time_ns", lambda: next(wall))
    clock = Clock()
    assert [clock.now(), clock.now(), clock.now()] == [START, START, START + 1]


def test_two_clocks_do_not_meet() -> None:
    async def story() -> None:
        one, other = manual(), manual()
        await one.advance(settle, by=MINUTE)
        assert (one.now(), other.now()) == (START + MINUTE, START)

    run(story)


# Advancing.


def test_advance_fires_in_due_order_and_at_the_due_instants() -> None:
    async def story() -> None:
        clock = manual()
        diary = Diary(clock)
        for name, after in (("c", 3), ("a", 1), ("b", 2), ("beyond", 5)):
            clock.call_at(START + after, diary.entry(name))
        assert await clock.advance(settle, by=4) == 3
        assert diary.lines == [("a", 1), ("b", 2), ("c", 3)]
        assert clock.now() == START + 4

    run(story)


def test_timers_of_one_instant_fire_in_the_order_in_which_they_were_made() -> None:
    async def story() -> None:
        clock = manual()
        diary = Diary(clock)
        for name in "abc":
            clock.call_at(START + 1, diary.entry(name))
        await clock.advance(settle, by=1)
        assert [name for name, _ in diary.lines] == ["a", "b", "c"]

    run(story)


def test_a_timer_made_by_a_timer_fires_in_the_same_advance() -> None:
    async def story() -> None:
        clock = manual()
        diary = Diary(clock)
        clock.call_at(START + 1, lambda: clock.call_at(START + 2, diary.entry("second")))
        clock.call_at(START + 3, diary.entry("third"))
        assert await clock.advance(settle, by=3) == 3
        assert diary.lines == [("second", 2), ("third", 3)]

    run(story)


def test_what_settling_makes_due_fires_in_the_same_advance() -> None:
    async def story() -> None:
        clock = manual()
        diary = Diary(clock)
        late = iter([START + 2])

        async def make_one_more() -> None:
            for when in late:
                clock.call_at(when, diary.entry("made while settling"))

        await clock.advance(make_one_more, by=5)
        assert diary.lines == [("made while settling", 2)]

    run(story)


def test_settling_comes_first_and_after_each_instant() -> None:
    async def story() -> None:
        clock = manual()
        settled: list[int] = []

        async def note() -> None:
            settled.append(clock.now() - START)

        for after in (1, 1, 2):
            clock.call_at(START + after, lambda: None)
        await clock.advance(note, by=9)
        assert settled == [0, 1, 2]

    run(story)


def test_a_cancelled_timer_does_not_fire_and_does_not_count() -> None:
    async def story() -> None:
        clock = manual()
        diary = Diary(clock)
        clock.call_at(START + 1, diary.entry("cancelled")).cancel()
        clock.call_at(START + 2, diary.entry("kept"))
        assert await clock.advance(settle, by=2) == 1
        assert diary.lines == [("kept", 2)]

    run(story)


def test_a_timer_may_cancel_one_of_the_same_instant() -> None:
    async def story() -> None:
        clock = manual()
        diary = Diary(clock)

        def cancel_second() -> None:
            second.cancel()

        clock.call_at(START + 1, cancel_second)
        second = clock.call_at(START + 1, diary.entry("second"))
        assert await clock.advance(settle, by=1) == 1
        assert diary.lines == []

    run(story)


def test_cancelling_after_it_fired_is_harmless() -> None:
    async def story() -> None:
        clock = manual()
        timer = clock.call_at(START, lambda: None)
        assert await clock.advance(settle) == 1
        timer.cancel()
        assert await clock.advance(settle) == 0

    run(story)


def test_cancelled_timers_do_not_pile_up_on_a_clock_that_nobody_advances() -> None:
    clock = manual()
    for after in range(1000):
        clock.call_at(START + after, lambda: None).cancel()
    assert len(clock._timers) == 1  # noqa: SLF001 - what is kept shows nowhere else


def test_an_overdue_timer_fires_at_the_present_not_in_the_past() -> None:
    async def story() -> None:
        clock = manual()
        diary = Diary(clock)
        clock.call_at(START - MINUTE, diary.entry("overdue"))
        await clock.advance(settle)
        assert diary.lines == [("overdue", 0)]

    run(story)


def test_advancing_by_nothing_fires_what_is_due_now() -> None:
    async def story() -> None:
        clock = manual()
        diary = Diary(clock)
        clock.call_at(START, diary.entry("now"))
        clock.call_at(START + 1, diary.entry("later"))
        assert await clock.advance(settle) == 1
        assert diary.lines == [("now", 0)]

    run(story)


@given(
    dues=st.lists(st.integers(0, 100), max_size=20),
    stops=st.lists(st.integers(0, 100), max_size=6).map(sorted),
)
def test_advancing_in_steps_fires_as_advancing_at_once_does(dues: list[int], stops: list[int]) -> None:
    async def diary_of(*goals: int) -> list[tuple[str, int]]:
        clock = manual()
        diary = Diary(clock)
        for number, due in enumerate(dues):
            clock.call_at(START + due, diary.entry(str(number)))
        for goal in goals:
            await clock.advance(settle, to=START + goal)
        return diary.lines

    async def story() -> None:
        assert await diary_of(*stops, 100) == await diary_of(100)

    run(story)


# Refusals.


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
def test_a_refused_advance_does_nothing(mode: Any, request_of: dict[str, int], refusal: type[Exception]) -> None:
    async def story() -> None:
        clock = Clock(mode, start=START)
        diary = Diary(clock)
        clock.call_at(START + MINUTE, diary.entry("never"))
        for change in (None, "manual", "real"):
            with pytest.raises(refusal):
                await clock.advance(settle, **request_of, mode=change)
        assert clock.mode == mode
        assert clock.now() - START < MINUTE
        assert diary.lines == []

    run(story)


def test_the_last_instant_is_the_end_of_the_year_9999() -> None:
    async def story() -> None:
        clock = manual()
        await clock.advance(settle, to=END_OF_TIME)
        assert clock.now() == END_OF_TIME

    run(story)


def test_a_real_clock_can_be_advanced_by_nothing() -> None:
    async def story() -> None:
        clock = Clock(start=START)
        for mode in (None, "manual", "real"):
            await clock.advance(settle, mode=mode)

    run(story)


# Advances that meet.


def test_advances_that_meet_add_up() -> None:
    async def story() -> None:
        clock = manual()
        await asyncio.gather(*(clock.advance(settle, by=MINUTE) for _ in range(3)))
        assert clock.now() == START + 3 * MINUTE

    run(story)


def test_an_advance_that_meets_another_waits_for_its_end() -> None:
    async def story() -> None:
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

    run(story)


def test_an_instant_that_another_advance_has_passed_is_refused() -> None:
    async def story() -> None:
        clock = manual()
        far = asyncio.create_task(clock.advance(settle, by=MINUTE))
        near = asyncio.create_task(clock.advance(settle, to=START + 1, mode="real"))
        await asyncio.wait({far, near})
        assert isinstance(near.exception(), TimeWentBackError)
        assert (clock.mode, clock.now()) == ("manual", START + MINUTE)

    run(story)


def test_an_advance_that_is_cancelled_leaves_the_clock_usable() -> None:
    async def story() -> None:
        clock = manual()
        advancing = asyncio.create_task(clock.advance(asyncio.Event().wait, by=MINUTE))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        advancing.cancel()
        await asyncio.wait({advancing})
        await clock.advance(settle, by=1)
        assert clock.now() == START + 1

    run(story)


# The real clock.


async def fired(clock: Clock, when: int) -> int:
    """The instant at which a timer for ``when`` fires by itself."""
    event, instants = asyncio.Event(), list[int]()

    def fire() -> None:
        instants.append(clock.now())
        event.set()

    clock.call_at(when, fire)
    async with asyncio.timeout(5):
        await event.wait()
    return instants[0]


def test_a_timer_of_a_real_clock_fires_by_itself_and_never_early() -> None:
    async def story() -> None:
        clock = Clock(start=START)
        assert await fired(clock, START + SECOND // 50) >= START + SECOND // 50

    run(story)


def test_a_timer_of_a_real_clock_does_not_keep_the_loop_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def look() -> int:
        nonlocal looks
        looks += 1
        return time_ns()

    monkeypatch.setattr("codeq_fake.clock.time.time_ns", look)

    async def story() -> None:
        clock = Clock(start=START)
        await fired(clock, clock.now() + SECOND // 50 + 400_000)  # not in whole milliseconds, uvloop's grain

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
    assert looks < 20


def test_an_earlier_timer_does_not_wait_for_a_later_one() -> None:
    async def story() -> None:
        clock = Clock(start=START)
        clock.call_at(START + 10 * MINUTE, lambda: None)
        assert await fired(clock, START + SECOND // 100) < START + MINUTE

    run(story)


def test_advancing_a_real_clock_adds_to_its_offset_and_it_runs_on() -> None:
    async def story() -> None:
        clock = Clock(start=START)
        diary = Diary(clock)
        clock.call_at(START + 30 * MINUTE, diary.entry("half"))
        assert await clock.advance(settle, by=60 * MINUTE) == 1
        [(_, at)] = diary.lines
        assert 30 * MINUTE <= at < 31 * MINUTE
        assert START + 60 * MINUTE <= clock.now() < START + 61 * MINUTE
        assert clock.mode == "real"
        soon = clock.now() + SECOND // 100
        assert await fired(clock, soon) >= soon

    run(story)


def test_a_timer_that_an_advance_brings_near_fires_by_itself() -> None:
    async def story() -> None:
        clock = Clock(start=START)
        due = clock.now() + 60 * MINUTE
        firing = asyncio.create_task(fired(clock, due))
        await asyncio.sleep(0)
        await clock.advance(settle, to=due - SECOND // 20)
        assert due <= await firing < due + MINUTE

    run(story)


def test_an_advance_that_is_cancelled_leaves_timers_armed() -> None:
    async def story() -> None:
        clock = Clock(start=START)
        due = clock.now() + SECOND // 20
        firing = asyncio.create_task(fired(clock, due))
        advancing = asyncio.create_task(clock.advance(asyncio.Event().wait, by=1))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        advancing.cancel()
        assert await firing >= due

    run(story)


def test_a_timer_that_fails_does_not_stop_the_next() -> None:
    async def story() -> None:
        clock, failures = Clock(start=START), list[str]()
        asyncio.get_running_loop().set_exception_handler(lambda _, what: failures.append(str(what["exception"])))

        def fail() -> None:
            raise ValueError("the callback's own")

        clock.call_at(START, fail)
        assert await fired(clock, START + SECOND // 100) > START
        assert failures == ["the callback's own"]

    run(story)


def test_a_real_clock_goes_on_in_the_next_event_loop() -> None:
    clock = Clock(start=START)
    diary = Diary(clock)

    async def first() -> None:
        clock.call_at(clock.now() + SECOND // 50, diary.entry("left behind"))

    async def second() -> None:
        await fired(clock, clock.now() + SECOND // 20)

    asyncio.run(first())
    asyncio.run(second())
    assert [name for name, _ in diary.lines] == ["left behind"]


# Switching.


def test_freezing_keeps_the_instant_and_holds_timers_back() -> None:
    async def story() -> None:
        clock = Clock(start=START)
        diary = Diary(clock)
        clock.call_at(START + SECOND // 100, diary.entry("held back"))
        clock.freeze()
        stands = clock.now()
        await fired(Clock(start=START), START + SECOND // 30)
        assert (clock.mode, clock.now(), diary.lines) == ("manual", stands, [])
        await clock.advance(settle, by=SECOND)
        assert len(diary.lines) == 1

    run(story)


def test_thawing_goes_on_from_where_it_stands_and_lets_timers_fire() -> None:
    async def story() -> None:
        clock = manual()
        await clock.advance(settle, by=MINUTE)
        due = clock.now() + SECOND // 50
        firing = asyncio.create_task(fired(clock, due))
        await asyncio.sleep(0)
        clock.thaw()
        assert clock.mode == "real"
        assert due <= await firing < due + MINUTE

    run(story)


@pytest.mark.parametrize("mode", ["manual", "real"])
def test_an_advance_may_end_in_the_other_mode(mode: Any) -> None:
    async def story() -> None:
        clock = Clock("real" if mode == "manual" else "manual", start=START)
        diary = Diary(clock)
        clock.call_at(START + MINUTE, diary.entry("on the way"))
        await clock.advance(settle, to=START + 2 * MINUTE, mode=mode)
        assert clock.mode == mode
        assert START + 2 * MINUTE <= clock.now() < START + 3 * MINUTE
        assert len(diary.lines) == 1
        if mode == "manual":
            assert diary.lines == [("on the way", MINUTE)]
            assert clock.now() == START + 2 * MINUTE

    run(story)


def test_switching_to_the_same_mode_changes_nothing() -> None:
    async def story() -> None:
        stands, runs = manual(), Clock(start=START)
        stands.freeze()
        runs.thaw()
        assert (stands.mode, stands.now()) == ("manual", START)
        assert runs.mode == "real"
        assert START <= runs.now() < START + MINUTE

    run(story)
