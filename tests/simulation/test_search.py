"""The search: what it says of a failed run in which races have happened, too."""

from __future__ import annotations

import asyncio

from codeq_fake.simulation import NeverSettledError, Weather, World
from codeq_fake.simulation.plan import Plan
from codeq_fake.simulation.search import Races, Simulation
from tests.simulation.support import COMMAND, httpx_worker


async def a_race_and_a_task_for_nobody(world: World) -> None:
    world.process("worker")(httpx_worker)
    raced = await world.enqueue(COMMAND, "raced", max_attempts=50)
    await asyncio.sleep(2)
    world.fake.race("revoke_lease", raced.id)
    world.process("other")(httpx_worker)
    await asyncio.sleep(30)
    await world.enqueue("FORGOTTEN", "forgotten")
    await world.settle(within=100)


def description(races: Races) -> str:
    simulation = Simulation(a_race_and_a_task_for_nobody, "test", 1, 0, Weather(), races, "uvicorn")
    outcome = simulation.run(1, Plan(1))
    assert isinstance(outcome.error, NeverSettledError)
    return simulation.describe(outcome, outcome)


def test_a_race_is_told_in_one_line_and_its_task_has_no_part_in_the_story() -> None:
    text = description("tell")
    assert "(not counted, race Z3) A task is in one worker's hands at a time: 1 of the tasks" in text
    assert '"forgotten"' in text
    assert '"raced"' not in text


def test_a_race_that_is_to_fail_is_told_with_its_task() -> None:
    text = description("fail")
    assert "(not counted" not in text
    assert "while worker held it (explained by the race Z3)" in text
    assert '"raced"' in text
