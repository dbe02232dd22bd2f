"""Shrinking: plans are made smaller as long as a run with them fails. Runs are stood for by pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codeq_fake.simulation.plan import Event, Plan
from codeq_fake.simulation.shrinking import shrink
from codeq_fake.simulation.weather import Weather
from tests.simulation.worlds import HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable


class Runs:
    """Counts the plans that were tried."""

    def __init__(self, fails: Callable[[Plan], bool]) -> None:
        self.tried: list[Plan] = []
        self._fails = fails

    def __call__(self, plan: Plan) -> bool:
        self.tried.append(plan)
        return self._fails(plan)


def events(*kinds: str) -> tuple[Event, ...]:
    return tuple(Event(float(n), kind, "worker-1") for n, kind in enumerate(kinds))


def has(*kinds: str) -> Callable[[Plan], bool]:
    return lambda plan: set(kinds) <= {event.kind for event in plan.events}


@pytest.mark.parametrize("position", range(12))
def test_one_of_twelve_events_is_found_in_few_runs(position: int) -> None:
    chosen = events(*["reset"] * position, "lost_reply", *["reset"] * (11 - position))
    runs = Runs(has("lost_reply"))
    small = shrink(Plan(5, chosen), runs)
    assert small == Plan(5, (chosen[position],))
    assert len(runs.tried) <= 14


def test_two_events_that_are_needed_together_stay_and_do_not_move() -> None:
    chosen = events("reset", "lost_reply", "reset", "reset", "lost_request", "reset", "reset")
    assert shrink(Plan(5, chosen), has("lost_reply", "lost_request")).events == (chosen[1], chosen[4])


def test_a_failure_without_weather_needs_one_run() -> None:
    runs = Runs(lambda plan: plan.seed == 5)
    assert shrink(Plan(5, events("reset", "reset", "lost_reply")), runs) == Plan(5)
    assert len(runs.tried) == 1


@pytest.mark.parametrize("seed", range(10))
def test_of_a_drawn_plan_exactly_the_events_stay_that_are_needed(seed: int) -> None:
    plan = Weather().plan(seed, HOSTS)
    needed = {(event.at, event.kind) for event in plan.events[1::4]}
    small = shrink(plan, lambda tried: needed <= {(event.at, event.kind) for event in tried.events}, most_runs=1000)
    assert [(event.at, event.kind) for event in small.events] == sorted(needed)


def test_a_pause_gets_as_short_as_it_can() -> None:
    plan = Plan(5, (Event(12, "pause", "worker-2", {"lasts": 80.0}),))
    small = shrink(plan, lambda tried: any(float(event.arguments["lasts"]) >= 15 for event in tried.events))
    assert small.events == (Event(12, "pause", "worker-2", {"lasts": 20.0}),)


def test_a_length_stays_within_the_bounds_of_its_kind() -> None:
    plan = Plan(5, (Event(12, "stop", "worker-2", {"lasts": 50.0}), Event(20, "kill", "worker-2", {"lasts": 8.0})))
    small = shrink(plan, has("stop", "kill"))
    assert [event.arguments["lasts"] for event in small.events] == [50.0, 1.0]


def test_the_number_of_runs_is_bounded() -> None:
    runs = Runs(has("lost_reply"))
    small = shrink(Plan(5, events(*["reset"] * 11, "lost_reply")), runs, most_runs=3)
    assert len(runs.tried) == 3
    assert has("lost_reply")(small)
