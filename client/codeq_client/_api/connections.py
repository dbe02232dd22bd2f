"""Connections to the server, by httpx: the only place that sends requests and reads replies.

Connections belong to one process, and those of asyncio to one event loop: a copy in a forked process would read the
replies to the other's requests. So a client makes new ones wherever it is used, and each request has an id, which the
server echoes (R20). A reply is limited in size, and never compressed: a small one could fill the memory.

Each httpx client here has one connection, and the free ones are a stack: a pool of httpx looks through all of its
connections at each request.
"""

from __future__ import annotations

import os
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from socket import inet_aton
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx

from codeq_client._display import excerpt, without_password
from codeq_client.errors import BadReply, CertificateError, ConfigurationError, Unavailable

from .calls import Reply
from .clock import Clock
from .retries import Send

MAX_CONNECTIONS = 100
MAX_REPLY_BYTES = 64 * 1024 * 1024

_REQUEST_ID = "x-request-id"
_OUR_IDS = "codeq-client-"

HttpT = TypeVar("HttpT", httpx.Client, httpx.AsyncClient)
Settings: TypeAlias = Mapping[str, Any]


class Stack(Generic[HttpT]):
    """Httpx clients with one connection each. `make` returns another one."""

    def __init__(self, make: Callable[[], HttpT]) -> None:
        self.made: set[HttpT] = set()
        self.is_closed = False
        self._make: Callable[[], HttpT] = make
        self._free: list[HttpT] = []

    @contextmanager
    def taken(self) -> Iterator[HttpT]:
        """Lend the free client that was used last."""
        if self.is_closed:
            raise RuntimeError("the client is closed")
        try:
            http = self._free.pop()
        except IndexError:
            http = self._make()
            self.made.add(http)
        try:
            yield http
        finally:
            self._free.append(http)


class AsyncConnections:
    """The connections of one event loop, at most `MAX_CONNECTIONS` at a time."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None) -> None:
        self.process = os.getpid()
        self._settings = settings
        self._stack = Stack(_maker(httpx.AsyncClient, settings, transport))
        self._slots = anyio.Semaphore(MAX_CONNECTIONS)

    async def send(self, step: Send) -> Reply:
        """Send a request and read its reply; raises `Unavailable`."""
        with _errors_of(step, self._settings):
            await self._wait_for_slot(step)
            try:
                with self._stack.taken() as http, anyio.fail_after(_total_timeout(step)):
                    async with http.stream(**_request(step)) as response:
                        _check_head(response)
                        body = _Body()
                        async for chunk in response.aiter_bytes():
                            body.add(chunk)
                return Reply(response.status_code, dict(response.headers), body.joined())
            finally:
                self._slots.release()

    async def _wait_for_slot(self, step: Send) -> None:
        """The wait does not count as time of the request."""
        with suppress(anyio.WouldBlock):
            self._slots.acquire_nowait()
            return
        try:
            with anyio.fail_after(step.timeout):
                await self._slots.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout(_NO_SLOT) from None

    async def aclose(self) -> None:
        """Close the connections."""
        self._stack.is_closed = True
        for http in self._stack.made:
            await http.aclose()


class BlockingConnections:
    """The connections of all threads of one process, at most `MAX_CONNECTIONS` at a time."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None, clock: Clock) -> None:
        self.process = os.getpid()
        self._settings = settings
        self._stack = Stack(_maker(httpx.Client, settings, transport))
        self._slots = threading.Semaphore(MAX_CONNECTIONS)
        self._clock = clock

    def send(self, step: Send) -> Reply:
        """Send a request and read its reply; raises `Unavailable`.

        Each chunk of the reply may take httpx's timeout, because a thread cannot be interrupted.
        """
        with _errors_of(step, self._settings):
            if not self._slots.acquire(timeout=step.timeout):
                raise httpx.PoolTimeout(_NO_SLOT)
            try:
                deadline = self._clock.monotonic() + _total_timeout(step)
                with self._stack.taken() as http, http.stream(**_request(step)) as response:
                    _check_head(response)
                    body = _Body()
                    for chunk in response.iter_bytes():
                        if self._clock.monotonic() > deadline:
                            raise TimeoutError
                        body.add(chunk)
                return Reply(response.status_code, dict(response.headers), body.joined())
            finally:
                self._slots.release()

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
        "headers": {"accept-encoding": "identity"},
    }


def check_proxies(settings: Settings) -> None:
    """Raise `ConfigurationError` if httpx cannot use a proxy of the environment."""
    if not settings["trust_env"]:
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


def _request(step: Send) -> dict[str, Any]:
    """Return the arguments of `httpx.Client.stream` for a step."""
    headers = {
        **dict(step.call.headers),
        "authorization": f"Bearer {step.token}",
        _REQUEST_ID: _OUR_IDS + secrets.token_hex(8),  # not from `random`, which a forked process repeats
    }
    if step.call.body is not None:
        headers["content-type"] = "application/json"
    return {
        "method": step.call.method,
        "url": step.call.path,
        "content": step.call.body,
        "headers": headers,
        "timeout": step.timeout,
    }


def _total_timeout(step: Send) -> float:
    """Return how long the whole response may take: httpx's timeout applies to each read, and a body may trickle in.

    It is a little longer than httpx's timeout, whose error tells more: whether the request was sent.
    """
    return 1.1 * step.timeout


def _check_head(response: httpx.Response) -> None:
    """Raise `BadReply` for a reply that is not to be read. Its connection is closed then, because it has a rest."""
    sent = response.request.headers[_REQUEST_ID]
    echoed = response.headers.get(_REQUEST_ID, "")
    # A proxy may replace the id by its own. But one of ours that is another request's is a foreign reply.
    if echoed.startswith(_OUR_IDS) and echoed != sent:
        raise BadReply("this is the reply to another request: is the connection used by two processes?")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadReply("the reply is compressed, which was not asked for")
    length = response.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > MAX_REPLY_BYTES):  # noqa: PLR2004 - digits
        raise BadReply(_TOO_LARGE)


class _Body:
    """The body of a reply, up to `MAX_REPLY_BYTES`."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > MAX_REPLY_BYTES:
            raise BadReply(_TOO_LARGE)
        self._chunks.append(chunk)

    def joined(self) -> bytes:
        return b"".join(self._chunks)


_TOO_LARGE = f"the reply is larger than {MAX_REPLY_BYTES // 1024 // 1024} MiB"
_NO_SLOT = f"all {MAX_CONNECTIONS} connections of the client are in use"


@contextmanager
def _errors_of(step: Send, settings: Settings) -> Iterator[None]:
    """Raise the client's errors for those of httpx and of transports; they say whether the request can have been sent.

    A token that is not ASCII is a `UnicodeError`, raised before anything is sent.
    """
    try:
        yield
    except BadReply as error:
        raise BadReply(f"{step.call.method} {step.call.path}: {error}") from None
    except Exception as error:
        detail = excerpt(str(error)) or type(error).__name__
        text = f"{step.call.method} {step.call.path}: no answer from {_route(settings)}: {detail}"
        if _is_about_certificate(error):
            raise CertificateError(text) from error
        unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | UnicodeError)
        raise Unavailable(text, sent=not unsent) from error


def _route(settings: Settings) -> str:
    """Return the server, and the proxy that is called instead."""
    url = httpx.URL(settings["base_url"])
    shown, proxies = without_password(settings["base_url"]), getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and settings["trust_env"] and not proxy_bypass(url.host):
        return f"{shown} through the proxy {without_password(proxy)}"
    return shown


def _is_about_certificate(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
