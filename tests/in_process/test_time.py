"""The handle FakeCodeQ moves time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.control import BadRequestError, ConflictError
from codeq_fake.testing import FakeCodeQ
from tests.in_process.support import NOW, Parked

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor


@pytest.mark.parametrize(
    ("to", "now"),
    [
        ("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.5Z"),
        (datetime(2026, 2, 1, tzinfo=UTC), "2026-02-01T00:00:00Z"),
        (datetime(2026, 2, 1, microsecond=1, tzinfo=timezone(timedelta(hours=1))), "2026-01-31T23:00:00.000001Z"),
    ],
)
def test_advance_goes_to_an_instant(fake: FakeCodeQ, to: str | datetime, now: str) -> None:
    fake.advance(to=to)
    assert fake.now == now


def test_who_sleeps_wakes_at_each_instant_of_an_advance() -> None:
    async def story() -> list[str]:
        fake = FakeCodeQ(now=NOW)
        woken: list[str] = []

        async def sleep_twice() -> None:
            for _ in range(2):
                await fake.sleep(10)
                woken.append(fake.now)

        sleeping = asyncio.create_task(sleep_twice())
        await fake.aadvance(100)
        await sleeping
        return woken

    assert asyncio.run(story()) == ["2026-01-31T12:00:10Z", "2026-01-31T12:00:20Z"]


@pytest.mark.parametrize(
    ("seconds", "now"),
    [(0.1, "2026-01-31T12:00:00.1Z"), (1e-9, "2026-01-31T12:00:00.000000001Z"), (86_400, "2026-02-01T12:00:00Z")],
)
def test_advance_goes_on_by_seconds(fake: FakeCodeQ, seconds: float, now: str) -> None:
    fake.advance(seconds)
    assert fake.now == now


def test_advance_wants_one_way_to_go(fake: FakeCodeQ) -> None:
    for wrong in ({}, {"seconds": 1, "to": "2027-01-01T00:00:00Z"}):
        with pytest.raises(BadRequestError, match="either"):
            fake.advance(**wrong)  # type: ignore[call-overload]
    with pytest.raises(ConflictError, match="time never goes back"):
        fake.advance(-1)
    with pytest.raises(ConflictError, match="time never goes back"):
        fake.advance(to="2026-01-31T11:00:00Z")
    assert fake.now == NOW


def test_a_time_without_a_zone_is_refused(fake: FakeCodeQ) -> None:
    naive = datetime(2027, 1, 1)  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match=r"a datetime needs a time zone"):
        fake.advance(to=naive)
    with pytest.raises(ValueError, match="needs a time zone"):
        FakeCodeQ(now=naive)


def test_a_clock_is_frozen_and_let_run() -> None:
    with FakeCodeQ(clock="real", now=NOW) as fake:
        assert fake.now < fake.now
        fake.freeze()
        stands = fake.now
        assert fake.now == stands
        fake.thaw()
        assert stands < fake.now < "2026-01-31T12:01:00"


def test_timers_of_a_real_clock_need_no_caller(threads: ThreadPoolExecutor) -> None:
    with FakeCodeQ(clock="real") as fake:
        parked = Parked(fake, threads)
        fake.enqueue("A")
        assert parked.statuses == [200]


@pytest.mark.parametrize(
    ("length", "now"),
    [
        (90, "12:01:30"),
        (0.25, "12:00:00.25"),
        ("90.0", "12:01:30"),
        ("1.5", "12:00:01.5"),
        ("1h 30m", "13:30:00"),
        ("1h30m", "13:30:00"),
        (" 1 h  30 m ", "13:30:00"),
        ("0.5h", "12:30:00"),
        ("250ms", "12:00:00.25"),
        ("+90", "12:01:30"),
        (timedelta(hours=1, microseconds=5), "13:00:00.000005"),
    ],
)
def test_a_duration_is_written_as_people_write_it(fake: FakeCodeQ, length: float | str | timedelta, now: str) -> None:
    fake.advance(length)
    assert fake.now == f"2026-01-31T{now}Z"
    asyncio.run(fake.aadvance("1 d"))
    assert fake.now == f"2026-02-01T{now}Z"


@pytest.mark.parametrize(
    "length",
    ["", "soon", "1h30", "1x", "--1h", "1h -5m", "-", "1 30m", "1e3", float("inf"), float("nan"), 1e300, "\u0661"],
)
def test_what_is_no_duration_is_named(fake: FakeCodeQ, length: float | str) -> None:
    with pytest.raises(ValueError, match=r"^seconds: .*duration"):
        fake.advance(length)
    assert fake.now == NOW


@pytest.mark.parametrize("length", [True, [], b"1s"])
def test_what_cannot_be_a_duration_is_named(fake: FakeCodeQ, length: Any) -> None:
    uses: dict[str, Callable[[Any], object]] = {
        "seconds": fake.advance,
        "within": lambda length: fake.wait_until(bool, within=length),
        "step": lambda length: fake.wait_until(bool, step=length),
        "delay": lambda length: fake.enqueue("A", delay=length),
        "lease": lambda length: fake.claim(lease=length),
        "extend": lambda length: fake.heartbeat("any", extend=length),
    }
    for name, use in uses.items():
        with pytest.raises(TypeError, match=f"^{name}: found .* where a duration belongs"):
            use(length)
    assert fake.now == NOW


@pytest.mark.parametrize("length", ["-90", "-1m 30s", " - 90s", timedelta(seconds=-90), -90], ids=repr)
def test_a_duration_may_have_a_sign(fake: FakeCodeQ, length: float | str | timedelta) -> None:
    with pytest.raises(ConflictError, match=r"time never goes back.* 2026-01-31T11:58:30Z is in the past"):
        fake.advance(length)


def test_a_wait_has_a_length_as_people_write_it(fake: FakeCodeQ) -> None:
    with pytest.raises(AssertionError, match="not true within 90 s"):
        fake.wait_until(lambda: False, within="1m 30s", step=timedelta(seconds=30))
    assert fake.now == "2026-01-31T12:01:30Z"


def test_a_wait_of_an_hour_looks_hundreds_of_times_not_thousands(fake: FakeCodeQ) -> None:
    looks = 0

    def is_late() -> bool:
        nonlocal looks
        looks += 1
        return fake.now >= "2026-01-31T12:59:00Z"

    fake.wait_until(is_late)
    assert looks < 700
    assert "2026-01-31T12:59:00Z" <= fake.now < "2026-01-31T12:59:36Z"
