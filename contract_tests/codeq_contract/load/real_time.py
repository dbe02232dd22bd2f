"""Runs actors in real time, each with a connection, on one event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from codeq_contract.driver import Reply, Request
from codeq_contract.driver.plain_connection import Connection
from codeq_contract.driver.requests import signed
from codeq_contract.recorder import Tape
from codeq_contract.recorder.tape import reply_headers
from codeq_contract.recordings.format import Call

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
        """As `run`, on the event loop. An error of one actor stops all."""
        loop = asyncio.get_running_loop()
        runs = [_ActorRun(self, actor, loop) for actor in actors]
        loop.set_exception_handler(partial(_fail, [each.over for each in runs]))
        for each in runs:
            each.go_on()
        try:
            return await asyncio.gather(*(each.over for each in runs))
        finally:
            for each in runs:
                each.end()

    def record(self, request: Request, reply: Reply) -> None:
        """Record a request and its reply."""
        self.tape.record_call(
            Call(
                self.tape.next_number(),
                reply.called,
                reply.returned,
                request.identity,
                request.method,
                request.path,
                {},
                None if request.body is None else as_recorded(request.body, self.hooks_origin),
                reply.status,
                reply_headers(reply.headers),
                as_recorded(reply.body, self.hooks_origin),
            )
        )


class _ActorRun(Generic[T]):
    """An actor and its connection. Each reply leads to the next request at once, without a task of the event loop.

    `over` has the result of the actor, or its error.
    """

    def __init__(
        self, scheduler: RealTimeScheduler, actor: Generator[Turn, Reply, T], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._scheduler = scheduler
        self._actor = actor
        self._loop = loop
        self._connection = scheduler.connect()
        self.over: asyncio.Future[T] = loop.create_future()
        #: What it waits for: the end of a pause, or a reply since a moment of the tape.
        self._timer: asyncio.TimerHandle | None = None
        self._turn: Turn | None = None
        self._called = 0

    def go_on(self, reply: Reply | None = None) -> None:
        """Take the next turn of the actor, after the reply to the last one."""
        try:
            turn = next(self._actor) if reply is None else self._actor.send(reply)
            if turn.pause:
                self._pause(turn, until=self._loop.time() + turn.pause)
            else:
                self._send(turn)
        except StopIteration as end:
            self.end()
            self.over.set_result(end.value)
        except Exception as error:  # noqa: BLE001 - it is raised where the actors are run
            self.end()
            self.over.set_exception(error)

    def end(self) -> None:
        """Stop the actor: cancel its pause, and close its connection. May be called again.

        A request under way is recorded without a reply, since the server may have carried it out.
        """
        if self._timer is not None:
            self._timer.cancel()
        self._connection.close()
        if self._turn is not None:
            self._scheduler.record(self._turn.request, Reply(self._called, self._called))
            self._turn = None

    def _pause(self, turn: Turn, until: float) -> None:
        left = until - self._loop.time()
        if left > 0 and self._scheduler.goes_on():
            # In short parts, since another thread may end the load meanwhile.
            self._timer = self._loop.call_later(min(left, _NOTICE), self._pause, turn, until)
        else:
            self._timer = None
            self._send(turn)

    def _send(self, turn: Turn) -> None:
        sent = signed(turn.request, self._scheduler.tokens)
        self._turn, self._called = turn, self._scheduler.tape.now()
        self._connection.send(sent, self._take)

    def _take(self, reply: Reply) -> None:
        """Record the reply, and go on with it."""
        turn, self._turn = self._turn, None
        if turn is not None:
            self._scheduler.record(turn.request, reply)
            self.go_on(as_read(reply) if turn.is_read else reply)


def _fail(overs: Sequence[asyncio.Future[Any]], loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """End all actors by an error that the event loop met: those that it hit would never go on."""
    error = context.get("exception")
    if error is None:
        loop.default_exception_handler(context)
        return
    for over in overs:
        if not over.done():
            over.set_exception(error)


def _run_on_loop(main: Coroutine[object, object, T]) -> T:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - there is none for Windows and PyPy
    except ImportError:
        return None
    return new_event_loop
