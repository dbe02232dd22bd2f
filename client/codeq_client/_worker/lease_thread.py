"""Where the lease loop runs: on a thread with connections of its own, or within the worker's loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.from_thread import start_blocking_portal

from codeq_client._api import calls

from .events import Event
from .lease_renewal import Call, Keeper

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from codeq_client._api.client import CodeQ

    from .lease import LeaseTerms
    from .loop_monitor import LoopWatch

Emit = Callable[[Event], None]


async def _renew(codeq: CodeQ, terms: LeaseTerms, task_id: str) -> None:
    call = calls.heartbeat(task_id, extend=terms.seconds)  # H1: a heartbeat can shorten, so it asks for a whole lease
    await codeq.run(codeq.core.send(call, retries=0, timeout=terms.renewal_timeout))


def _at_once(call: Call) -> None:
    call()


@asynccontextmanager
async def in_loop(codeq: CodeQ, terms: LeaseTerms, emit: Emit) -> AsyncIterator[Keeper]:
    """Run the lease loop as a task of the worker's loop."""
    async with anyio.create_task_group() as group:
        keeper = Keeper(partial(_renew, codeq, terms), codeq.core.clock, emit, post=_at_once, wake=_at_once)
        group.start_soon(keeper.keep)
        yield keeper
        group.cancel_scope.cancel()


@asynccontextmanager
async def on_thread(codeq: CodeQ, terms: LeaseTerms, emit: Emit, watch: LoopWatch) -> AsyncIterator[Keeper]:
    """Run the lease loop, and the watch on the worker's loop, on a thread of their own."""
    post = asyncio.get_running_loop().call_soon_threadsafe

    async def main(*, task_status: TaskStatus[Keeper]) -> None:
        wake = asyncio.get_running_loop().call_soon_threadsafe
        async with codeq.twin() as own, anyio.create_task_group() as group:
            keeper = Keeper(partial(_renew, own, terms), codeq.core.clock, emit, post=post, wake=wake)
            group.start_soon(watch.run, post)
            task_status.started(keeper)
            await keeper.keep()

    with start_blocking_portal(name="codeq-leases") as portal:
        future, keeper = portal.start_task(main)
        try:
            yield keeper
        finally:
            future.cancel()
