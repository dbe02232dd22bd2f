"""The client's worker against a bare loop of aiohttp: cost and latency of a task, busy slots, and bulk creation."""

from __future__ import annotations

import asyncio
import json
import time
from statistics import mean, median
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp

from codeq_client import CodeQ, NewTask, TaskEnded, Worker

from .rows import at_least, under
from .servers import fake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codeq_client import Event, Job

    from .effort import Effort
    from .rows import Row

    Work = Callable[[CodeQ], Awaitable[None]]

_TOKEN = "dev-token"  # noqa: S105 - a token of a fake, no secret
_COMMAND = "BENCH"
_CREATED = "CREATED"
_HEADERS = {"authorization": f"Bearer {_TOKEN}", "content-type": "application/json"}
_SLOTS = 32
_MANY_SLOTS = 300
_BATCH = 100
_BULK = 100_000
_ROUNDS_OF_CREATION = 3
_ROUNDS_OF_SLOTS = 5
_LONE_TASKS = 200
_SAMPLED_EVERY = 0.02
_RESULT = {"ok": True}


def measure(effort: Effort) -> list[Row]:
    """The client's rows."""
    with fake() as server:
        return asyncio.run(_measure(server.url, effort))


async def _measure(url: str, effort: Effort) -> list[Row]:
    async with CodeQ(url, producer_token=_TOKEN, worker_token=_TOKEN) as codeq:
        works: tuple[Work, ...] = (
            _bare_loops(1),
            _worker(1),
            _bare_loops(_SLOTS),
            _worker(_SLOTS),
            _worker(_MANY_SLOTS),
        )
        # Enough tasks to make the start of a worker, 10 ms, negligible.
        count = effort.cycles // 20
        rounds = [[await _rate(codeq, work, count) for work in works] for _ in range(effort.repetitions)]
        created = await _creation_ratios(codeq, effort)
        latency = await _lone_latency(codeq)
        busy = await _busy_share(codeq)
        idle = await _idle_share(codeq, effort.parked_seconds)
    bare, worker, bare_loops, slots, many = map(median, zip(*rounds, strict=True))
    return [
        at_least(
            0.4,
            "tasks that a worker with 1 slot ends, against a bare loop of aiohttp",
            median(worker / bare for bare, worker, *_ in rounds),
            remark=f"{worker:,.0f} against {bare:,.0f} tasks a CPU second",
        ),
        at_least(
            0.8,
            f"tasks that a worker with {_SLOTS} slots ends, against {_SLOTS} bare loops of aiohttp",
            median(slots / bare_loops for _, _, bare_loops, slots, _ in rounds),
            remark=f"{slots:,.0f} against {bare_loops:,.0f} tasks a CPU second",
        ),
        at_least(
            0.9,
            f"tasks that a worker with {_MANY_SLOTS} slots ends, against one with {_SLOTS}",
            median(many / slots for *_, slots, many in rounds),
            remark=f"{many:,.0f} against {slots:,.0f} tasks a CPU second",
        ),
        at_least(
            0.9,
            f"tasks that a worker with {_MANY_SLOTS} slots ends, against one with 1",
            median(many / worker for _, worker, *_, many in rounds),
            remark=f"{many:,.0f} against {worker:,.0f} tasks a CPU second",
        ),
        under(
            1.15,
            f"time of a lone task, {_SLOTS} slots, against a worker that sends each result alone",
            latency,
            remark=f"from the reply to its creation to its end, median of {_LONE_TASKS}",
        ),
        under(
            1.5,
            "time of create_batch, against a bare loop of aiohttp",
            median(created),
            remark=f"{min(_BULK, effort.waiting):,} tasks, with a progress callback",
        ),
        at_least(0.9, f"share of {_SLOTS} slots that are busy while tasks wait, handlers of 0.5 to 1.5 s", busy),
        under(0.01, "an idle worker", idle, " of a core"),
    ]


async def _creation_ratios(codeq: CodeQ, effort: Effort) -> list[float]:
    """How much longer `create_batch` takes than bare calls for the same tasks, round by round."""
    count = min(_BULK, effort.waiting)
    ratios = []
    for _ in range(_ROUNDS_OF_CREATION):
        began = time.perf_counter()
        async with aiohttp.ClientSession(codeq.base_url, headers=_HEADERS) as session:
            for start in range(0, count, _BATCH):
                tasks = [
                    {"command": _CREATED, "payload": {"n": n}, "idempotencyKey": str(uuid4())}
                    for n in range(start, start + _BATCH)
                ]
                await _post(session, "/v1/codeq/tasks/batch", {"tasks": tasks})
        bare = time.perf_counter() - began
        new = [NewTask(command=_CREATED, payload={"n": n}) for n in range(count)]
        began = time.perf_counter()
        await codeq.create_batch(new, progress=_ignore)
        ratios.append((time.perf_counter() - began) / bare)
    return ratios


async def _rate(codeq: CodeQ, work: Work, count: int) -> float:
    """Tasks a CPU second of this process. CPU time is independent of other work on the machine."""
    await _create(codeq, count)
    began = time.process_time()
    await work(codeq)
    return count / (time.process_time() - began)


async def _create(codeq: CodeQ, count: int) -> None:
    await codeq.create_batch(NewTask(command=_COMMAND, payload={"n": n}) for n in range(count))


def _ignore(_done: int, _total: int) -> None:
    """A callback for progress."""


def _bare_loops(loops: int) -> Work:
    """Claim and complete by bare calls of aiohttp until no task is left, in this many loops at once."""

    async def loop(session: aiohttp.ClientSession) -> None:
        claim = {"commands": [_COMMAND], "leaseSeconds": 60, "waitSeconds": 0}
        while (task := await _post(session, "/v1/codeq/tasks/claim", claim)) is not None:
            result = {"status": "COMPLETED", "result": _RESULT}
            await _post(session, f"/v1/codeq/tasks/{task['id']}/result", result)

    async def work(codeq: CodeQ) -> None:
        async with aiohttp.ClientSession(codeq.base_url, headers=_HEADERS) as session:
            await asyncio.gather(*(loop(session) for _ in range(loops)))

    return work


async def _post(session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    async with session.post(path, data=json.dumps(body)) as response:
        content = await response.read()
    return json.loads(content) if content else None


def _worker(concurrency: int) -> Work:
    """The same by a worker."""

    async def work(codeq: CodeQ) -> None:
        worker = Worker(codeq, concurrency=concurrency, lease=60)

        @worker.handler(_COMMAND)
        async def handle(_job: Job[Any]) -> dict[str, bool]:
            return _RESULT

        await worker.run(burst=True, signals=False)

    return work


async def _lone_latency(codeq: CodeQ) -> float:
    """How much longer a task takes that comes to an idle worker, if the worker may batch results."""
    ended = asyncio.Event()
    workers = [_lone_worker(codeq, ended, batch_results=batch) for batch in (True, False)]
    runs = [asyncio.create_task(worker.run(signals=False)) for worker in workers]
    seconds: list[list[float]] = [[], []]
    for _ in range(_LONE_TASKS):
        for worker, found in zip(workers, seconds, strict=True):
            await asyncio.sleep(_SAMPLED_EVERY)  # until the worker polls again
            ended.clear()
            await codeq.create(worker.commands[0], {})
            began = time.perf_counter()
            await ended.wait()
            found.append(time.perf_counter() - began)
    for worker in workers:
        worker.stop()
    await asyncio.gather(*runs)
    batching, alone = map(median, seconds)
    return batching / alone


def _lone_worker(codeq: CodeQ, ended: asyncio.Event, *, batch_results: bool) -> Worker:
    def note(event: Event) -> None:
        if isinstance(event, TaskEnded):
            ended.set()

    worker = Worker(codeq, concurrency=_SLOTS, poll=1, hooks=[note], batch_results=batch_results)

    @worker.handler(f"LONE_{batch_results}".upper())
    async def handle(_job: Job[Any]) -> dict[str, bool]:
        return _RESULT

    return worker


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
