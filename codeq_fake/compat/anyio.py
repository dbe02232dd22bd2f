"""Insides of anyio: which of its worker threads work, and how the answer of a worker process is read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from anyio import to_process
from anyio.streams.buffered import BufferedByteReceiveStream

T = TypeVar("T")


def works_for(thread: threading.Thread, loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is a worker thread of anyio that runs something for a task of this loop."""
    idle = getattr(thread, "idle_workers", None)
    return idle is not None and getattr(thread, "loop", None) is loop and thread not in idle


async def run_in_process(function: Callable[..., T], *args: object) -> T:
    """As `to_process.run_sync`, but the answer is not copied: each copy of 60 MB holds up the event loop for 50 ms."""
    vars(to_process)["BufferedByteReceiveStream"] = _Uncopied
    return await to_process.run_sync(function, *args)


class _Uncopied(BufferedByteReceiveStream):
    """Returns its buffer itself, where anyio copies it twice. There is nothing in it but the one answer."""

    async def receive_exactly(self, nbytes: int) -> bytes:
        while len(self._buffer) < nbytes:
            self._buffer.extend(await self.receive_stream.receive(nbytes - len(self._buffer)))  # type: ignore[call-arg]
        whole, self._buffer = self._buffer, bytearray()
        return whole  # type: ignore[return-value]  # only read from, as bytes would be
