"""The asynchronous client: performs the steps of flows with httpx."""

from __future__ import annotations

import functools
import os
import random
from copy import copy
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeAlias, TypeVar, cast

import anyio
import httpx

from codeq_client.errors import CodeQError, ConfigurationError, Unavailable

from . import operations
from .asking import Asker
from .calls import Reply, Role
from .clock import Clock, SystemClock, sleep_or
from .retries import Ask, Core, Flow, Pause, Send, Step
from .tokens import Token, TokenSource

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine, Mapping

P = ParamSpec("P")
T = TypeVar("T")

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100)
"""httpx itself keeps 20 connections open; a worker with more slots would open one for each further result."""

Transport: TypeAlias = "httpx.AsyncBaseTransport | Callable[[], httpx.AsyncBaseTransport] | None"

ENVIRONMENT = ("CODEQ_BASE_URL", "CODEQ_PRODUCER_TOKEN", "CODEQ_WORKER_TOKEN", "CODEQ_ADMIN_TOKEN")


def _awaited(
    flow: Callable[Concatenate[Core, P], Flow[T]],
) -> Callable[Concatenate[CodeQ, P], Coroutine[Any, Any, T]]:
    @functools.wraps(flow)
    async def method(self: CodeQ, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(flow(self.core, *args, **kwargs))

    return cast("Callable[Concatenate[CodeQ, P], Coroutine[Any, Any, T]]", method)


class CodeQ:
    """A client of one CodeQ server, for one event loop; `BlockingCodeQ` is the same without one.

    Tokens are texts or callables, plain or async, that return one within `timeout`. Plain ones are called on a thread,
    and all may be called from another thread (a worker renews leases there). The admin token defaults to the
    producer's. `timeout` is in seconds and holds for each request beyond what a long poll waits. `retries` counts
    further tries, made only where they are safe. `transport` is httpx's, or a callable that makes one. `clock` is for
    tests.
    """

    create = _awaited(operations.create)
    create_batch = _awaited(operations.create_batch)
    claim = _awaited(operations.claim)
    claim_batch = _awaited(operations.claim_batch)
    heartbeat = _awaited(operations.heartbeat)
    abandon = _awaited(operations.abandon)
    nack = _awaited(operations.nack)
    complete = _awaited(operations.complete)
    fail = _awaited(operations.fail)
    submit_batch = _awaited(operations.submit_batch)
    subscribe = _awaited(operations.subscribe)
    renew_subscription = _awaited(operations.renew_subscription)
    get = _awaited(operations.get)
    result = _awaited(operations.result)
    wait_for_result = _awaited(operations.wait_for_result)
    queue_sizes = _awaited(operations.queue_sizes)
    queue_stats = _awaited(operations.queue_stats)
    cleanup = _awaited(operations.cleanup)

    def __init__(  # the settings of a client
        self,
        base_url: str,
        *,
        producer_token: TokenSource | None = None,
        worker_token: TokenSource | None = None,
        admin_token: TokenSource | None = None,
        timeout: float = 30,
        retries: int = 3,
        transport: Transport = None,
        clock: Clock | None = None,
    ) -> None:
        self.base_url = checked_url(base_url)
        self.transport = transport
        tokens = tokens_by_role(producer_token, worker_token, admin_token)
        self.core = Core(clock or SystemClock(), tokens, timeout, retries, random.random)
        self._tls = tls_for(self.base_url)
        self._http = self._connections()
        self._asker = Asker(timeout=timeout, threads=self.core.clock.thread_safe)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **settings: Any) -> Self:  # the client's own arguments
        """Return a client configured by `CODEQ_BASE_URL`, `CODEQ_PRODUCER_TOKEN`, `_WORKER_TOKEN`, `_ADMIN_TOKEN`.

        `settings` are further arguments of the class. Raises `ConfigurationError` when the URL is missing.
        """
        return cls(**settings_from(os.environ if environ is None else environ), **settings)

    def twin(self) -> Self:
        """Return a client with the same settings and tokens, and connections of its own: for another event loop."""
        twin = copy(self)
        twin._http = self._connections()  # noqa: SLF001  # it is one of us
        twin._asker = self._asker.twin()  # noqa: SLF001  # as above
        return twin

    def _connections(self) -> httpx.AsyncClient:
        made = self.transport() if callable(self.transport) else self.transport
        return httpx.AsyncClient(base_url=self.base_url, transport=made, limits=LIMITS, verify=self._tls)

    async def run(self, flow: Flow[T]) -> T:
        """Perform a flow; every method of the client is `run` of one."""
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
            case Ask(provider):
                return await self._asker.ask(provider)

    async def _send(self, step: Send) -> Reply:
        try:
            with anyio.fail_after(overall(step)):
                response = await self._http.request(**request_of(step))
        except Exception as error:
            raise unavailable(step, error) from error
        return reply_of(response, response.content)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"


def checked_url(base_url: str) -> str:
    """Return the URL without a slash at its end; raises `ConfigurationError`."""
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigurationError(f"base_url {base_url!r}: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"base_url {base_url!r} is no http(s) URL; an example: http://localhost:8080")
    return base_url.rstrip("/")


def tls_for(base_url: str) -> ssl.SSLContext | bool:
    """Return what certificates are checked with: nothing for plain HTTP, for reading the authorities takes 30 ms."""
    return httpx.URL(base_url).scheme == "https" and httpx.create_ssl_context()


def tokens_by_role(
    producer: TokenSource | None, worker: TokenSource | None, admin: TokenSource | None
) -> Mapping[Role, Token]:
    """Return the token for each role that has one; readers take the worker's first (A7), admins the producer's (A8)."""
    given = {Role.PRODUCER: producer, Role.WORKER: worker, Role.ADMIN: admin}
    tokens = {role: Token(source) for role, source in given.items() if source}
    fallbacks = {Role.READER: (Role.WORKER, Role.PRODUCER), Role.ADMIN: (Role.ADMIN, Role.PRODUCER)}
    for role, candidates in fallbacks.items():
        for candidate in candidates:
            if candidate in tokens:
                tokens.setdefault(role, tokens[candidate])
    return tokens


def settings_from(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the clients' arguments that the environment gives; raises `ConfigurationError`."""
    if not environ.get("CODEQ_BASE_URL"):
        raise ConfigurationError("CODEQ_BASE_URL is not set; an example: http://localhost:8080")
    names = {variable: variable.removeprefix("CODEQ_").lower() for variable in ENVIRONMENT}
    return {name: environ[variable] for variable, name in names.items() if environ.get(variable)}


def request_of(step: Send) -> dict[str, Any]:
    """Return the arguments of `httpx.Client.request` for a step."""
    headers = {**dict(step.call.headers), "authorization": f"Bearer {step.token}"}
    if step.call.body is not None:
        headers["content-type"] = "application/json"
    return {
        "method": step.call.method,
        "url": step.call.path,
        "content": step.call.body,
        "headers": headers,
        "timeout": step.timeout,
    }


def overall(step: Send) -> float:
    """Return how long the whole answer may take: httpx's timeout is for each read, and an answer may drip in.

    A little longer than that timeout, which tells more: whether the request was sent.
    """
    return 1.1 * step.timeout


def reply_of(response: httpx.Response, body: bytes) -> Reply:
    """Return httpx's response as ours."""
    return Reply(response.status_code, dict(response.headers), body)


def unavailable(step: Send, error: Exception) -> Unavailable:
    """Return our error for httpx's or a transport's; it knows whether the request can have reached the server.

    A token that is no ASCII is a `UnicodeError`, raised before anything is sent.
    """
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | UnicodeError)
    detail = str(error) or type(error).__name__
    return Unavailable(f"{step.call.method} {step.call.path}: no answer: {detail}", sent=not unsent)
