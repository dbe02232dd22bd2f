"""The CPU time of a create through the clients of a fake in this process, against httpx on simple applications."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING

import httpx

from codeq_fake.testing import FakeCodeQ

from . import echo
from .driver import TASK, TASKS_PATH
from .rows import under

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from wsgiref.types import StartResponse, WSGIEnvironment

    from .effort import Effort
    from .rows import Row

_CREATES = 100
_URL = "http://echo.test"


def measure(effort: Effort) -> list[Row]:
    """The rows. In each round both clients take turns."""
    with (
        FakeCodeQ() as codeq,
        codeq.client() as ours,
        httpx.Client(transport=httpx.WSGITransport(_answer), base_url=_URL) as bare,
    ):
        blocking = [(_posts(ours, TASKS_PATH), _posts(bare, TASKS_PATH)) for _ in range(effort.rounds)]
    return [
        _row(1.2, "a create through codeq.client(), against httpx.Client on a WSGI application", blocking),
        _row(
            1.0,
            "a create through codeq.async_client(), against httpx.AsyncClient on a Starlette echo",
            asyncio.run(_asynchronous(effort.rounds)),
        ),
    ]


def _answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The simplest application that reads its request."""
    environ["wsgi.input"].read()
    start_response("202 Accepted", [("content-type", "application/json")])
    return [b"{}"]


async def _asynchronous(rounds: int) -> list[tuple[float, float]]:
    async with (
        FakeCodeQ().async_client() as ours,
        httpx.AsyncClient(transport=httpx.ASGITransport(echo.app), base_url=_URL) as bare,
    ):
        return [(await _async_posts(ours, TASKS_PATH), await _async_posts(bare, echo.PATH)) for _ in range(rounds)]


def _posts(client: httpx.Client, path: str) -> float:
    """The CPU seconds of some posts."""
    start = time.process_time()
    for _ in range(_CREATES):
        client.post(path, json=TASK).raise_for_status()
    return time.process_time() - start


async def _async_posts(client: httpx.AsyncClient, path: str) -> float:
    start = time.process_time()
    for _ in range(_CREATES):
        (await client.post(path, json=TASK)).raise_for_status()
    return time.process_time() - start


def _row(bound: float, what: str, rounds: Sequence[tuple[float, float]]) -> Row:
    ours, bare = (median(times) / _CREATES * 1e6 for times in zip(*rounds, strict=True))
    ratio = median(our / their for our, their in rounds)
    return under(bound, what, ratio, remark=f"{ours:.0f} against {bare:.0f} µs of CPU")
