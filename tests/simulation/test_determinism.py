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
#: The test with many runs: each tenth of them is repeated here in two other processes.
CLIENT: Simulation = getattr(test_client.test_each_order_is_charged_once_and_the_shop_hears_of_it, ATTRIBUTE)
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
    yield run_once(RECEIVER.right, RECEIVER.seed, weather=Weather())
    yield run_once(three_clients, SEED, weather=Weather())


@pytest.mark.process
@pytest.mark.slow
def test_processes_with_different_hash_seeds_have_one_history_for_each_seed() -> None:
    command = [sys.executable, "-m", "tests.simulation.test_determinism"]
    environments = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("0", "1")]
    first, second = (
        subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
        for environment in environments
    )
    digests = first.split()
    assert first == second
    assert digests[0] == digests[-1]
    assert len(set(digests)) == len(digests) - 1 == len(CLIENT.seeds[::10]) + 2


if __name__ == "__main__":
    print(*(outcome.digest for outcome in outcomes()), sep="\n")  # noqa: T201 - what the test compares
