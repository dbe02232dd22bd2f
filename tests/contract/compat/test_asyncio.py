"""The private names of asyncio that the suite uses are still there, and still do what it needs."""

from __future__ import annotations

import asyncio

from codeq_contract.compat.asyncio import ShuffledLoop


def order_of_ten_tasks(seed: int) -> list[int]:
    """The order in which ten tasks that are ready at once take their turn."""
    done: list[int] = []

    async def note(number: int) -> None:
        done.append(number)

    async def all_ten() -> None:
        loop.shuffle_by(seed)
        await asyncio.gather(*map(note, range(10)))

    loop = ShuffledLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(all_ten())
    return done


def test_a_seed_changes_the_order_of_ready_tasks_and_repeats_it() -> None:
    orders = [order_of_ten_tasks(seed) for seed in (1, 2, 3)]
    broken = "asyncio no longer runs callbacks from BaseEventLoop._ready in _run_once: no schedule finds a race now"
    assert all(sorted(order) == list(range(10)) for order in orders), broken
    assert all(order != list(range(10)) for order in orders), broken
    assert [order_of_ten_tasks(seed) for seed in (1, 2, 3)] == orders, broken


def test_without_a_seed_tasks_run_in_the_order_of_their_start() -> None:
    assert order_of_ten_tasks(0) == list(range(10))
