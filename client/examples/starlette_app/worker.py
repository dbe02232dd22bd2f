"""The worker for both commands. Start it with `codeq-worker run starlette_app.worker:make`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codeq_client import CodeQ, Fail, Job, Retry, TaskContext, Worker

from .settings import environment

LEASE_SECONDS = 120  # renewed every 36 to 40 s
POLL_SECONDS = 10
STEPS = 5


@dataclass(frozen=True)
class MasterOrder:
    """The payload of GENERATE_MASTER."""

    jobId: str  # noqa: N815  # the field's name in the payload


@dataclass(frozen=True)
class Master:
    """The result of GENERATE_MASTER."""

    jobId: str  # noqa: N815  # the name in the payload
    url: str


def make(codeq: CodeQ | None = None) -> Worker:
    """Return the worker, by default with a client configured by the environment."""
    worker = Worker(
        codeq or CodeQ.from_env(environment()), concurrency=4, lease=LEASE_SECONDS, poll=POLL_SECONDS, grace=20
    )

    @worker.handler("GENERATE_MASTER", payload=MasterOrder, result=Master)
    async def generate_master(job: Job[MasterOrder], task: TaskContext) -> Master:
        """Render in steps. Meanwhile the lease is renewed; a shutdown that cannot wait gives the task back."""
        order = job.payload
        if order.jobId.startswith("bad"):
            raise Fail(f"there is no job {order.jobId}")  # permanently: trying again would not help
        if order.jobId.startswith("busy") and not job.is_last:
            raise Retry(delay=5, reason="the studio is busy")
        for step in range(STEPS):
            await task.sleep(0.2)  # the rendering
            task.log.info("step %d of %d", step + 1, STEPS)
            task.progress()
        return Master(order.jobId, f"https://masters.example.com/{order.jobId}.mp4")

    @worker.handler("GENERATE_CREATIVE", permanent=(KeyError, ValueError))
    async def generate_creative(job: Job[dict[str, Any]]) -> dict[str, Any]:
        """Fail permanently on a payload without `template` (a KeyError); any other error is retried."""
        return {"creative": f"{job.payload['template']} in {job.payload.get('format', 'square')}"}

    return worker
