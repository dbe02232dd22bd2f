"""The blocking client: the same flows as the asynchronous one, performed without an event loop."""

from __future__ import annotations

import functools
import inspect
import os
import random
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, cast

import httpx

from codeq_client.errors import CodeQError, ConfigurationError, Unavailable

from . import operations
from .client import (
    LIMITS,
    checked_url,
    overall,
    reply_of,
    request_of,
    settings_from,
    tls_for,
    tokens_by_role,
    unavailable,
)
from .clock import Clock, SystemClock
from .retries import Ask, Core, Flow, Pause, Send, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .calls import Reply
    from .tokens import TokenSource

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(flow: Callable[Concatenate[Core, P], Flow[T]]) -> Callable[Concatenate[BlockingCodeQ, P], T]:
    @functools.wraps(flow)
    def method(self: BlockingCodeQ, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(flow(self.core, *args, **kwargs))

    return cast("Callable[Concatenate[BlockingCodeQ, P], T]", method)


class BlockingCodeQ:
    """A client of one CodeQ server for code without an event loop. Arguments as of `CodeQ`; token callables are plain.

    Threads may share it.
    """

    create = _blocking(operations.create)
    create_batch = _blocking(operations.create_batch)
    claim = _blocking(operations.claim)
    claim_batch = _blocking(operations.claim_batch)
    heartbeat = _blocking(operations.heartbeat)
    abandon = _blocking(operations.abandon)
    nack = _blocking(operations.nack)
    complete = _blocking(operations.complete)
    fail = _blocking(operations.fail)
    submit_batch = _blocking(operations.submit_batch)
    subscribe = _blocking(operations.subscribe)
    renew_subscription = _blocking(operations.renew_subscription)
    get = _blocking(operations.get)
    result = _blocking(operations.result)
    wait_for_result = _blocking(operations.wait_for_result)
    queue_sizes = _blocking(operations.queue_sizes)
    queue_stats = _blocking(operations.queue_stats)
    cleanup = _blocking(operations.cleanup)

    def __init__(  # the settings of a client
        self,
        base_url: str,
        *,
        producer_token: TokenSource | None = None,
        worker_token: TokenSource | None = None,
        admin_token: TokenSource | None = None,
        timeout: float = 30,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.base_url = checked_url(base_url)
        tokens = tokens_by_role(producer_token, worker_token, admin_token)
        self.core = Core(clock or SystemClock(), tokens, timeout, retries, random.random)
        self._http = httpx.Client(
            base_url=self.base_url, transport=transport, limits=LIMITS, verify=tls_for(self.base_url)
        )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **settings: Any) -> Self:  # the client's own arguments
        """Return a client configured by the environment; as `CodeQ.from_env`."""
        return cls(**settings_from(os.environ if environ is None else environ), **settings)

    def run(self, flow: Flow[T]) -> T:
        """Perform a flow; every method of the client is `run` of one."""
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

    def _perform(self, step: Step) -> Reply | str | None:
        match step:
            case Send():
                return self._send(step)
            case Pause(seconds):
                self.core.clock.sleep_blocking(seconds)
                return None
            case Ask(provider):
                return _ask(provider)

    def _send(self, step: Send) -> Reply:
        ends = self.core.clock.monotonic() + overall(step)
        try:
            with self._http.stream(**request_of(step)) as response:
                return reply_of(response, b"".join(self._until(ends, response.iter_bytes())))
        except Exception as error:
            raise unavailable(step, error) from error

    def _until(self, ends: float, parts: Iterator[bytes]) -> Iterator[bytes]:
        """Pass on what comes in time. Each part may take httpx's timeout: a thread cannot be interrupted."""
        for part in parts:
            if self.core.clock.monotonic() > ends:
                raise TimeoutError
            yield part

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"


def _ask(provider: Callable[[], Any]) -> str:
    try:
        token = provider()
    except Exception as error:
        raise Unavailable(f"the token provider failed: {error!r}", sent=False) from error
    if inspect.isawaitable(token):
        if inspect.iscoroutine(token):
            token.close()
        raise ConfigurationError("the token provider is asynchronous; BlockingCodeQ needs a plain callable")
    return str(token)
