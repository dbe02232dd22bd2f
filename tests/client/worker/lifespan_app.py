"""A web application whose lifespan runs a worker, for uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from tests.client.worker.app import make


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
    worker = make()
    async with worker.codeq:
        run = asyncio.create_task(worker.run())
        yield
        worker.stop()
        await run


app = Starlette(lifespan=lifespan)
