"""Schedules: which moments they have, and that each makes one task, through restarts, outages and several producers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from codeq_client import CodeQ, Command
from codeq_client.errors import CertificateError, ClientClosed, ConfigurationError
from codeq_client.schedules import Schedule, Scheduler
from codeq_fake import faults
from tests.client.api.support import TASK, StillClock
from tests.client.support import Network, Scenario, refused, untrusted

MINUTE = Schedule(name="minute", command="X", cron="* * * * *")


def at(moment: datetime) -> str:
    """Return the time since the start of a scenario, as a payload."""
    return str(moment - datetime(1970, 1, 1, tzinfo=UTC))


@asynccontextmanager
async def scheduling(scenario: Scenario, *schedulers: Scheduler) -> AsyncIterator[None]:
    runs = [asyncio.create_task(scheduler.run()) for scheduler in schedulers]
    await scenario.clock.advance(0)
    try:
        yield
    finally:
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)


def moments(schedule: Schedule, start: str, count: int) -> list[str]:
    found = [datetime.fromisoformat(start)]
    for _ in range(count):
        found.append(schedule.after(found[-1]))
    return [moment.isoformat() for moment in found[1:]]


def test_a_cron_schedule_follows_its_time_zone_through_a_change_of_the_clocks() -> None:
    nightly = Schedule(name="n", command="X", cron="30 2 * * *", timezone="Europe/Berlin")
    assert moments(nightly, "2026-03-28T00:00:00+00:00", 3) == [
        "2026-03-28T01:30:00+00:00",
        "2026-03-29T01:00:00+00:00",  # there is no 2:30
        "2026-03-30T00:30:00+00:00",
    ]


def test_all_producers_have_the_same_moments_of_an_interval() -> None:
    often = Schedule(name="o", command="X", every=timedelta(minutes=5))
    for start in ("2026-03-28T00:00:01+00:00", "2026-03-28T01:04:59+01:00"):
        assert moments(often, start, 2) == ["2026-03-28T00:05:00+00:00", "2026-03-28T00:10:00+00:00"]


@pytest.mark.asyncio
async def test_each_moment_makes_one_task_in_time(scenario: Scenario) -> None:
    report = replace(MINUTE, payload=at, options={"priority": 7})
    async with scheduling(scenario, Scheduler(scenario.codeq, [report], catch_up=0)):
        await scenario.clock.advance(250)
    created = sorted((task.payload, task.priority) for task in scenario.fake.tasks(command="X"))
    assert created == [(f"0:0{minute}:00", 7) for minute in range(1, 5)]
    times = scenario.network.times("create")
    assert all(0 <= at % 60 <= 10.5 for at in times), times


@dataclass
class Order:
    number: int


@pytest.mark.asyncio
async def test_a_schedule_takes_a_typed_command(scenario: Scenario) -> None:
    command = Command("ORDER", payload=Order, result=int)
    schedule = Schedule(name="orders", command=command, every=30, payload=Order(3))
    async with scheduling(scenario, Scheduler(scenario.codeq, [schedule], delay=0, catch_up=0)):
        await scenario.clock.advance(31)
    assert [task.payload for task in scenario.fake.tasks(command="ORDER")] == [{"number": 3}]


@pytest.mark.asyncio
async def test_several_producers_make_one_task_of_each_moment(scenario: Scenario) -> None:
    clients = [scenario.codeq, scenario.calm, scenario.client("third", Network(scenario.fake, scenario.clock))]
    schedulers = [Scheduler(codeq, [MINUTE], delay=2 * n, catch_up=0) for n, codeq in enumerate(clients)]
    with scenario.fake.faults(faults.double_create()):
        async with scheduling(scenario, *schedulers):
            await scenario.clock.advance(190)
    assert len(scenario.fake.tasks(command="X")) == 3


@pytest.mark.asyncio
async def test_two_producers_with_the_same_delay_may_make_two_tasks_of_a_moment(scenario: Scenario) -> None:
    """Z6: what remains, and why producers need different delays."""
    schedulers = [Scheduler(codeq, [MINUTE], delay=0, catch_up=0) for codeq in (scenario.codeq, scenario.calm)]
    with scenario.fake.faults(faults.double_create()):
        async with scheduling(scenario, *schedulers):
            await scenario.clock.advance(61)
    assert len(scenario.fake.tasks(command="X")) == 2


@pytest.mark.asyncio
async def test_delays_are_drawn_so_that_producers_come_apart(scenario: Scenario) -> None:
    async with scheduling(scenario, Scheduler(scenario.codeq, [MINUTE], catch_up=0)):
        await scenario.clock.advance(400)
    delays = [at % 60 for at in scenario.network.times("create")]
    assert len({round(delay, 2) for delay in delays}) > 3
    assert all(first != second for first, second in pairwise(delays))


@pytest.mark.asyncio
async def test_a_restart_misses_no_moment_and_makes_no_second_task(scenario: Scenario) -> None:
    async with scheduling(scenario, Scheduler(scenario.codeq, [MINUTE], delay=0, catch_up=0)):
        await scenario.clock.advance(61)
    await scenario.clock.advance(65)  # the second minute passes without a scheduler
    async with scheduling(scenario, Scheduler(scenario.codeq, [MINUTE], delay=0)):
        await scenario.clock.advance(1)
        assert len(scenario.fake.tasks(command="X")) == 2
    async with scheduling(scenario, Scheduler(scenario.codeq, [MINUTE], delay=0)):
        await scenario.clock.advance(1)
        assert len(scenario.fake.tasks(command="X")) == 2


@pytest.mark.asyncio
async def test_after_an_outage_and_a_suspension_only_the_last_moment_is_created(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    async with scheduling(scenario, Scheduler(scenario.codeq, [replace(MINUTE, payload=at)], delay=0, catch_up=0)):
        scenario.network.fail("create", refused)
        await scenario.clock.advance(190)
        scenario.network.fail("create", None)
        await scenario.clock.advance(45)
        assert [task.payload for task in scenario.fake.tasks(command="X")] == ["0:03:00"]
        await scenario.suspend(600)
        await scenario.clock.advance(30)
    assert sorted(task.payload for task in scenario.fake.tasks(command="X")) == ["0:03:00", "0:14:00"]
    assert "the task of schedule minute for 1970-01-01 00:01:00+00:00 was not created" in caplog.text


class JumpingClock(StillClock):
    """A clock on which no sleep takes time."""

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@pytest.mark.slow
@pytest.mark.asyncio
async def test_a_scheduler_survives_an_outage_of_many_hours() -> None:
    clock, created = JumpingClock(), asyncio.Event()
    end = clock.now + 9 * 3600

    def answer(_request: httpx.Request) -> httpx.Response:
        if clock.now < end:
            raise httpx.ConnectError("connection refused")
        created.set()
        return httpx.Response(202, json=TASK)

    transport = httpx.MockTransport(answer)
    codeq = CodeQ("http://codeq.test", producer_token="p", retries=0, transport=transport, clock=clock)
    async with codeq, asyncio.TaskGroup() as group:
        run = group.create_task(Scheduler(codeq, [MINUTE], delay=0, catch_up=0).run())
        await created.wait()
        run.cancel()


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [ClientClosed, CertificateError])
async def test_an_error_that_no_waiting_mends_ends_a_scheduler(scenario: Scenario, error: type[Exception]) -> None:
    if error is ClientClosed:
        await scenario.codeq.aclose()
    else:
        scenario.network.fail("create", untrusted)
    other = Schedule(name="other", command="Y", cron="* * * * *")
    with pytest.raises(error, match=r"the client is closed|set SSL_CERT_FILE"):
        await scenario.finished(Scheduler(scenario.codeq, [MINUTE, other], delay=0, catch_up=0).run())


@pytest.mark.asyncio
async def test_a_delay_may_be_longer_than_the_interval(scenario: Scenario) -> None:
    often = Schedule(name="often", command="X", every=5, payload=at)
    async with scheduling(scenario, Scheduler(scenario.codeq, [often], delay=12, catch_up=0)):
        await scenario.clock.advance(23)
    assert sorted(task.payload for task in scenario.fake.tasks(command="X")) == ["0:00:05", "0:00:10"]


@pytest.mark.asyncio
async def test_a_payload_that_fails_leaves_out_its_task_and_nothing_else(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(moment: datetime) -> dict[str, int]:
        return {"n": 1 // (moment.minute - 1)}

    schedules = [MINUTE, Schedule(name="broken", command="Y", cron="* * * * *", payload=broken)]
    async with scheduling(scenario, Scheduler(scenario.codeq, schedules, delay=0, catch_up=0)):
        await scenario.clock.advance(121)
    assert "ZeroDivisionError" in caplog.text
    assert (len(scenario.fake.tasks(command="X")), len(scenario.fake.tasks(command="Y"))) == (2, 1)


@pytest.mark.asyncio
async def test_a_task_that_the_server_refuses_is_left_out(scenario: Scenario, caplog: pytest.LogCaptureFixture) -> None:
    schedules = [MINUTE, Schedule(name="refused", command="Y", cron="* * * * *", payload=None)]
    async with scheduling(scenario, Scheduler(scenario.codeq, schedules, delay=0, catch_up=0)):
        await scenario.clock.advance(121)
    assert "the task of schedule refused for 1970-01-01 00:01:00+00:00 is left out: " in caplog.text
    assert len(scenario.fake.tasks(command="X")) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs either cron or every"),
        ({"cron": "* * * * *", "every": 5}, "needs either cron or every"),
        ({"cron": "61 * * * *"}, r"cron '61 \* \* \* \*': Bad minute"),
        ({"cron": "0 0 * 2 MON#5", "timezone": "Mars/Base"}, "there is no time zone 'Mars/Base'"),
        ({"every": 0.5}, "every must be a number, 1 or more"),
        ({"every": 5, "options": {"idempotency_key": "k"}}, "takes no idempotency_key"),
        ({"every": 5, "name": 3}, "the name of a schedule must be a string"),
    ],
    ids=str,
)
def test_a_wrong_schedule_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Schedule(**{"name": "s", "command": "X", **arguments})


@pytest.mark.parametrize(
    ("schedules", "settings", "message"),
    [
        ([MINUTE, MINUTE], {}, "different names"),
        ([], {}, "needs a list of schedules"),
        (MINUTE, {}, "needs a list of schedules"),
        ([MINUTE], {"delay": -1}, "delay must be"),
        ([MINUTE], {"catch_up": 90_000}, "the server forgets keys"),
    ],
    ids=["same name", "none", "no list", "delay", "catch-up"],
)
def test_a_wrong_scheduler_is_refused(
    scenario: Scenario, schedules: Any, settings: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Scheduler(scenario.codeq, schedules, **settings)


def test_the_key_of_a_moment_does_not_depend_on_its_time_zone() -> None:
    moment = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
    assert MINUTE.key(moment) == MINUTE.key(moment.astimezone()) == "schedule minute 2026-03-28T01:30:00+00:00"
