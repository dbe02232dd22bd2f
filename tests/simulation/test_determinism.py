"""One seed gives one history, in each process and whatever its hash seed is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeq_fake.simulation import Weather, World
from codeq_fake.simulation.decorator import ATTRIBUTE
from codeq_fake.simulation.runs import Outcome, run_once
from codeq_fake.simulation.search import Simulation
from tests.simulation import test_client
from tests.simulation.gallery.scenarios import SCENARIOS
from tests.simulation.support import COMMAND, PROGRAMS

SEED = 7
ROOT = Path(__file__).parents[2]
#: The test with many runs: each 25th of them is repeated here, twice.
CLIENT: Simulation = getattr(test_client.test_each_order_is_charged_once_and_the_shop_hears_of_it, ATTRIBUTE)
#: Some of the gallery: its programs are on three clients, and die in as many ways.
BROKEN = SCENARIOS[::3]
#: A program that is itself a server.
(RECEIVER,) = (scenario for scenario in SCENARIOS if scenario.role == "receiver")


async def three_clients(world: World) -> None:
    for client, program in PROGRAMS.items():
        world.process(client)(program)
    for n in range(6):
        await world.enqueue(COMMAND, {"n": n}, max_attempts=50)
        await asyncio.sleep(2)
    await world.settle()


def outcomes() -> Iterator[Outcome]:
    """Runs of several programs, each of another seed or program. The last one is the first again."""
    yield run_once(three_clients, SEED, weather=Weather())
    yield from map(CLIENT.run, CLIENT.seeds[::10])
    for scenario in BROKEN:
        yield run_once(scenario.broken, scenario.seed, weather=Weather())
    yield run_once(RECEIVER.right, RECEIVER.seed, weather=Weather())
    yield run_once(three_clients, SEED, weather=Weather())


def digests() -> str:
    return " ".join(outcome.digest for outcome in outcomes())


@pytest.mark.process
@pytest.mark.slow
def test_processes_with_different_hash_seeds_have_one_history_for_each_seed() -> None:
    other_seed = "0" if os.environ.get("PYTHONHASHSEED") != "0" else "1"
    other = subprocess.run(
        [sys.executable, "-m", "tests.simulation.test_determinism"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": other_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    here = digests()
    assert other.stdout.strip() == here
    first, *others, last = here.split()
    assert first == last
    assert len({first, *others}) == len(others) + 1 == len(CLIENT.seeds[::10]) + len(BROKEN) + 2


if __name__ == "__main__":
    print(digests())  # noqa: T201 - what the test compares
