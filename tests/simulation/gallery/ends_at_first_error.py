"""A worker whose loop lets each error of the server out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .api import COMMAND, LEASE, Api, charge_order, charge_orders, task_of

if TYPE_CHECKING:
    from .api import Charge

LESSON = "One 500 or 502 ended the worker for good: answer an outage with a pause and another try."


async def broken(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        while True:
            sent = asyncio.get_running_loop().time()
            response = await api.post("/tasks/claim", commands=[COMMAND], leaseSeconds=LEASE, waitSeconds=10)
            response.raise_for_status()
            if response.status_code == 200:
                await charge_order(api, task_of(response.json(), sent + LEASE), charge)


async def right(base_url: str, token: str, charge: Charge) -> None:
    await charge_orders(base_url, token, charge)
