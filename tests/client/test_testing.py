"""`run_one`: one handler without a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from codeq_client import (
    Abandon,
    CodeQ,
    Complete,
    Fail,
    Job,
    Next,
    Retry,
    TaskContext,
    Worker,
)
from codeq_client.errors import ConfigurationError
from codeq_client.testing import run_one


@dataclass
class Order:
    number: int


def worker_of(handler: Any, **options: Any) -> Worker:
    worker = Worker(CodeQ("http://a.test", worker_token="w"))
    worker.handler("X", **options)(handler)
    return worker


def test_one_handler_runs_without_a_server() -> None:
    async def work(job: Job[Any], task: TaskContext) -> Any:
        async with task.guard(20):
            return [job.payload, task.state, job.attempts]

    outcome = asyncio.run(run_one(worker_of(work), "x", {"n": (1, 2)}, attempts=3, state="pool"))
    assert outcome == Complete([{"n": [1, 2]}, "pool", 3])


def test_one_handler_runs_without_a_worker() -> None:
    order = Order(7)

    async def work(job: Job[Order], task: TaskContext) -> int:
        assert job.payload is order
        assert (job.is_last, task.state) == (True, "pool")
        return job.payload.number

    def plain(job: Job[Order]) -> int:
        raise OSError(job.payload.number)

    assert asyncio.run(run_one(work, order, attempts=4, state="pool")) == Complete(7)
    failed = asyncio.run(run_one(plain, order))
    assert isinstance(failed, Retry)
    assert failed.reason == "OSError: 7"


def test_one_handlers_policy_and_middleware_count_too() -> None:
    async def broken(_job: Job[Any]) -> None:
        raise OSError("disk full")

    async def busy(_job: Job[Any]) -> None:
        raise Abandon

    retry = asyncio.run(run_one(worker_of(broken, backoff=lambda _task: 7), "X", {}))
    assert isinstance(retry, Retry)
    assert (retry.delay, retry.reason) == (7, "OSError: disk full")
    fail = asyncio.run(run_one(worker_of(broken, permanent=(OSError,)), "X", {}))
    assert isinstance(fail, Fail)
    assert isinstance(asyncio.run(run_one(worker_of(busy), "X", {})), Abandon)
    worker = worker_of(broken)

    @worker.middleware
    async def instead(job: Job[Any], task: TaskContext, call_next: Next) -> str:
        with pytest.raises(OSError, match="disk full"):
            await call_next(job, task)
        return "instead"

    assert asyncio.run(run_one(worker, "X", {})) == Complete("instead")
    with pytest.raises(ConfigurationError):
        asyncio.run(run_one(worker, "Y", {}))
