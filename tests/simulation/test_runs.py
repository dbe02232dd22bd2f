"""Runs: each one ends, and however many there are, the memory of one is enough."""

from __future__ import annotations

import asyncio
import weakref

import pytest

from codeq_fake.simulation import Weather, World
from codeq_fake.simulation.runs import run_once
from codeq_fake.simulation.world import NeverEndsError
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


@pytest.mark.slow
def test_a_test_that_hangs_ends_with_who_waits() -> None:
    async def program(world: World) -> None:
        world.process("worker")(lambda _: asyncio.Event().wait())
        await asyncio.Event().wait()

    error = run_once(program, 0, weather=Weather()).error
    assert isinstance(error, NeverEndsError)
    assert str(error).startswith("the test itself has not ended after 90,000 s of virtual time:\n- worker is up")
