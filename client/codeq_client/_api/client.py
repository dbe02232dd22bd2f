"""The asynchronous client `CodeQ`: performs the steps of each call (see `retries`) with httpx and anyio."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from copy import copy
from typing import Any, Concatenate, ParamSpec, Self, TypeAlias, TypeVar, cast

import anyio
import httpx

from codeq_client.errors import CodeQError

from . import operations, result_waiting
from .base_client import BaseClient, reply_from, request_arguments, total_timeout, unavailable, usable_proxies
from .calls import Reply
from .clock import sleep_or
from .retries import Core, FetchToken, Flow, Pause, Send, Step
from .tokens import TokenFetcher

P = ParamSpec("P")
T = TypeVar("T")

Transport: TypeAlias = httpx.AsyncBaseTransport | Callable[[], httpx.AsyncBaseTransport]


def _method(
    operation: Callable[Concatenate[Core, P], Flow[T]],
) -> Callable[Concatenate[CodeQ, P], Coroutine[Any, Any, T]]:
    @functools.wraps(operation)
    async def method(self: CodeQ, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(operation(self.core, *args, **kwargs))

    return cast("Callable[Concatenate[CodeQ, P], Coroutine[Any, Any, T]]", method)


class CodeQ(BaseClient[Transport]):
    """A client of one CodeQ server, for one event loop; `BlockingCodeQ` is the same without an event loop.

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

    def _open(self) -> None:
        self._http = self._connections()
        self._tokens = TokenFetcher(timeout=self.core.timeout, threads=self.core.clock.thread_safe)

    def twin(self) -> Self:
        """Return a client with the same settings and tokens but its own connections, for another event loop."""
        twin = copy(self)
        twin._http = self._connections()  # noqa: SLF001 - an instance of this class
        twin._tokens = self._tokens.copy()  # noqa: SLF001 - as above
        return twin

    def _connections(self) -> httpx.AsyncClient:
        transport = self.transport() if callable(self.transport) else self.transport
        self.on_hook_error = self.on_hook_error or getattr(transport, "on_hook_error", None)
        with usable_proxies():
            return httpx.AsyncClient(transport=transport, **self._connection)

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

    async def _perform(self, step: Step) -> Reply | str | None:
        match step:
            case Send():
                return await self._send(step)
            case Pause(seconds, wake):
                clock = self.core.clock
                await (sleep_or(clock, seconds, wake) if wake else clock.sleep(seconds))
                return None
            case FetchToken(provider):
                return await self._tokens.fetch(provider)

    async def _send(self, step: Send) -> Reply:
        try:
            with anyio.fail_after(total_timeout(step)):
                response = await self._http.request(**request_arguments(step))
        except Exception as error:
            raise unavailable(step, error) from error
        return reply_from(response, response.content)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
