"""Runs actors in real time, each with a connection, on one event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from codeq_contract.driver import Reply, Request
from codeq_contract.driver.plain_connection import Connection
from codeq_contract.driver.requests import signed
from codeq_contract.recorder import Tape

from .actors import Turn
from .scheduler import as_read, as_recorded

T = TypeVar("T")

#: Seconds after which a pausing actor notices an interrupt.
_NOTICE = 0.1


@dataclass(frozen=True)
class RealTimeScheduler:
    """Runs actors, each with its connection, and records what they do.

    `tokens` are the callers by name. `hooks_origin` is the origin of the load's webhook.
    """

    connect: Callable[[], Connection]
    tokens: Mapping[str, str]
    tape: Tape
    hooks_origin: str
    _is_cancelled: threading.Event = field(default_factory=threading.Event)

    def goes_on(self) -> bool:
        """Whether the actors may go on."""
        return not self._is_cancelled.is_set()

    def run(self, actors: Sequence[Generator[Turn, Reply, T]]) -> list[T]:
        """Run all actors to their end. Returns their results in the same order.

        After an interrupt each actor still gets the reply that it waits for, and stops at its next turn.
        """
        # A thread beside this one, which so receives the interrupt at once and can wait for the replies.
        with ThreadPoolExecutor(1, thread_name_prefix="actors") as thread:
            running = thread.submit(_run_on_loop, self._run_all(actors))
            try:
                return running.result()
            except BaseException:
                self._is_cancelled.set()
                raise

    async def _run_all(self, actors: Sequence[Generator[Turn, Reply, T]]) -> list[T]:
        return await asyncio.gather(*(self._run(actor) for actor in actors))

    async def _run(self, actor: Generator[Turn, Reply, T]) -> T:
        connection = self.connect()
        try:
            turn = next(actor)
            while True:
                if turn.pause:
                    await self._pause(turn.pause)
                turn = actor.send(await self._exchange(connection, turn.request))
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            connection.close()

    async def _pause(self, seconds: float) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while self.goes_on() and (left := end - clock()) > 0:  # noqa: ASYNC110 - another thread cancels
            await asyncio.sleep(min(left, _NOTICE))

    async def _exchange(self, connection: Connection, request: Request) -> Reply:
        """Send a request and record it. A request that is broken off has no reply, but may have had its effect."""
        called = self.tape.now()
        reply = Reply(called, called)
        try:
            reply = await connection.exchange(signed(request, self.tokens))
        finally:
            body = None if request.body is None else as_recorded(request.body, self.hooks_origin)
            self.tape.exchanged(
                request.method,
                request.path,
                body,
                identity=request.identity,
                sent=reply.called,
                status=reply.status,
                headers=reply.headers,
                reply=as_recorded(reply.body, self.hooks_origin),
                answered=reply.returned,
            )
        return as_read(reply)


def _run_on_loop(main: Coroutine[object, object, T]) -> T:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - there is none for Windows and PyPy
    except ImportError:
        return None
    return new_event_loop
