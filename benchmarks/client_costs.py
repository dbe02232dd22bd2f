"""What the client's worker costs beside bare calls, how busy its slots keep a server, and what it costs when idle."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from codeq_client import CodeQ, NewTask, Worker

from .rows import under
from .servers import fake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codeq_client import Job, TaskContext

    from .effort import Effort
    from .rows import Row

_TOKEN = "dev-token"  # noqa: S105 - of a fake that guards nothing
_COMMAND = "BENCH"
_SLOTS = 32
_RESULT = {"ok": True}


def measure(effort: Effort) -> list[Row]:
    """The client's rows."""
    with fake() as server:
        return asyncio.run(_measure(server.url, effort))


async def _measure(url: str, effort: Effort) -> list[Row]:
    async with CodeQ(url, producer_token=_TOKEN, worker_token=_TOKEN) as codeq:
        bare: list[float] = []
        worker: list[float] = []
        slots: list[float] = []
        for _ in range(effort.repetitions):
            bare.append(await _seconds_a_task(codeq, _by_bare_calls, effort))
            worker.append(await _seconds_a_task(codeq, _by_worker(1), effort))
            slots.append(await _seconds_a_task(codeq, _by_worker(_SLOTS), effort))
        idle = await _idle_share(codeq, effort.parked_seconds)
    added = median(worker) / median(bare) - 1
    remark = f"{_rates(bare, worker)}, {_rates(slots)} with {_SLOTS} slots"
    return [
        under(0.15, "time that the worker adds to bare claim and complete, 1 slot", added, remark=remark),
        under(0.01, "an idle worker", idle, " of a core"),
    ]


def _rates(*seconds: list[float]) -> str:
    return " against ".join(f"{1 / median(each):,.0f}" for each in reversed(seconds)) + " tasks/s"


async def _seconds_a_task(codeq: CodeQ, work: Callable[[CodeQ], Awaitable[None]], effort: Effort) -> float:
    """CPU seconds of this process a task: the machine may have other work to do."""
    count = effort.cycles // 50
    await codeq.create_batch(NewTask(command=_COMMAND, payload={"n": n}) for n in range(count))
    began = time.process_time()
    await work(codeq)
    return (time.process_time() - began) / count


async def _by_bare_calls(codeq: CodeQ) -> None:
    while (task := await codeq.claim([_COMMAND], lease=60)) is not None:
        await codeq.complete(task, _RESULT)


def _by_worker(concurrency: int) -> Callable[[CodeQ], Awaitable[None]]:
    async def work(codeq: CodeQ) -> None:
        worker = Worker(codeq, concurrency=concurrency, lease=60)

        @worker.handler(_COMMAND)
        async def handle(job: Job[Any], task: TaskContext) -> dict[str, bool]:  # noqa: ARG001 - a handler's form
            return _RESULT

        await worker.run(burst=True, signals=False)

    return work


async def _idle_share(codeq: CodeQ, seconds: float) -> float:
    worker = Worker(codeq, concurrency=8, lease=60)

    @worker.handler("NOTHING")
    async def handle(job: Job[Any]) -> None: ...

    running = asyncio.create_task(worker.run(signals=False))
    await asyncio.sleep(1)
    began = time.process_time()
    await asyncio.sleep(seconds)
    share = (time.process_time() - began) / seconds
    worker.stop()
    await running
    return share
