"""A worker that claims ten tasks at once, and renews only the lease of the one that it works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .api import Api, charge_order, renewing, work

if TYPE_CHECKING:
    from .api import Charge

LESSON = "The last tasks of a batch wait longer than their lease: renew all of a batch, or claim what you can begin."

COUNT = 10


async def broken(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        while True:
            for task in await api.claim_batch(COUNT):
                async with renewing(api, task):
                    await work()
                    charge(task.order, task=task.id, key=task.key)
                    await api.finish(task)


async def right(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        while True:
            batch = await api.claim_batch(COUNT)
            async with renewing(api, *batch):
                for task in batch:
                    await charge_order(api, task, charge)
