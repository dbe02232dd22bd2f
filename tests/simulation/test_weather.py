"""The weather: plans that are drawn from a seed, and what their events do to a world."""

from __future__ import annotations

import asyncio
import re
from dataclasses import fields
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings

from codeq_fake.faults import observed_races
from codeq_fake.simulation import weather
from codeq_fake.simulation.plan import Event, Plan, PlanError, read_plan
from codeq_fake.simulation.strategies import plans
from codeq_fake.simulation.weather import Weather
from codeq_fake.simulation.weather_kinds import KINDS, check_plan, describe, end_of
from codeq_fake.testing import FakeCodeQ
from tests.simulation.worlds import HOSTS, NotedWorld

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codeq_fake.simulation.acts import WorldActs

SEEDS = range(80)
PARTS = [part.name for part in fields(Weather) if part.name != "span"]


def done(event: Event, fake: FakeCodeQ | None = None) -> NotedWorld:
    """The world after an event."""
    world = NotedWorld(fake)
    weather.apply(cast("WorldActs", world), event)
    return world


def test_a_seed_gives_one_plan_and_another_seed_another() -> None:
    assert Weather().plan(7, HOSTS) == Weather().plan(7, HOSTS)
    assert len({str(Weather().plan(seed, HOSTS)) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("part", [part for part in PARTS if part != "clean_ups"])
def test_a_part_that_is_turned_off_takes_away_its_events_and_moves_no_other(part: str) -> None:
    narrowed, lost = Weather(**cast("dict[str, Any]", {part: False})), 0
    for seed in SEEDS:
        whole = Weather().plan(seed, HOSTS).events
        rest = tuple(event for event in whole if KINDS[event.kind].part != part)
        assert narrowed.plan(seed, HOSTS).events == rest
        lost += len(whole) - len(rest)
    assert lost > 8


def test_clean_ups_come_only_if_asked_for() -> None:
    kinds = {event.kind for seed in SEEDS for event in Weather().plan(seed, HOSTS).events}
    with_clean_ups = {event.kind for seed in SEEDS for event in Weather(clean_ups=True).plan(seed, HOSTS).events}
    assert kinds == set(KINDS) - {"clean_up"}
    assert with_clean_ups == set(KINDS)


def test_runs_differ_in_their_kinds_and_some_bring_one_kind_often() -> None:
    runs = [[event.kind for event in Weather().plan(seed, HOSTS).events] for seed in SEEDS]
    assert min(map(len, runs)) < 5
    assert 8 <= sum(map(len, runs)) / len(runs) <= 25
    assert max(run.count("stop") for run in runs) == 5


def test_all_parts_off_is_calm_and_so_is_a_server_event_without_hosts() -> None:
    calm = Weather(**cast("dict[str, Any]", dict.fromkeys(PARTS, False)))
    assert all(calm.plan(seed, HOSTS).events == () for seed in SEEDS)
    targets = {event.target for seed in SEEDS for event in Weather().plan(seed, ()).events}
    assert targets == {"codeq"}


def test_events_come_in_order_and_within_the_span() -> None:
    for seed in SEEDS:
        times = [event.at for event in Weather(span=30).plan(seed, HOSTS).events]
        assert times == sorted(times)
        assert all(1 <= at <= 30 for at in times)
    with pytest.raises(ValueError, match="span: found 1, want more than 1 seconds"):
        Weather(span=1)


def test_a_plan_survives_as_text() -> None:
    for seed in SEEDS:
        plan = Weather().plan(seed, HOSTS)
        assert read_plan(str(plan)) == plan


@pytest.mark.slow
@settings(max_examples=20)
@given(plan=plans(HOSTS, Weather(kills=False)))
def test_hypothesis_draws_plans_that_a_world_can_carry_out(plan: Plan) -> None:
    check_plan(plan, dict.fromkeys(HOSTS))
    assert read_plan(str(plan)) == plan
    assert "kill" not in {event.kind for event in plan.events}
    assert all(describe(event) for event in plan.events)


def test_a_plan_for_other_hosts_or_with_other_kinds_is_refused() -> None:
    hosts = {"worker-1": None}
    with pytest.raises(PlanError, match="the plan names the host 'worker-9'; this test has worker-1"):
        check_plan(Plan(1, (Event(1, "pause", "worker-9", {"lasts": 5}),)), hosts)
    with pytest.raises(PlanError, match="an event of the kind 'earthquake'; known are kill, power_cut"):
        check_plan(Plan(1, (Event(1, "earthquake", "worker-1"),)), hosts)
    check_plan(Plan(1, (Event(1, "store_restart", "codeq", {"lasts": 5}),)), hosts)


@pytest.mark.parametrize(
    ("kind", "arguments", "says"),
    [
        ("pause", {}, "the plan has pause with {}; it needs lasts"),
        ("pause", {"lasts": 5, "seconds": 1}, "it needs lasts"),
        ("pause", {"lasts": "long"}, "it needs lasts"),
        ("proxy_error", {"status": "502", "times": 1}, "it needs status, times"),
        ("partition", {"way": "home", "lasts": 5}, "it needs way, lasts"),
        ("reset", {"lasts": 5}, "it needs nothing"),
    ],
)
def test_a_plan_with_other_arguments_is_refused(kind: str, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(PlanError, match=re.escape(says)):
        check_plan(Plan(1, (Event(1, kind, "worker-1", arguments),)), {"worker-1": None})


def test_a_plan_by_hand_may_go_beyond_what_is_drawn() -> None:
    events = (
        Event(1, "pause", "worker-1", {"lasts": 500}),
        Event(2, "proxy_error", "worker-1", {"status": 500, "times": 3}),
    )
    check_plan(Plan(1, events), {"worker-1": None})


ACTS: Mapping[str, tuple[dict[str, Any], list[str], str]] = {
    "kill": (
        {"lasts": 5},
        ["worker-2.kill(power=False)", "at 17: worker-2.restart()"],
        "worker-2 was killed at 12.0 s",
    ),
    "power_cut": ({"lasts": 5}, ["worker-2.kill(power=True)", "at 17: worker-2.restart()"], "worker-2 lost its power"),
    "stop": ({"lasts": 31}, ["worker-2.stop()", "at 43: worker-2.restart()"], "worker-2 was told to stop at 12.0 s"),
    "pause": (
        {"lasts": 62},
        ["worker-2.pause()", "at 74: worker-2.resume()"],
        "worker-2 stood still from 12.0 s to 74.0 s",
    ),
    "skew": (
        {"seconds": -20},
        ["worker-2.skew(-20.0)"],
        "the wall clock of worker-2 was wrong by -20 s from 12.0 s on",
    ),
    "latency": (
        {"seconds": 3.5, "lasts": 8},
        ["wire of worker-2.delay(3.5)", "at 20: wire of worker-2.delay(0)"],
        "the network of worker-2 took 3.5 s longer each way",
    ),
    "partition": (
        {"way": "to the server", "lasts": 8},
        ["wire of worker-2.cut('to_server')", "at 20: wire of worker-2.heal()"],
        "nothing went between worker-2 and the server from 12.0 s to 20.0 s (to the server)",
    ),
    "reset": ({}, ["wire of worker-2.reset()"], "the connections of worker-2 were reset at 12.0 s"),
    "lost_request": ({}, ["wire of worker-2.lose_request()"], "the first request of worker-2 after 12.0 s was lost"),
    "lost_reply": ({}, ["wire of worker-2.lose_reply()"], "was carried out, and its reply was lost"),
    "proxy_error": (
        {"status": 502, "times": 4},
        ["server.answer(502, host='worker-2', times=4)"],
        "a proxy answered 502 to the next requests of worker-2 after 12.0 s (4 of them)",
    ),
    "late_proxy_error": (
        {"status": 504, "times": 2},
        ["server.answer(504, host='worker-2', times=2, is_late=True)"],
        "the next requests of worker-2 after 12.0 s were carried out, and a proxy answered 504 (2 of them)",
    ),
    "overload": (
        {"status": 429, "seconds": 5, "times": 2},
        ["server.answer(429, host='worker-2', times=2, retry_after=5)"],
        "a proxy answered 429 with Retry-After: 5 to the next requests of worker-2 after 12.0 s (2 of them)",
    ),
    "slow_body": (
        {"rate": 50, "lasts": 8},
        ["wire of worker-2.trickle(50)", "at 20: wire of worker-2.trickle(0)"],
        "the connections of worker-2 carried 50 bytes a second from 12.0 s to 20.0 s",
    ),
    "clock_jump": (
        {"seconds": -60, "lasts": 8},
        ["worker-2.skew(-60.0)", "at 20: worker-2.skew(0)"],
        "the wall clock of worker-2 jumped by -60 s at 12.0 s, and back at 20.0 s",
    ),
    "server_restart": ({"lasts": 8}, ["server.kill()", "at 20: server.restart()"], "the server was down from 12.0 s"),
}


@pytest.mark.parametrize("kind", ACTS)
def test_an_event_acts_on_its_host_and_is_told_in_words(kind: str) -> None:
    arguments, calls, words = ACTS[kind]
    event = Event(12, kind, "codeq" if KINDS[kind].place == "server" else "worker-2", arguments)
    world = done(event)
    while world.later:
        when, function = world.later.pop()
        before = len(world.calls)
        function()
        world.calls[before:] = [f"at {when:g}: {call}" for call in world.calls[before:]]
    assert world.calls == calls
    assert words in describe(event)


#: Two events of one kind at worker-2, from 1 s to 11 s and from 5 s to 8 s or 30 s: their arguments, and what follows.
OVERLAPS: Mapping[str, tuple[str, list[dict[str, Any]], list[str]]] = {
    "the latency of the later one is over first": (
        "latency",
        [{"seconds": 2, "lasts": 10}, {"seconds": 3, "lasts": 3}],
        ["1: delay(2.0)", "5: delay(3.0)", "8: delay(2.0)", "11: delay(0)"],
    ),
    "the latency of the earlier one is over first": (
        "latency",
        [{"seconds": 2, "lasts": 10}, {"seconds": 3, "lasts": 25}],
        ["1: delay(2.0)", "5: delay(3.0)", "11: delay(3.0)", "30: delay(0)"],
    ),
    "slow bodies": (
        "slow_body",
        [{"rate": 20, "lasts": 10}, {"rate": 50, "lasts": 25}],
        ["1: trickle(20)", "5: trickle(50)", "11: trickle(50)", "30: trickle(0)"],
    ),
    "a partition within another": (
        "partition",
        [{"way": "both ways", "lasts": 10}, {"way": "to the server", "lasts": 3}],
        ["1: cut('both')", "5: cut('to_server')", "11: heal()"],
    ),
    "a partition of one way after one of both": (
        "partition",
        [{"way": "both ways", "lasts": 10}, {"way": "to the server", "lasts": 25}],
        ["1: cut('both')", "5: cut('to_server')", "11: heal('from_server')", "30: heal()"],
    ),
    "a pause": ("pause", [{"lasts": 10}, {"lasts": 25}], ["1: pause()", "5: pause()", "30: resume()"]),
    "a jump of the clock": (
        "clock_jump",
        [{"seconds": 60, "lasts": 10}, {"seconds": -60, "lasts": 3}],
        ["1: skew(60.0)", "5: skew(-60.0)", "8: skew(60.0)", "11: skew(0)"],
    ),
}


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_the_end_of_an_event_leaves_another_of_its_kind_that_is_not_over(overlap: str) -> None:
    kind, arguments, calls = OVERLAPS[overlap]
    events = [Event(at, kind, "worker-2", each) for at, each in zip((1, 5), arguments, strict=True)]
    assert played(events) == calls


def test_after_a_jump_a_clock_is_as_wrong_as_before() -> None:
    events = [
        Event(1, "skew", "worker-2", {"seconds": -5}),
        Event(5, "clock_jump", "worker-2", {"seconds": 60, "lasts": 3}),
    ]
    assert played(events) == ["1: skew(-5.0)", "5: skew(60.0)", "8: skew(-5.0)"]


def test_events_that_overlap_at_two_hosts_end_separately() -> None:
    events = [Event(1, "pause", "worker-2", {"lasts": 10}), Event(5, "pause", "worker-1", {"lasts": 25})]
    assert played(events) == ["1: pause()", "5: pause()", "11: resume()", "30: resume()"]


def test_no_event_comes_back_once_the_world_is_calm() -> None:
    world = NotedWorld()
    for at in (1, 5):
        weather.apply(cast("WorldActs", world), Event(at, "latency", "worker-2", {"seconds": at, "lasts": 10}))
    world.calm_since = 6
    world.calls.clear()
    for _, end in world.later:
        end()
    assert world.calls == ["wire of worker-2.delay(0)"]


def played(events: Sequence[Event]) -> list[str]:
    """What events do to the world, with the moments, when all of them have come and ended."""
    world, noted = NotedWorld(), []
    world.later = [(event.at, partial(weather.apply, cast("WorldActs", world), event)) for event in events]
    while world.later:
        due = min(world.later, key=itemgetter(0))
        world.later.remove(due)
        due[1]()
        noted += [f"{due[0]:g}: {re.sub(r'^[^(]*[.]', '', call)}" for call in world.calls]
        world.calls.clear()
    return noted


def test_a_host_that_has_ended_by_itself_is_not_started_again_by_the_weather() -> None:
    for kind in ("kill", "power_cut", "stop"):
        world = NotedWorld()
        world.hosts["worker-2"].is_up = False
        weather.apply(cast("WorldActs", world), Event(1, kind, "worker-2", {"lasts": 5}))
        assert (world.calls, world.later) == ([], [])


async def _statuses(fake: FakeCodeQ, token: str) -> list[int]:
    async with fake.async_client(token) as http:
        responses = [await http.post("/v1/codeq/tasks/claim", json={"commands": ["A"]}) for _ in range(2)]
    return [response.status_code for response in responses]


def test_the_store_is_down_until_the_event_is_over() -> None:
    fake = FakeCodeQ()
    world = done(Event(3, "store_restart", "codeq", {"lasts": 4}), fake)
    assert asyncio.run(_statuses(fake, "dev-token")) == [500, 500]
    ((when, end),) = world.later
    end()
    assert when == 7
    assert asyncio.run(_statuses(fake, "dev-token")) == [204, 204]


def test_a_slow_reply_waits_for_the_requests_of_its_host_only() -> None:
    fake = FakeCodeQ()
    world = done(Event(3, "slow_reply", "worker-2", {"seconds": 5, "lasts": 4}), fake)
    (rule,) = world.faults.active()["faults"]
    assert (rule["do"], rule["seconds"], rule["worker"]) == ("delay", 5, "worker-2")


def test_under_load_the_races_come_as_often_as_observed_until_the_event_is_over() -> None:
    world = done(Event(3, "load", "codeq", {"seed": 7, "lasts": 40}), FakeCodeQ())
    active = {rule["do"]: rule["probability"] for rule in world.faults.active()["faults"]}
    assert active == {rule.do: rule.probability for rule in observed_races()}
    assert {when for when, _ in world.later} == {43}
    for _, end in world.later:
        end()
    assert world.faults.active()["faults"] == []


RACES = ("redeliver_finished", "lose_task", "revoke_lease", "false_empty", "accept_result_twice", "double_create")


@pytest.mark.parametrize("kind", RACES)
def test_a_race_waits_for_its_moment_and_ends_with_the_weather(kind: str) -> None:
    world = done(Event(3, kind, "codeq"), FakeCodeQ())
    (rule,) = world.faults.active()["faults"]
    assert (rule["do"], rule["times"]) == (kind, 1)
    weather.end(cast("WorldActs", world))
    assert world.faults.active()["faults"] == []


def test_a_lease_is_revoked_if_there_is_one() -> None:
    fake, event = FakeCodeQ(), Event(3, "revoked_lease", "codeq", {"which": 0.7})
    done(event, fake)
    tasks = [fake.enqueue("A") for _ in range(2)]
    for _ in tasks:
        fake.claim("A")
    done(event, fake)
    assert [fake.task(task.id).status for task in tasks] == ["IN_PROGRESS", "PENDING"]


def test_a_clean_up_deletes_what_was_untouched_for_so_long() -> None:
    fake = FakeCodeQ()
    old = fake.enqueue("A")
    fake.advance(100)
    new = fake.enqueue("A")
    world = done(Event(3, "clean_up", "codeq", {"seconds": 60}), fake)
    ((when, send),) = world.later
    asyncio.run(send())
    assert when == 3
    assert [task.id for task in fake.tasks()] == [new.id] != [old.id]


def test_an_event_is_over_at_once_or_after_its_length() -> None:
    assert end_of(Event(3, "reset", "worker-1")) == 3
    assert end_of(Event(3, "pause", "worker-1", {"lasts": 4.5})) == 7.5
