"""Runs: however many there are, the memory of one is enough."""

from __future__ import annotations

import weakref

import pytest

from codeq_fake.simulation import Weather, World
from codeq_fake.simulation.runs import run_once
from tests.simulation.gallery.scenarios import SCENARIOS


@pytest.mark.slow
def test_no_world_outlives_its_run_even_if_its_outcome_is_kept() -> None:
    worlds: list[weakref.ref[World]] = []

    async def program(world: World) -> None:
        worlds.append(weakref.ref(world))
        await SCENARIOS[0].right(world)

    outcomes = [run_once(program, seed, weather=Weather()) for seed in range(3)]
    assert all(outcome.scene.effects["charge"] for outcome in outcomes)
    assert [world() for world in worlds] == [None] * len(worlds)
