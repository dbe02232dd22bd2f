"""Connections to the server by httpx: for the blocking client, for transports of the user, and through proxies.

Connections belong to one process, and those of asyncio to one event loop: a copy in a forked process would read the
replies to the other's requests. So a client makes new ones wherever it is used.

Each httpx client here has one connection, and the free ones are a stack: a pool of httpx looks through all of its
connections at each request.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from socket import inet_aton
from typing import Any, Generic, TypeVar
from urllib.request import getproxies

import anyio
import httpx

from codeq_client.errors import ClientClosed, ConfigurationError, NoFreeConnection

from . import exchanges, limits
from .calls import Reply
from .clock import Clock
from .exchanges import Body, Settings, Slots, check_head, errors_of, request_headers, total_timeout
from .sending import Send

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

HttpT = TypeVar("HttpT", httpx.Client, httpx.AsyncClient)


class Stack(Generic[HttpT]):
    """Httpx clients with one connection each. `make` returns another one."""

    def __init__(self, make: Callable[[], HttpT]) -> None:
        self.made: set[HttpT] = set()
        self.is_closed = False
        self._make: Callable[[], HttpT] = make
        self._free: list[HttpT] = []

    @contextmanager
    def taken(self) -> Iterator[HttpT]:
        """Lend the free client that was used last: the server has most likely not closed its connection."""
        if self.is_closed:
            raise ClientClosed
        try:
            http = self._free.pop()
        except IndexError:
            http = self._make()
            self.made.add(http)
        try:
            yield http
        finally:
            self._free.append(http)


class HttpxConnections:
    """The connections of one event loop, at most `MAX_CONNECTIONS` at a time."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None) -> None:
        self.process = os.getpid()
        self._settings = settings
        self._stack = Stack(_maker(httpx.AsyncClient, settings, transport))
        self._slots = Slots()

    async def send(self, step: Send) -> Reply:
        """Send a request and read its reply; raises `Unavailable`."""
        with errors_of(step, self._settings, _UNSENT):
            headers = request_headers(step)
            async with self._slots.taken(step.connect):
                with self._stack.taken() as http, anyio.fail_after(total_timeout(step)):
                    async with http.stream(**_request(step, headers)) as response:
                        return await _read(response, headers)

    async def aclose(self) -> None:
        """Close the connections."""
        self._stack.is_closed = True
        for http in self._stack.made:
            await http.aclose()


async def _read(response: httpx.Response, sent: Mapping[str, str]) -> Reply:
    check_head(sent, response.headers)
    body = Body()
    async for chunk in response.aiter_bytes():
        body.add(chunk)
    return Reply(response.status_code, dict(response.headers), body.joined())


class BlockingConnections:
    """The connections of all threads of one process, at most `MAX_CONNECTIONS` at a time."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None, clock: Clock) -> None:
        self.process = os.getpid()
        self._settings = settings
        self._stack = Stack(_maker(httpx.Client, settings, transport))
        self._slots = threading.Semaphore(limits.MAX_CONNECTIONS)
        self._clock = clock

    def send(self, step: Send) -> Reply:
        """Send a request and read its reply; raises `Unavailable`.

        Each chunk of the reply may take httpx's timeout, because a thread cannot be interrupted.
        """
        with errors_of(step, self._settings, _UNSENT):
            headers = request_headers(step)
            if not self._slots.acquire(timeout=step.connect):
                raise NoFreeConnection(exchanges.ALL_IN_USE)
            try:
                deadline = self._clock.monotonic() + total_timeout(step)
                with self._stack.taken() as http, http.stream(**_request(step, headers)) as response:
                    return self._read(response, headers, deadline)
            finally:
                self._slots.release()

    def _read(self, response: httpx.Response, sent: Mapping[str, str], deadline: float) -> Reply:
        check_head(sent, response.headers)
        body = Body()
        for chunk in response.iter_bytes():
            if self._clock.monotonic() > deadline:
                raise TimeoutError
            body.add(chunk)
        return Reply(response.status_code, dict(response.headers), body.joined())

    def close(self) -> None:
        """Close the connections."""
        self._stack.is_closed = True
        for http in self._stack.made:
            http.close()


def _maker(kind: type[HttpT], settings: Settings, transport: Any) -> Callable[[], HttpT]:  # noqa: ANN401 - one of httpx's
    """Return what makes httpx clients. A transport of the user has its own connections, so it needs only one."""
    if transport is None:
        # One TLS context for all of them: httpx would make one for each connection, in 0.25 ms.
        return partial(kind, **{**settings, "verify": httpx.create_ssl_context(verify=settings["verify"])})
    only = kind(transport=transport, **settings)
    return lambda: only


def connection_to(base_url: str) -> Settings:
    """Return httpx's settings for connections to a server. One on this machine is called past any proxy."""
    url = httpx.URL(base_url)
    return {
        "base_url": base_url,
        "limits": httpx.Limits(max_connections=1, max_keepalive_connections=1),
        # Plain HTTP needs no TLS context: loading the certificate authorities takes 30 ms.
        "verify": url.scheme == "https" and httpx.create_ssl_context(),
        "trust_env": not _is_loopback(url.host),
    }


def check_proxies(settings: Settings) -> None:
    """Raise `ConfigurationError` if httpx cannot use a proxy of the environment."""
    if not (
        settings["trust_env"] and getproxies()
    ):  # most have none, and httpx's client takes a third of a millisecond
        return
    try:
        httpx.Client(**settings).close()
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        variables = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY"
        raise ConfigurationError(f"a proxy of the environment ({variables}) cannot be used: {error}") from None


def _is_loopback(host: str) -> bool:
    """Return whether a host is always this machine, in any spelling of its address. Nothing is looked up."""
    name = host.lower().rstrip(".")
    try:
        address = ip_address(name if ":" in name else inet_aton(name))
    except (OSError, ValueError):
        return name == "localhost" or name.endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address
    # A connection to the "any" address stays on this machine.
    return address.is_loopback or address.is_unspecified


def _request(step: Send, headers: dict[str, str]) -> dict[str, Any]:
    """Return the arguments of `httpx.Client.stream` for a step."""
    return {
        "method": step.call.method,
        "url": step.call.path,
        "content": step.call.body,
        "headers": headers,
        "timeout": httpx.Timeout(step.timeout, connect=step.connect),
    }
