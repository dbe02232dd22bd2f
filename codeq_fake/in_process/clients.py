"""The httpx clients of a fake in this process. Their read timeout works, as on a socket."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeAlias

import httpx
from starlette.types import Scope

from codeq_fake.http.operations import OPERATIONS, TOPIC_OPERATIONS

from .detached import Detached, Exchange
from .event_loop import Home, result_of

_BASE_URL = "http://codeq.test"
_ADDRESS = ("127.0.0.1", 123)


#: The token of each role, None where there is none.
Tokens: TypeAlias = Mapping[str, str | None]


def blocking(app: Detached, home: Home, tokens: Tokens, options: dict[str, Any]) -> httpx.Client:
    """A blocking client of `app`, which runs at `home`; `options` are httpx's."""
    return httpx.Client(transport=BlockingTransport(app, home), **_with_tokens(tokens, options))


def asynchronous(app: Detached, home: Home, tokens: Tokens, options: dict[str, Any]) -> httpx.AsyncClient:
    """An async client of `app`, which runs at `home`; `options` are httpx's."""
    return httpx.AsyncClient(transport=AsyncTransport(app, home), **_with_tokens(tokens, options))


def _with_tokens(tokens: Tokens, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a client that sends the only token, or of several the one that the request's route needs."""
    different = {token for token in tokens.values() if token is not None}
    if len(different) > 1:
        return {"base_url": _BASE_URL, "auth": _TokenByRoute(tokens), **options}
    headers = httpx.Headers([("authorization", f"Bearer {token}") for token in different])
    headers.update(options.get("headers"))
    return {"base_url": _BASE_URL, **options, "headers": headers}


class _TokenByRoute(httpx.Auth):
    """Gives a request the token of the role that its route needs, unless it has one."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request once."""
        token = self._tokens.get(_role(request)) or self._tokens["producer"]
        if token is not None and "authorization" not in request.headers:
            request.headers["authorization"] = f"Bearer {token}"
        yield request


def _role(request: httpx.Request) -> str:
    """The role that a request's route needs; `reader` and `anyone` need none in particular."""
    path = request.url.path
    rights = (right for method, pattern, right in _RIGHTS if method == request.method and pattern.fullmatch(path))
    return next(rights, "anyone")


_RIGHTS = [
    (operation.method, re.compile(re.sub(r"\{\w+\}", "[^/]+", operation.path)), operation.right)
    for operation in (*OPERATIONS, *TOPIC_OPERATIONS)
]


class AsyncTransport(httpx.AsyncBaseTransport):
    """Sends an async client's requests to an application, also from another library's event loop than asyncio's."""

    def __init__(
        self, app: Detached, home: Home, *, on_hook_error: Callable[[BaseException], object] | None = None
    ) -> None:
        #: Receives what hooks of workers of a `codeq_client.CodeQ` with this transport raise.
        self.on_hook_error = on_hook_error
        self._app = app
        self._home = home

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return its whole reply. Raises httpx.ReadTimeout."""
        return await self._home.run(partial(_send, self._app, request, await request.aread()))


class BlockingTransport(httpx.BaseTransport):
    """Sends a blocking client's requests to an application in the fake's own event loop."""

    def __init__(self, app: Detached, home: Home) -> None:
        self._app = app
        self._home = home

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises httpx.ReadTimeout."""
        exchange, rest = self._home.call_for_blocking(partial(_begin, self._app, request, request.read()))
        if rest is not None:
            result_of(rest)
        return _response(request, exchange)


async def _send(app: Detached, request: httpx.Request, body: bytes) -> httpx.Response:
    """Send a request, and return httpx's response. Raises httpx.ReadTimeout."""
    exchange = app.begin(_scope(request), body)
    if exchange.rest is None:
        await asyncio.sleep(0)  # the other tasks get a turn, as they do while a server answers
    else:
        await _finish(app, request, exchange, exchange.rest)
    return _response(request, exchange)


def _begin(app: Detached, request: httpx.Request, body: bytes) -> tuple[Exchange, Future[None] | None]:
    """Send a request in the running event loop. The future, if there is one, is done when the reply is complete."""
    exchange = app.begin(_scope(request), body)
    if exchange.rest is None:
        return exchange, None
    # Not later, by the client's thread: the fake may be closed before that.
    finishing = _finish(app, request, exchange, exchange.rest)
    return exchange, asyncio.run_coroutine_threadsafe(finishing, asyncio.get_running_loop())


async def _finish(app: Detached, request: httpx.Request, exchange: Exchange, rest: asyncio.Task[None]) -> None:
    """Wait for the reply. Raises httpx.ReadTimeout."""
    seconds = request.extensions.get("timeout", {}).get("read")
    try:
        await app.finish(exchange, rest, seconds=seconds)
    except TimeoutError:
        raise httpx.ReadTimeout(
            f"no answer within {seconds} s; on a manual clock a long poll ends when the clock is advanced",
            request=request,
        ) from None


def _response(request: httpx.Request, exchange: Exchange) -> httpx.Response:
    content = b"".join(exchange.parts) if request.method != "HEAD" else b""
    return httpx.Response(exchange.status, headers=exchange.headers, stream=httpx.ByteStream(content))


def _scope(request: httpx.Request) -> Scope:
    """The ASGI scope of a request, as a server on a port would make it."""
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "server": (url.host, url.port),
        "client": _ADDRESS,
        "root_path": "",
    }
