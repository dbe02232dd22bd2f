"""A receiver of callbacks that charges at each delivery."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from .api import Charge

LESSON = "A callback whose reply is lost comes again: act on a result once, with a key of the task."

PORT = 8000


async def broken(base_url: str, token: str, charge: Charge) -> None:  # noqa: ARG001 - as all programs of the gallery
    await _receive(charge, with_key=False)


async def right(base_url: str, token: str, charge: Charge) -> None:  # noqa: ARG001 - as above
    await _receive(charge, with_key=True)


async def _receive(charge: Charge, *, with_key: bool) -> None:
    async def receive(request: web.Request) -> web.Response:
        result = await request.json()
        charge(result["result"]["order"], task=result["taskId"], key=result["taskId"] if with_key else "")
        await asyncio.sleep(1)  # writes the receipt
        return web.Response()

    application = web.Application()
    application.router.add_post("/done", receive)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", PORT).start()  # noqa: S104 - in its container
    await asyncio.Event().wait()
