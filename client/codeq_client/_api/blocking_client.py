"""The blocking client `BlockingCodeQ`: performs the steps of each call (see `sending`) without an event loop."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Self, TypeVar, cast

import httpx

from codeq_client.errors import CodeQError

from . import operations, result_waiting
from .base_client import BaseClient
from .calls import Reply
from .connections import BlockingConnections
from .sending import Core, FetchToken, Flow, Pause, Send, Step
from .tokens import fetch_blocking

P = ParamSpec("P")
T = TypeVar("T")


def _method(operation: Callable[Concatenate[Core, P], Flow[T]]) -> Callable[Concatenate[BlockingCodeQ, P], T]:
    @functools.wraps(operation)
    def method(self: BlockingCodeQ, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(operation(self.core, *args, **kwargs))

    return cast("Callable[Concatenate[BlockingCodeQ, P], T]", method)


class BlockingCodeQ(BaseClient[httpx.BaseTransport]):
    """A client of one CodeQ server for code without an event loop. Threads and forked processes may share it.

    The arguments are those of `CodeQ`; token callables are plain functions.
    """

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
        self._connections = BlockingConnections(self._settings, self.transport, self.core.clock)

    def _here(self) -> BlockingConnections:
        """Return the connections of this process: new ones after a fork."""
        if self._connections.process != os.getpid():
            self._open()
        return self._connections

    def run(self, flow: Flow[T]) -> T:
        """Perform a flow; every method of the client runs one."""
        try:
            step = next(flow)
            while True:
                try:
                    outcome = self._perform(step)
                except CodeQError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()  # what it holds is free at once, also after a cancellation

    def _perform(self, step: Step) -> Reply | str | None:
        match step:
            case Send():
                return self._here().send(step)
            case Pause(seconds):
                self.core.clock.sleep_blocking(seconds)
                return None
            case FetchToken(provider):
                return fetch_blocking(provider)

    def close(self) -> None:
        """Close the connections."""
        self._here().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
