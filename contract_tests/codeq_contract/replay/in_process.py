"""Replays on a fake in this process: the one module that knows the fake, by its public door."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import anyio
import httpx

from codeq_contract.driver.hooks import ORIGIN, Hooks
from codeq_contract.replay.control import Configuration, Control
from codeq_contract.replay.servers import Session
from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from codeq_contract.recordings.format import Recording


@dataclass(frozen=True, slots=True)
class InProcessTarget:
    """A fresh fake for each recording, reached without a socket."""

    @asynccontextmanager
    async def open(self, configuration: Configuration, recording: Recording) -> AsyncIterator[Session]:
        """Make a fake by `configuration`, with its webhook mounted at the recorded origin."""

        async def clock() -> int:
            return await control.now()

        hooks = Hooks(recording.callbacks, clock)
        fake = FakeCodeQ(**asdict(configuration), webhooks={ORIGIN: hooks})
        transport = httpx.ASGITransport(fake.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://fake.test") as http:
            control = Control(http)
            yield Session(http, control, hooks, ORIGIN, _Sender(http).start)


@dataclass(frozen=True, slots=True)
class _Sender:
    http: httpx.AsyncClient

    async def start(self, request: httpx.Request) -> asyncio.Task[httpx.Response]:
        """Send `request` and let it get as far as it goes without time passing."""
        answer = asyncio.create_task(self.http.send(request))
        # One turn of the loop mostly does, which spares the wait between two looks at the tasks: 0.1 s.
        await asyncio.sleep(0)
        await anyio.wait_all_tasks_blocked()
        return answer
