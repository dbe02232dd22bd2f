"""A worker on aiohttp whose tasks sometimes take longer than their lease."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from .api import Charge

LESSON = "Nothing renews the lease of a long task: send heartbeats meanwhile, and charge only while the lease lasts."

LEASE, MARGIN = 60, 2


async def broken(base_url: str, token: str, charge: Charge) -> None:
    await _work(base_url, token, charge, heartbeats=False)


async def right(base_url: str, token: str, charge: Charge) -> None:
    await _work(base_url, token, charge, heartbeats=True)


async def _work(base_url: str, token: str, charge: Charge, *, heartbeats: bool) -> None:
    headers, timeout = {"Authorization": f"Bearer {token}"}, aiohttp.ClientTimeout(total=40)
    async with aiohttp.ClientSession(f"{base_url}/v1/codeq/", headers=headers, timeout=timeout) as http:
        while True:
            try:
                await _work_once(http, charge, heartbeats=heartbeats)
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(1)


async def _work_once(http: aiohttp.ClientSession, charge: Charge, *, heartbeats: bool) -> None:
    now = asyncio.get_running_loop().time
    lease_ends = now() + LEASE
    wanted = {"commands": ["CHARGE"], "leaseSeconds": LEASE, "waitSeconds": 10}
    async with http.post("tasks/claim", json=wanted) as response:
        if response.status != 200:
            await asyncio.sleep(0 if response.status == 204 else 1)
            return
        task = await response.json()
    path, order = f"tasks/{task['id']}", json.loads(task["payload"])["order"]
    rest = random.uniform(20, 90)
    while rest > 0:
        await asyncio.sleep(min(rest, 20))
        rest -= 20
        if heartbeats:
            if now() >= lease_ends - MARGIN:  # a heartbeat would not revive it
                return
            sent = now()
            async with http.post(f"{path}/heartbeat", json={"extendSeconds": LEASE}) as response:
                if response.status != 200:
                    return
            lease_ends = sent + LEASE
    if not heartbeats or now() < lease_ends - MARGIN:
        charge(order, task=task["id"], key=f"order-{order}")
        async with http.post(f"{path}/result", json={"status": "COMPLETED", "result": {"order": order}}):
            pass
