"""The worker of a run: handlers of 20 to 600 ms, and some of 12 s; a line for each task that left it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from pathlib import Path
from typing import Any

import httpx

from codeq_client import CodeQ, Event, Job, LeaseTerms, TaskEnded, Worker
from codeq_client._worker.result_batches import ResultBatches
from codeq_client.errors import LeaseLost, NotInProgress, NotOwner

LOG = Path(os.environ["CLIENT_LAWS_LOG"])
COMMAND = "CLIENT_LAWS"


def note(event: Event) -> None:
    """Write how a task left the worker. Each line is complete when the worker is killed."""
    if isinstance(event, TaskEnded):
        left = [event.task.id, event.task.attempts, event.settled.value, event.loss.value if event.loss else ""]
        with LOG.open("a", encoding="utf-8") as file:
            file.write(json.dumps(left) + "\n")


def _ignore_fences() -> None:
    LeaseTerms.margin = property(lambda _terms: -1000.0)  # type: ignore[assignment,method-assign]


def _take_refusals_for_success() -> None:
    submit = ResultBatches.submit

    async def never_refused(*arguments: Any) -> None:
        with contextlib.suppress(NotInProgress, NotOwner, LeaseLost):
            await submit(*arguments)

    ResultBatches.submit = never_refused  # type: ignore[assignment,method-assign]


FAULTS = {"fence": _ignore_fences, "refusal": _take_refusals_for_success}


def worker() -> Worker:
    """Return a worker with the engine, the lease and the fault of the run."""
    FAULTS.get(os.environ["CLIENT_LAWS_FAULT"], lambda: None)()
    settings: dict[str, Any] = {}
    if os.environ["CLIENT_LAWS_ENGINE"] == "httpx":
        settings["transport"] = httpx.AsyncHTTPTransport
    terms = LeaseTerms(int(os.environ["CLIENT_LAWS_LEASE"]), store="redis")
    worker = Worker(CodeQ.from_env(**settings), concurrency=16, lease=terms, poll=1, hooks=[note])
    worker.handler(COMMAND)(_handle)
    return worker


async def _handle(job: Job[Any]) -> dict[str, Any]:
    await asyncio.sleep(12 if job.payload["n"] % 20 == 0 else random.uniform(0.02, 0.6))
    return {"task": job.id, "by": LOG.name, "attempts": job.attempts}
