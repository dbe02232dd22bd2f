"""Code of the client's users, for type checkers in their strict modes, as `examples`. It is never run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_type

from codeq_client import (
    Batch,
    BlockingCodeQ,
    CodeQ,
    Command,
    Complete,
    Event,
    Fail,
    Job,
    NewTask,
    Outcome,
    ProcessContext,
    Rate,
    Registry,
    Retry,
    Task,
    TaskEnded,
    Worker,
    current_task,
    in_batches,
    keep_first_result,
)
from codeq_client.schedules import Schedule, Scheduler
from codeq_client.testing import ServerClock, run_one
from codeq_client.webhooks import ResultCallback, WebhookReceiver
from codeq_fake.testing import FakeCodeQ


@dataclass
class Order:
    """What the code under test orders."""

    pages: int


RENDER = Command("RENDER", payload=Order, result=str)
registry = Registry()


@registry.handler(RENDER, pool="process", timeout=60, concurrency=2, rate=Rate(5, seconds=60))
def render(job: Job[Order], task: ProcessContext) -> str:
    """Handle a typed command in a process."""
    task.progress()
    return str(job.payload.pages)


@registry.handler("STORE", payload=Order, priority=2, share=0.5)
async def store(job: Job[Order], *, shelf: list[Order]) -> None:
    """Handle a task with a dependency."""
    shelf.append(job.payload)


@registry.handler("INDEX", payload=Order, result=int)
@in_batches(50, within=0.5)
async def index(jobs: Sequence[Job[Order]]) -> list[int | Fail]:
    """Handle several jobs, with one result or outcome for each."""
    return [job.payload.pages or Fail("empty") for job in jobs]


@registry.handler("SHELVE", payload=Order, result=int)
@in_batches(50)
async def shelve(jobs: Sequence[Job[Order]], *, shelf: list[Order]) -> list[int]:
    """Handle several jobs with a dependency."""
    shelf.extend(job.payload for job in jobs)
    return [len(shelf)] * len(jobs)


@registry.handler("INDEX_TEXTS", payload=Order, result=str)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
@in_batches(50)
async def wrong_batch(jobs: Sequence[Job[Order]]) -> list[int]:
    """Return numbers where the handler promises texts."""
    return [job.payload.pages for job in jobs]


async def produce_typed(client: CodeQ) -> None:
    """Create tasks of a typed command, at once and by a schedule."""
    assert_type(await client.create(RENDER, Order(3), priority=9), Task)
    assert_type(await client.create("RENDER", {}), Task)
    assert_type(await client.create_batch([RENDER.task(Order(4), delay=5)]), Batch[Task])
    assert_type(await client.wait_for_result("id", kind=RENDER.result), str)
    assert_type(await client.recreate("id"), Task)
    RENDER.task("four")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await Scheduler(client, [Schedule(name="nightly", command=RENDER, cron="0 3 * * *", payload=Order(1))]).run()


def produce(client: BlockingCodeQ) -> None:
    task = client.create("RENDER", Order(3), delay=timedelta(minutes=1), idempotency_key="order-3")
    assert_type(task, Task)
    assert_type(client.create_batch([NewTask(command="RENDER", payload=Order(4))]), Batch[Task])
    assert_type(client.claim(["RENDER"], lease=60), Task | None)
    client.create("RENDER", Order(3), after=60)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.nack(task, pause=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def work(client: CodeQ) -> None:
    worker = Worker(client, concurrency=3, hooks=[count], middleware=[keep_first_result(client)])

    @worker.handler("RENDER", payload=Order)
    async def render(job: Job[Order]) -> dict[str, int]:
        if job.attempts > 1:
            raise Fail("no ink")
        raise Retry(delay=job.payload.pages)

    @worker.handler("PRINT")
    def plain(job: Job[Order]) -> dict[str, int]:
        return {"pages": job.payload.pages if current_task.get() is not None else 0}

    assert_type(await run_one(worker, "RENDER", Order(3)), Complete | Outcome)
    assert_type(await run_one(plain, Order(3)), Complete | Outcome)
    assert_type(await client.wait_for_result("id", timeout=5, kind=Order), Order)
    assert render is not None


def count(event: Event) -> None:
    if isinstance(event, TaskEnded):
        assert_type(event.task, Task)


async def receive(callback: ResultCallback) -> None:
    assert_type(callback.record.result_as(Order), Order)


def connect(codeq: FakeCodeQ, receiver: WebhookReceiver) -> CodeQ:
    receiver.on_result(receive)
    token = codeq.tokens["worker"]
    return CodeQ(codeq.url, worker_token=token, transport=codeq.transport(), clock=ServerClock(codeq.time, codeq.sleep))
