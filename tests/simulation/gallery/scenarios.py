"""The scenarios of the gallery: how the program of each module is run in a world, and what must hold at the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from codeq_fake.simulation.leases import Leases

from . import (
    blocked_heartbeat,
    claim_repeated,
    create_without_key,
    effect_before_the_fence,
    effect_without_key,
    ends_at_first_error,
    late_heartbeat,
    nack_after_result,
    no_heartbeat,
    own_clock,
    prefetch,
    receiver_acts_twice,
    result_sent_again,
    shutdown_drops_batch,
    shutdown_nacks_all,
    stuck_handler,
    swallowed_cancellation,
    waits_for_ever,
)
from .api import COMMAND, Charge, charge_orders

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import ModuleType

    from codeq_fake.simulation.hosts import Host
    from codeq_fake.simulation.world import World

    Program = Callable[[str, str, Charge], Awaitable[None]]

ORDERS = 20
#: The time between two orders, the same where they come faster than workers can do them, and the length of the bad
#: weather (s).
INTERVAL, SHORT_INTERVAL, WEATHER = 6, 1, 150
#: How long tasks may take to end after it (s). A task that fails once in ten may need some delays of 900 s (N6).
LONGEST = 3600


# What must hold at the end.


def charged_once(world: World) -> None:
    """Each order is charged once."""
    world.effects("charge").assert_once()


def charged_once_under_lease(world: World) -> None:
    """Each order is charged once, by a worker that held its task."""
    world.effects("charge").assert_once()
    world.effects("charge").assert_under_lease()


def one_task_for_each_order(world: World) -> None:
    """No order has two tasks."""
    twice = [
        order for order, count in Counter(task.payload["order"] for task in world.fake.tasks()).items() if count > 1
    ]
    assert not twice, f"orders with more than one task: {twice}"


def no_order_is_nacked_to_death(world: World) -> None:
    """No order becomes a dead letter by a NACK, as none has failed."""
    dead = [task.id for task in world.fake.tasks() if task.history[-1]["what"] == "nacked for the last time"]
    assert not dead, f"dead letters by a NACK: {dead}"


def no_lease_is_left_behind(world: World) -> None:
    """A worker that has ended by itself holds no lease that it has renewed since its start."""
    leases = Leases(world.requests, world.fake.tasks(), world.started_at)
    started: dict[str, float] = {}
    for entry in world.log:
        if entry.text in ("started", "started again"):
            started[entry.host] = entry.at
        elif entry.text == "ended":
            held = [task.id for task in world.fake.tasks() if leases.is_held(task.id, entry.host, entry.at)]
            left = [task_id for task_id in held if _renewed(leases, task_id, entry.at) >= started[entry.host]]
            assert not left, f"{entry.host} ended at {entry.at:.1f} s and still held {left}"


def _renewed(leases: Leases, task_id: str, at: float) -> float:
    """When the lease of a held task was renewed, 0 if it never was."""
    last = leases.history(task_id, at)[-1]
    return leases.moment(last["at"]) if last["what"] == "heartbeat" else 0.0


def each_order_is_reported(world: World) -> None:
    """The producer has heard of the end of each of its orders, unless one was lost by the server (Z2)."""
    if any(task.status == "IN_PROGRESS" for task in world.fake.tasks()):  # `settle` waits for all others
        return
    reported = world.effects("charge").counted()
    missing = [order for order in range(waits_for_ever.ORDERS) if ("reported", order) not in reported]
    assert not missing, f"orders whose end was never reported: {missing}"


# How a program is run.


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One program of the gallery in a world.

    A `worker` runs on three hosts and gets orders from the test. A `producer` makes its own orders, and a `receiver`
    gets the callbacks; both have workers beside them. `seed` is a run that the broken program does not survive, on the
    versions with which it was searched.
    """

    module: ModuleType
    seed: int
    role: Literal["worker", "producer", "receiver"] = "worker"
    others: Program = charge_orders
    interval: float = INTERVAL
    max_attempts: int = 50
    within: float = LONGEST
    check: Callable[[World], None] = charged_once_under_lease

    @property
    def name(self) -> str:
        """The name of its module."""
        return self.module.__name__.rpartition(".")[2]

    @property
    def lesson(self) -> str:
        """What is wrong with the broken program, and what to do."""
        return str(self.module.LESSON)

    def broken(self, world: World) -> Awaitable[None]:
        """A run of the broken program, as a test of the simulation."""
        return self._play(world, self.module.broken)

    def right(self, world: World) -> Awaitable[None]:
        """A run of the right program."""
        return self._play(world, self.module.right)

    async def _play(self, world: World, program: Program) -> None:
        count = 3 if self.role == "worker" else 1
        world.process(self.role, count=count)(_on_host(program, world.effects("charge").record, self.role))
        if self.role != "worker":
            world.process("worker", count=3)(_on_host(self.others, world.effects("work").record, "worker"))
        await self._enqueue(world)
        await asyncio.sleep(max(0, WEATHER - world.now()))
        await world.settle(within=self.within)
        self.check(world)

    async def _enqueue(self, world: World) -> None:
        """Create the orders, or give the producer the time for it."""
        if self.role == "producer":
            await asyncio.sleep(3 * WEATHER)
            return
        options: Any = {"webhook": "http://receiver:8000/done"} if self.role == "receiver" else {}
        for order in range(ORDERS):
            await world.enqueue(COMMAND, {"order": order}, max_attempts=self.max_attempts, **options)
            await asyncio.sleep(self.interval)


def _on_host(program: Program, charge: Charge, role: str) -> Callable[[Host], Awaitable[None]]:
    """The program as a world starts it: it gets the server's URL and a token."""
    return partial(_run, program=program, charge=charge, role=role)


async def _run(host: Host, *, program: Program, charge: Charge, role: str) -> None:
    token = host.producer_token if role == "producer" else host.worker_token
    await program(host.codeq_url, token, charge)
    if role == "producer":  # it has made all of its orders, and must not begin again
        await asyncio.get_running_loop().create_future()


SCENARIOS = (
    Scenario(module=no_heartbeat, seed=0),
    Scenario(module=blocked_heartbeat, seed=0),
    Scenario(module=late_heartbeat, seed=0),
    Scenario(module=result_sent_again, seed=1),
    Scenario(module=nack_after_result, seed=100_001),
    Scenario(module=effect_before_the_fence, seed=300_000),
    Scenario(module=effect_without_key, seed=0, check=charged_once),
    Scenario(module=claim_repeated, seed=100_000, within=LONGEST / 2),  # its leases take an hour
    Scenario(module=shutdown_drops_batch, seed=4, interval=SHORT_INTERVAL, check=no_lease_is_left_behind),
    Scenario(
        module=shutdown_nacks_all,
        seed=4,
        interval=SHORT_INTERVAL,
        max_attempts=3,
        check=no_order_is_nacked_to_death,
    ),
    Scenario(module=swallowed_cancellation, seed=600_000),
    Scenario(module=own_clock, seed=200_018),
    Scenario(module=create_without_key, seed=100_000, role="producer", check=one_task_for_each_order),
    Scenario(module=receiver_acts_twice, seed=1, role="receiver", check=charged_once),
    Scenario(
        module=waits_for_ever, seed=0, role="producer", others=waits_for_ever.worker, check=each_order_is_reported
    ),
    Scenario(module=ends_at_first_error, seed=0),
    Scenario(module=prefetch, seed=300_000),
    Scenario(module=stuck_handler, seed=0, max_attempts=5, check=charged_once),
)
