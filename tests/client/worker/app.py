"""A worker as a user would write it, for the tests that run it in separate processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio

from codeq_client import CodeQ, Job, SystemClock, Worker


def note(line: str) -> None:
    with Path(os.environ["STARTED"]).open("a") as log:
        log.write(line)


def make() -> Worker:
    codeq = CodeQ.from_env()
    worker = Worker(codeq, concurrency=4, lease=5, poll=1, grace=3)

    @worker.handler("X")
    async def work(job: Job[Any]) -> dict[str, int]:
        note(f"{os.getpid()} {job.id}\n")
        # Blocks the event loop on purpose.
        SystemClock().sleep_blocking(job.payload.get("blocks", 0))
        await anyio.sleep(job.payload["seconds"])
        return {"n": job.payload["n"]}

    return worker
