"""A producer that repeats a create until it is answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .api import COMMAND, Api

if TYPE_CHECKING:
    from .api import Charge

LESSON = (
    "A create whose reply was lost has made a task, and the next one makes another: repeat it with an idempotencyKey."
)

ORDERS = 20


async def broken(base_url: str, token: str, charge: Charge) -> None:  # noqa: ARG001 - as all programs of the gallery
    async with Api(base_url, token) as api:
        for order in range(ORDERS):
            while await api.ask("/tasks", command=COMMAND, payload={"order": order}, maxAttempts=50) is None:
                await asyncio.sleep(1)
            await asyncio.sleep(5)


async def right(base_url: str, token: str, charge: Charge) -> None:  # noqa: ARG001 - as above
    async with Api(base_url, token) as api:
        for order in range(ORDERS):
            fields = {"payload": {"order": order}, "idempotencyKey": f"order-{order}"}
            while await api.ask("/tasks", command=COMMAND, maxAttempts=50, **fields) is None:
                await asyncio.sleep(1)
            await asyncio.sleep(5)
