"""The asynchronous client `CodeQ`: performs the steps of each call (see `sending`)."""

from __future__ import annotations

import asyncio
import functools
import os
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

import httpx

from codeq_client.errors import CodeQError

from . import operations, result_waiting
from .base_client import BaseClient
from .calls import Reply
from .clock import sleep_or
from .connections import HttpxConnections
from .exchanges import proxy_for
from .sending import Core, FetchToken, Flow, Pause, Send, Step
from .tokens import TokenFetcher

if TYPE_CHECKING:
    from .aiohttp_connections import AiohttpConnections

P = ParamSpec("P")
T = TypeVar("T")

Transport: TypeAlias = httpx.AsyncBaseTransport | Callable[[], httpx.AsyncBaseTransport]


class _OtherLoop:
    """Stands for an event loop that is not asyncio's, as a key that can be referenced weakly."""


_OTHER_LOOP = _OtherLoop()

_ITERATIONS = 5
"""After how many iterations of the event loop a request is on its way, with either engine."""


def _current_loop() -> object:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return _OTHER_LOOP


class _CallLater:
    """A call of a function after some iterations of the event loop. A timer would round up to a millisecond."""

    def __init__(self, loop: AbstractEventLoop, function: Callable[[], object]) -> None:
        self._loop = loop
        self._function = function
        self._left = _ITERATIONS
        self._handle = loop.call_soon(self._next)

    def cancel(self) -> None:
        """Call nothing, unless that is done."""
        self._handle.cancel()

    def _next(self) -> None:
        if not self._left:
            self._function()
            return
        self._left -= 1
        self._handle = self._loop.call_soon(self._next)


@contextmanager
def _called_later(function: Callable[[], object]) -> Iterator[None]:
    """Call a function during the block, if that lasts long enough for a request to be on its way by then."""
    loop = _current_loop()
    if not isinstance(loop, AbstractEventLoop):
        yield
        return
    call = _CallLater(loop, function)
    try:
        yield
    finally:
        call.cancel()


def _method(
    operation: Callable[Concatenate[Core, P], Flow[T]],
) -> Callable[Concatenate[CodeQ, P], Coroutine[Any, Any, T]]:
    @functools.wraps(operation)
    async def method(self: CodeQ, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(operation(self.core, *args, **kwargs))

    return cast("Callable[Concatenate[CodeQ, P], Coroutine[Any, Any, T]]", method)


@dataclass(frozen=True, slots=True)
class _InLoop:
    """What belongs to one event loop."""

    connections: AiohttpConnections | HttpxConnections
    tokens: TokenFetcher


class CodeQ(BaseClient[Transport]):
    """A client of one CodeQ server; `BlockingCodeQ` is the same without an event loop.

    It may be used in several event loops, and in a forked process. Each gets separate connections.

    A token is a string, or a plain or async callable that returns one within `timeout`. A plain callable runs on a
    thread, and any callable may be called from another thread, where a worker renews its leases. The admin token
    defaults to the producer's. `timeout` is in seconds, for each request, in addition to the wait of a long poll.
    `retries` is the number of further tries, made only where they are safe. `transport` is one of httpx's, or a
    callable that returns one. `clock` is for tests.
    """

    #: For tests: receives what a hook of a worker of this client raises. By default that of the transport, if it has
    #: one, as `FakeCodeQ.transport()` does; without one the error is logged.
    on_hook_error: Callable[[BaseException], object] | None = None

    create = _method(operations.create)
    create_batch = _method(operations.create_batch)
    recreate = _method(operations.recreate)
    claim = _method(operations.claim)
    claim_batch = _method(operations.claim_batch)
    heartbeat = _method(operations.heartbeat)
    abandon = _method(operations.abandon)
    nack = _method(operations.nack)
    complete = _method(operations.complete)
    fail = _method(operations.fail)
    submit_batch = _method(operations.submit_batch)
    subscribe = _method(operations.subscribe)
    renew_subscription = _method(operations.renew_subscription)
    get = _method(operations.get)
    result = _method(operations.result)
    wait_for_result = _method(result_waiting.wait_for_result)
    queue_sizes = _method(operations.queue_sizes)
    queue_stats = _method(operations.queue_stats)
    cleanup = _method(operations.cleanup)
    put_topic = _method(operations.put_topic)
    get_topic = _method(operations.get_topic)
    delete_topic = _method(operations.delete_topic)

    def _open(self) -> None:
        self._by_loop: WeakKeyDictionary[object, _InLoop] = WeakKeyDictionary()
        # A transport is made at once, so that its errors come at the start.
        self._for_first_loop = None if self.transport is None else self._new_connections()

    def _here(self) -> _InLoop:
        """Return the connections of this event loop in this process, which its first request makes."""
        loop = _current_loop()
        here = self._by_loop.get(loop)
        if here is None or here.connections.process != os.getpid():
            # Connections know their loop, so an entry for a loop that has ended would stay for ever.
            for ended in [
                known for known in self._by_loop if isinstance(known, AbstractEventLoop) and known.is_closed()
            ]:
                del self._by_loop[ended]
            first, self._for_first_loop = self._for_first_loop, None
            usable = first is not None and first.connections.process == os.getpid()
            here = self._by_loop[loop] = first if first is not None and usable else self._new_connections()
        return here

    def _new_connections(self) -> _InLoop:
        transport = self.transport() if callable(self.transport) else self.transport
        self.on_hook_error = self.on_hook_error or getattr(transport, "on_hook_error", None)
        tokens = TokenFetcher(timeout=self.core.timeout, threads=self.core.clock.thread_safe)
        if transport is not None or proxy_for(self._settings) or _current_loop() is _OTHER_LOOP:
            return _InLoop(HttpxConnections(self._settings, transport), tokens)
        from .aiohttp_connections import AiohttpConnections  # noqa: PLC0415 - its import takes a third of this package's

        return _InLoop(AiohttpConnections(self._settings), tokens)

    def twin(self) -> Self:
        """Return a client with the same settings and tokens but its own connections, to be closed separately."""
        twin = copy(self)
        twin._open()  # noqa: SLF001 - an instance of this class
        return twin

    async def run(self, flow: Flow[T]) -> T:
        """Perform a flow; every method of the client runs one."""
        try:
            step = next(flow)
            while True:
                try:
                    outcome = await self._perform(step)
                except CodeQError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()  # what it holds is free at once, also after a cancellation

    async def _perform(self, step: Step) -> Reply | str | None:
        """Perform a step, and return its outcome."""
        match step:
            case Send():
                connections = self._here().connections
                if step.meanwhile is None:
                    return await connections.send(step)
                with _called_later(step.meanwhile):
                    return await connections.send(step)
            case Pause(seconds, wake):
                clock = self.core.clock
                await (sleep_or(clock, seconds, wake) if wake else clock.sleep(seconds))
                return None
            case FetchToken(provider):
                return await self._here().tokens.fetch(provider)

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        await self._here().connections.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
