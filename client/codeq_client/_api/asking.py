"""Asks token providers for one event loop: a plain one on a thread, and each but once at a time."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from codeq_client.errors import Unavailable

if TYPE_CHECKING:
    from .tokens import TokenProvider


class Asker:
    """Callers who ask a provider while it is being asked get the same answer; it has `timeout` seconds.

    A plain callable blocks no loop, unless `threads` is False: on a test's clock time would pass it by.
    """

    def __init__(self, *, timeout: float, threads: bool) -> None:
        self._timeout = timeout
        self._threads = threads
        self._under_way: dict[int, asyncio.Task[str]] = {}

    def twin(self) -> Asker:
        """Return one for another event loop."""
        return Asker(timeout=self._timeout, threads=self._threads)

    async def ask(self, provider: TokenProvider) -> str:
        """Return the provider's answer; raises `Unavailable` for its errors, and when it takes too long."""
        key = id(provider)  # it need not be hashable, and outlives its asking
        asking = self._under_way.get(key)
        if asking is None:
            asking = self._under_way[key] = asyncio.create_task(self._ask(provider))
            asking.add_done_callback(lambda done: self._note(key, done))
        return await asyncio.shield(asking)  # a caller that is cancelled leaves the others their answer

    def _note(self, key: int, done: asyncio.Task[str]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # it is told to those who wait; asyncio would warn when there are none left

    async def _ask(self, provider: TokenProvider) -> str:
        try:
            async with asyncio.timeout(self._timeout):
                token = await self._called(provider)
                return str(await token if inspect.isawaitable(token) else token)
        except Exception as error:
            raise Unavailable(f"the token provider failed: {error!r}", sent=False) from error

    async def _called(self, provider: TokenProvider) -> Any:  # noqa: ANN401  # a text, or what can be awaited for one
        call: Any = getattr(provider, "__call__", None)  # noqa: B004  # an object's call may be a coroutine function
        if inspect.iscoroutinefunction(provider) or inspect.iscoroutinefunction(call) or not self._threads:
            return provider()
        return await to_thread.run_sync(provider, abandon_on_cancel=True)
