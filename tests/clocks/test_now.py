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


@pytest.mark.parametrize("later", [START - MINUTE, START], ids=["goes back", "stands still"])
def test_a_real_clock_runs_on_when_the_machines_does_not(later: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = START
    monkeypatch.setattr("codeq_fake.clocks.clock.time.time_ns", lambda: wall)
    clock = WallClock()
    wall = later
    first, second = clock.now(), clock.now()
    assert START <= first < second < START + MINUTE


def test_a_real_clock_follows_the_machines_when_that_is_set_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = START
    monkeypatch.setattr("codeq_fake.clocks.clock.time.time_ns", lambda: wall)
    clock = WallClock()
    wall = START + 60 * MINUTE
    assert START + 60 * MINUTE <= clock.now() < START + 61 * MINUTE


@pytest.mark.asyncio
async def test_two_clocks_do_not_meet() -> None:
    one, other = manual(), manual()
    await one.advance(settle, by=MINUTE)
    assert (one.now(), other.now()) == (START + MINUTE, START)
