"""The order of commands: by priority, by shares, and the one that has waited longest."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from codeq_client import Job, Policy, TaskStarted
from codeq_client._worker.command_order import CommandOrder
from codeq_client._worker.handlers import Handler
from codeq_client.errors import ConfigurationError
from tests.client.support import Scenario


async def nothing(_job: Job[Any]) -> None: ...


def order_of(**policies: Policy) -> CommandOrder:
    return CommandOrder({name.lower(): Handler(name, nothing, False, **policy) for name, policy in policies.items()})  # noqa: FBT003 - as the registry


def test_with_equal_shares_the_command_that_has_waited_longest_is_first() -> None:
    order = order_of(A={}, B={}, C={})
    for command, expected in (("b", "ACB"), ("A", "CBA"), ("A", "CBA"), ("C", "BAC"), ("unknown", "BAC"), ("B", "ACB")):
        order.note_claimed(command)
        assert "".join(order.names()) == expected


def test_a_command_without_tasks_saves_up_no_turns() -> None:
    order = order_of(A={"share": 3}, B={})
    for _ in range(100):
        order.note_claimed("A")
    claimed = []
    for _ in range(40):
        claimed.append(order.names()[0])
        order.note_claimed(claimed[-1])
    assert 28 <= Counter(claimed)["A"] <= 32


async def started(scenario: Scenario, count: int, slots: int, **policies: Policy) -> list[str]:
    """Let a worker handle tasks of commands of which there are more than enough, and return what it started first."""
    worker = scenario.worker(concurrency=slots)
    for command, policy in policies.items():
        worker.handler(command, **policy)(nothing)
        for _ in range(count):
            scenario.enqueue(command, {})
    async with scenario.running(worker):
        await scenario.until_ended(count)
    return [event.task.command for _, event in scenario.events if isinstance(event, TaskStarted)][:count]


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize("slots", [1, 5])
async def test_commands_get_their_shares(scenario: Scenario, slots: int) -> None:
    commands = Counter(await started(scenario, 40, slots, LARGE={"share": 3}, SMALL={"share": 1}))
    assert 26 <= commands["LARGE"] <= 34


@pytest.mark.asyncio
@pytest.mark.parametrize("slots", [1, 5])
async def test_a_command_of_a_higher_priority_is_claimed_first(scenario: Scenario, slots: int) -> None:
    commands = await started(scenario, 12, slots, LATER={}, URGENT={"priority": 2}, NEXT={"priority": 1})
    assert commands == ["URGENT"] * 12


@pytest.mark.asyncio
@pytest.mark.parametrize("priority", [0, 1])
async def test_a_command_with_a_low_limit_and_no_tasks_does_not_keep_the_claims_small(
    scenario: Scenario, priority: int
) -> None:
    worker = scenario.worker(concurrency=16)
    worker.handler("IDLE", concurrency=1, priority=priority)(nothing)
    worker.handler("BUSY")(nothing)
    for _ in range(80):
        scenario.enqueue("BUSY", {})
    async with scenario.running(worker):
        await scenario.until_ended(80)
    assert len(scenario.network.times("claim")) < 30


@pytest.mark.parametrize(
    "policy",
    [{"share": 0}, {"share": -1}, {"share": "3"}, {"priority": -1}, {"priority": 1.5}, {"priority": "high"}],
    ids=str,
)
def test_a_wrong_share_or_priority_is_refused(scenario: Scenario, policy: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(policy))} must be"):
        scenario.worker().handler("X", **policy)(nothing)
