"""Long polls where time jumps: attempts that would find nothing are left out, and nothing else is different."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from codeq_fake.clocks import VirtualClock
from codeq_fake.core import Broker
from codeq_fake.testing import FakeCodeQ, run

if TYPE_CHECKING:
    import httpx

    from codeq_fake.payloads import HistoryEvent

TASKS = "/v1/codeq/tasks"


def fake() -> FakeCodeQ:
    return FakeCodeQ(clock="auto", now="2026-01-31T12:00:00Z", seed=1)


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The moments of all attempts to claim."""
    moments: list[int] = []
    claim = Broker.claim

    def noted(broker: Broker, *args: object, now: int, **options: object) -> object:
        moments.append(now)
        return claim(broker, *args, now=now, **options)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(Broker, "claim", noted)
    return moments


def test_a_poll_that_waits_for_a_delay_attempts_when_it_is_over(claims: list[int]) -> None:
    async def story() -> None:
        codeq = fake()
        await codeq.aenqueue("A", delay=20)
        async with codeq.async_client(timeout=60) as http:
            reply = await http.post(f"{TASKS}/claim", json={"commands": ["A"], "waitSeconds": 30})
        assert reply.status_code == 200
        assert [(moment - claims[0]) / 1e9 for moment in claims] == [0, 20]

    run(story())


def test_a_poll_hears_of_a_new_task_at_its_next_attempt(claims: list[int]) -> None:
    async def story() -> None:
        codeq = fake()
        async with codeq.async_client(timeout=60) as http:
            poll = asyncio.create_task(http.post(f"{TASKS}/claim", json={"commands": ["A"], "waitSeconds": 30}))
            await asyncio.sleep(10.1)
            await codeq.aenqueue("A")
            assert (await poll).status_code == 200
        assert [(moment - claims[0]) / 1e9 for moment in claims] == [0, 10.25]

    run(story())


async def work(http: httpx.AsyncClient, draws: random.Random) -> None:
    """Claim, and do with each task what workers do: end it, give it back, or forget it until its lease is over."""
    while True:
        claim = {"commands": ["A", "B"], "leaseSeconds": 5, "waitSeconds": draws.randint(0, 10)}
        reply = await http.post(f"{TASKS}/claim", json=claim)
        if reply.status_code == 200:
            task = f"{TASKS}/{reply.json()['id']}"
            await asyncio.sleep(draws.uniform(0, 4))
            match draws.randrange(5):
                case 0:
                    await http.post(f"{task}/heartbeat", json={"extendSeconds": draws.randint(1, 9)})
                case 1:
                    await http.post(f"{task}/abandon")
                case 2:
                    await http.post(f"{task}/nack", json={"delaySeconds": draws.randint(0, 5)})
                case 3:
                    await http.post(f"{task}/result", json={"status": "COMPLETED", "result": {}})
                case _:
                    pass
        await asyncio.sleep(draws.uniform(0, 1))


async def histories(seed: int) -> list[tuple[HistoryEvent, ...]]:
    """What happens to some tasks in a minute, with three workers."""
    codeq, draws = fake(), random.Random(seed)  # noqa: S311 - repeatable, not secret
    async with codeq.async_client(timeout=60) as http:
        workers = [asyncio.create_task(work(http, random.Random(f"{seed} {n}"))) for n in range(3)]  # noqa: S311 - as above
        for _ in range(8):
            await asyncio.sleep(draws.uniform(0, 8))
            await codeq.aenqueue(draws.choice("AB"), delay=draws.choice((0, 0, 3)))
        await asyncio.sleep(30)
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
    return [task.history for task in codeq.tasks()]


@pytest.mark.slow
def test_the_histories_are_those_of_polls_that_attempt_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(4):
        found = run(histories(seed))
        with monkeypatch.context() as patch:
            patch.setattr(VirtualClock, "jumps", False)
            assert found == run(histories(seed))
        assert any(event["what"] == "lease expired" for history in found for event in history)
