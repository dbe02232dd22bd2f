"""How one worker run stops: no more claims, then a grace for the running handlers, then their tasks are given back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from codeq_client._api.clock import sleep_or

from .delivery import SETTLE_SECONDS, DeliveryContext
from .lease_timing import End
from .slots import Slots

_log = logging.getLogger("codeq_client.worker")


class Stopping:
    """The stop of one worker run. `poll` is how long a claim waits, and `grace` how long handlers run on (seconds)."""

    def __init__(self, context: DeliveryContext, slots: Slots, *, poll: float, grace: float) -> None:
        self._context = context
        self._clock = context.codeq.core.clock
        self._slots = slots
        self._poll = poll
        self._grace = grace
        self._requested = asyncio.Event()
        self._claims = anyio.CancelScope()
        self._claims_ended = asyncio.Event()

    @property
    def is_requested(self) -> bool:
        """Whether no more tasks are to be claimed."""
        return self._requested.is_set()

    def request(self) -> None:
        """Let the run stop. The open claim is not cancelled: the server might lease a task that no worker handles."""
        if not self.is_requested:
            _log.info(
                "stopping: %d tasks run on for up to %g s; tasks of the open claim are given back",
                self._slots.used,
                self._grace,
            )
        self._requested.set()

    async def wait(self) -> None:
        """Wait until the run is to stop."""
        await self._requested.wait()

    @contextmanager
    def claims(self) -> Iterator[None]:
        """Around all claims of the run: they are cancelled if they have not ended when the tasks are given back."""
        with self._claims:
            yield
        self._claims_ended.set()

    async def end_after_grace(self) -> None:
        """When the run is to stop, wait for the grace, then end the handlers that still run."""
        await self.wait()
        await self._clock.sleep(self._grace)
        # The open poll would claim the tasks that are abandoned now, so wait for it; but not for ever.
        longest = self._poll + SETTLE_SECONDS - self._grace
        await sleep_or(self._clock, max(0, longest), self._claims_ended.wait)
        self._claims.cancel()
        self._context.settle_deadline = self._clock.monotonic() + SETTLE_SECONDS
        for delivery in self._slots.deliveries():
            delivery.end(End.SHUTDOWN)
