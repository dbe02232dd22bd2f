"""One seed gives one history, in each process and whatever its hash seed is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from codeq_fake.simulation import Weather, World
from codeq_fake.simulation.runs import run_once
from tests.simulation.support import COMMAND, PROGRAMS

SEED = 7


async def three_clients(world: World) -> None:
    for client, program in PROGRAMS.items():
        world.process(client)(program)
    for n in range(6):
        await world.enqueue(COMMAND, {"n": n}, max_attempts=50)
        await asyncio.sleep(2)
    await world.settle()


def history(seed: int = SEED) -> str:
    outcome = run_once(three_clients, seed, weather=Weather())
    hosts = sorted({request.caller for request in outcome.scene.evidence.requests})
    return f"{outcome.digest} {outcome.scene.evidence.end} {hosts}"


@pytest.mark.slow
def test_two_runs_of_one_seed_have_one_history_and_another_seed_another() -> None:
    assert history() == history()
    assert history() != history(SEED + 1)


@pytest.mark.process
@pytest.mark.slow
def test_processes_with_different_hash_seeds_have_one_history() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.simulation.test_determinism"]
    histories = {
        subprocess.run(
            command, cwd=root, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(histories) == 1
    assert str(sorted(PROGRAMS)) in histories.pop()


if __name__ == "__main__":
    print(history())  # noqa: T201 - what the test compares
