"""Registries: handlers without a connection, typed commands, and workers that handle some of the commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from codeq_client import CodeQ, Command, Complete, Job, Registry, Worker
from codeq_client.errors import ConfigurationError
from codeq_client.testing import run_one
from tests.client.support import Scenario


@dataclass
class Order:
    job: str


@dataclass
class Master:
    url: str


GENERATE = Command("GENERATE_MASTER", payload=Order, result=Master)
registry = Registry()


@registry.handler(GENERATE)
async def generate(job: Job[Order]) -> Master:
    return Master(f"http://m.test/{job.payload.job}")


@registry.handler("ECHO")
async def echo(job: Job[Any]) -> Any:
    return job.payload


@pytest.mark.asyncio
async def test_producer_and_worker_share_a_typed_command(scenario: Scenario) -> None:
    async with scenario.running(scenario.worker(registry=registry)):
        task = await scenario.codeq.create(GENERATE, Order("7"), priority=3)
        master = await scenario.finished(scenario.codeq.wait_for_result(task.id, kind=GENERATE.result))
    assert master == Master("http://m.test/7")
    assert (scenario.task(task.id).command, scenario.task(task.id).priority) == ("GENERATE_MASTER", 3)


@pytest.mark.asyncio
async def test_a_batch_takes_items_of_typed_commands(scenario: Scenario) -> None:
    batch = await scenario.codeq.create_batch([GENERATE.task(Order("8"), max_attempts=2)])
    (task,) = batch.all()
    assert (str(GENERATE), task.command, task.payload, task.max_attempts) == (
        "GENERATE_MASTER",
        "GENERATE_MASTER",
        {"job": "8"},
        2,
    )


@pytest.mark.asyncio
async def test_a_worker_handles_only_the_chosen_commands(scenario: Scenario) -> None:
    echoed, other = scenario.enqueue("ECHO", {}), scenario.enqueue("GENERATE_MASTER", {"job": "9"})
    async with scenario.running(scenario.worker(registry=registry, only=["echo"])):
        await scenario.until_ended()
        await scenario.clock.advance(5)
    assert scenario.ended() == [(echoed, "completed")]
    assert scenario.task(other).status == "PENDING"


@pytest.mark.asyncio
async def test_a_worker_has_the_handlers_of_its_registry_beside_its_own(scenario: Scenario) -> None:
    worker = scenario.worker(registry=registry)
    worker.handler("OWN")(echo)
    assert await run_one(worker, "generate_master", {"job": "1"}) == Complete(Master("http://m.test/1"))
    assert worker.commands == ("GENERATE_MASTER", "ECHO", "OWN")
    assert registry.commands == ("GENERATE_MASTER", "ECHO")


def test_registries_are_combined_unless_two_have_one_command() -> None:
    whole, part = Registry(), Registry()
    part.handler("NEW")(echo)
    whole.include(registry)
    whole.include(part)
    assert whole.commands == ("GENERATE_MASTER", "ECHO", "NEW")
    part.handler("echo")(echo)
    with pytest.raises(ConfigurationError, match="no other handler has, not 'ECHO'"):
        part.include(registry)
    assert part.commands == ("NEW", "echo"), "nothing was added"


@pytest.mark.asyncio
async def test_an_unknown_command_is_refused_with_the_known_ones() -> None:
    worker = Worker(CodeQ("http://codeq.test", worker_token="w"), registry, only=["ECO"])
    with pytest.raises(ConfigurationError, match="no handler for 'ECO', only for: GENERATE_MASTER, ECHO"):
        await worker.run(burst=True, signals=False)


def test_a_command_needs_a_name() -> None:
    wrong: Any = generate
    with pytest.raises(ConfigurationError, match="the name of a command must be a string, not a function"):
        Command(wrong, payload=Order, result=Master)
