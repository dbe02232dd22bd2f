"""Coroutines that become a task only where they wait. Most requests never wait, and to create a task costs time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


def begin(coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
    """Run a coroutine until it ends or waits. Returns the task that goes on with it, None if it has ended.

    Until it waits there is no current task, which `asyncio.timeout` and anyio need: before them it has to wait for
    something, such as `asyncio.sleep(0)`.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    return loop.create_task(_Rest(coroutine, awaited))


class _Rest(Coroutine[Any, Any, None]):
    """What is left of a coroutine that waits. It waits for the same thing, and then runs the coroutine.

    A class and not an `async def`: a task that is cancelled before its first step would never run the body of that, and
    the coroutine in it would not learn of the cancellation.
    """

    def __init__(self, begun: Coroutine[Any, Any, None], awaited: object) -> None:
        self._begun = begun
        #: What the coroutine waits for, until the task has got it.
        self._not_awaited = [awaited]

    def send(self, value: object) -> object:
        """Wait, or go on with what it has waited for."""
        return self._not_awaited.pop() if self._not_awaited else self._begun.send(value)

    def throw(self, *error: Any) -> object:
        """Go on with an error."""
        self._not_awaited.clear()
        return self._begun.throw(*error)

    def close(self) -> None:
        """End the coroutine where it waits."""
        self._begun.close()

    def __await__(self) -> Generator[Any, Any, None]:
        """Only a task runs it."""
        raise NotImplementedError
