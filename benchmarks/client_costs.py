"""The cost of the client's worker compared with bare calls, how well it fills its slots, and its cost when idle."""

from __future__ import annotations

import asyncio
import time
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from codeq_client import CodeQ, NewTask, Worker

from .rows import at_least, under
from .servers import fake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codeq_client import Job

    from .effort import Effort
    from .rows import Row

    Work = Callable[[CodeQ], Awaitable[None]]

_TOKEN = "dev-token"  # noqa: S105 - a token of a fake, no secret
_COMMAND = "BENCH"
_SLOTS = 32
_ROUNDS_OF_SLOTS = 5
_SAMPLED_EVERY = 0.02
_RESULT = {"ok": True}


def measure(effort: Effort) -> list[Row]:
    """The client's rows."""
    with fake() as server:
        return asyncio.run(_measure(server.url, effort))


async def _measure(url: str, effort: Effort) -> list[Row]:
    async with CodeQ(url, producer_token=_TOKEN, worker_token=_TOKEN) as codeq:
        works: tuple[Work, ...] = (_bare_calls(1), _worker(1), _bare_calls(_SLOTS), _worker(_SLOTS))
        # Enough tasks to make the start of a worker, 10 ms, negligible.
        count = effort.cycles // 40
        rounds = [[await _rate(codeq, work, count) for work in works] for _ in range(effort.repetitions)]
        busy = await _busy_share(codeq)
        idle = await _idle_share(codeq, effort.parked_seconds)
    bare, worker, bare_loops, slots = map(median, zip(*rounds, strict=True))
    added = median(bare / worker for bare, worker, *_ in rounds) - 1
    ratio = median(slots / bare_loops for *_, bare_loops, slots in rounds)
    return [
        under(
            0.15,
            "time that the client's worker adds to bare claim and complete, 1 slot",
            added,
            remark=f"{worker:,.0f} against {bare:,.0f} tasks a CPU second",
        ),
        at_least(
            1,
            f"tasks that a worker with {_SLOTS} slots ends, against {_SLOTS} loops of bare calls",
            ratio,
            remark=f"{slots:,.0f} against {bare_loops:,.0f} tasks a CPU second",
        ),
        at_least(0.9, f"share of {_SLOTS} slots that are busy while tasks wait, handlers of 0.5 to 1.5 s", busy),
        under(0.01, "an idle worker", idle, " of a core"),
    ]


async def _rate(codeq: CodeQ, work: Work, count: int) -> float:
    """Tasks a CPU second of this process. CPU time is independent of other work on the machine."""
    await _create(codeq, count)
    began = time.process_time()
    await work(codeq)
    return count / (time.process_time() - began)


async def _create(codeq: CodeQ, count: int) -> None:
    await codeq.create_batch(NewTask(command=_COMMAND, payload={"n": n}) for n in range(count))


def _bare_calls(loops: int) -> Work:
    """Claim and complete until no task is left, in this many loops at once."""

    async def loop(codeq: CodeQ) -> None:
        while (task := await codeq.claim([_COMMAND], lease=60)) is not None:
            await codeq.complete(task, _RESULT)

    async def work(codeq: CodeQ) -> None:
        await asyncio.gather(*(loop(codeq) for _ in range(loops)))

    return work


def _worker(concurrency: int) -> Work:
    """The same by a worker."""

    async def work(codeq: CodeQ) -> None:
        worker = Worker(codeq, concurrency=concurrency, lease=60)

        @worker.handler(_COMMAND)
        async def handle(_job: Job[Any]) -> dict[str, bool]:
            return _RESULT

        await worker.run(burst=True, signals=False)

    return work


async def _busy_share(codeq: CodeQ) -> float:
    """The average share of a worker's slots that have a running handler while tasks wait."""
    count, active, begun, seen = _SLOTS * _ROUNDS_OF_SLOTS, 0, 0, []
    worker = Worker(codeq, concurrency=_SLOTS, lease=60)

    @worker.handler(_COMMAND)
    async def handle(job: Job[Any]) -> None:
        nonlocal active, begun
        begun += 1
        active += 1
        await asyncio.sleep(0.5 + job.payload["n"] % _SLOTS / _SLOTS)
        active -= 1

    await _create(codeq, count)
    running = asyncio.create_task(worker.run(burst=True, signals=False))
    while begun < count:
        await asyncio.sleep(_SAMPLED_EVERY)
        seen.append(active)
    await running
    return mean(seen) / _SLOTS


async def _idle_share(codeq: CodeQ, seconds: float) -> float:
    worker = Worker(codeq, concurrency=8, lease=60)

    @worker.handler("NOTHING")
    async def handle(_job: Job[Any]) -> None: ...

    running = asyncio.create_task(worker.run(signals=False))
    await asyncio.sleep(1)
    began = time.process_time()
    await asyncio.sleep(seconds)
    share = (time.process_time() - began) / seconds
    worker.stop()
    await running
    return share
