"""A clock that is stopped and let run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from codeq_fake.clocks import WallClock
from tests.clocks.support import MINUTE, SECOND, START, FiringLog, fired, manual, settle


@pytest.mark.asyncio
async def test_freezing_keeps_the_instant_and_holds_timers_back() -> None:
    clock = WallClock(start=START)
    log = FiringLog(clock)
    clock.call_at(START + SECOND // 100, log.entry("held back"))
    clock.set_mode("manual")
    stands = clock.now()
    await fired(WallClock(start=START), START + SECOND // 30)
    assert (clock.mode, clock.now(), log.lines) == ("manual", stands, [])
    await clock.advance(settle, by=SECOND)
    assert len(log.lines) == 1


@pytest.mark.asyncio
async def test_thawing_goes_on_from_where_it_stands_and_lets_timers_fire() -> None:
    clock = manual()
    await clock.advance(settle, by=MINUTE)
    due = clock.now() + SECOND // 50
    firing = asyncio.create_task(fired(clock, due))
    await asyncio.sleep(0)
    clock.set_mode("real")
    assert clock.mode == "real"
    assert due <= await firing < due + MINUTE


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["manual", "real"])
async def test_an_advance_may_end_in_the_other_mode(mode: Any) -> None:
    clock = WallClock("real" if mode == "manual" else "manual", start=START)
    log = FiringLog(clock)
    clock.call_at(START + MINUTE, log.entry("on the way"))
    await clock.advance(settle, to=START + 2 * MINUTE, mode=mode)
    assert clock.mode == mode
    assert START + 2 * MINUTE <= clock.now() < START + 3 * MINUTE
    assert len(log.lines) == 1
    if mode == "manual":
        assert log.lines == [("on the way", MINUTE)]
        assert clock.now() == START + 2 * MINUTE


@pytest.mark.asyncio
async def test_switching_to_the_same_mode_changes_nothing() -> None:
    stands, runs = manual(), WallClock(start=START)
    stands.set_mode("manual")
    runs.set_mode("real")
    assert (stands.mode, stands.now()) == ("manual", START)
    assert runs.mode == "real"
    assert START <= runs.now() < START + MINUTE
