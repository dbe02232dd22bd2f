"""What a clock reads."""

from __future__ import annotations

import pytest

from codeq_fake.clocks import WallClock
from tests.clocks.support import MINUTE, SECOND, START, manual, settle


def test_a_manual_clock_stands_where_it_starts() -> None:
    clock = manual()
    assert (clock.mode, clock.now(), clock.now()) == ("manual", START, START)


def test_a_manual_clock_without_a_start_stands_at_the_present() -> None:
    before, clock, after = WallClock().now(), WallClock("manual"), WallClock().now()
    assert before <= clock.now() <= after
    assert clock.now() == clock.now()


def test_a_real_clock_begins_at_its_start_and_runs() -> None:
    clock, wall = WallClock(start=START), WallClock()
    before = wall.now()
    now = clock.now()
    assert clock.mode == "real"
    assert START <= now <= START + (wall.now() - before) + SECOND


def test_a_real_clock_does_not_go_back_with_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = iter([START, START - MINUTE, START + 1])
    monkeypatch.setattr("codeq_fake.clocks.clock.time.time_ns", lambda: next(wall))
    clock = WallClock()
    assert [clock.now(), clock.now(), clock.now()] == [START, START, START + 1]


@pytest.mark.asyncio
async def test_two_clocks_do_not_meet() -> None:
    one, other = manual(), manual()
    await one.advance(settle, by=MINUTE)
    assert (one.now(), other.now()) == (START + MINUTE, START)
