"""The httpx clients of a fake in this process. Their read timeout works, as on a socket."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
from starlette.types import Scope

from .detached import Detached
from .event_loop import Home

_BASE_URL = "http://codeq.test"
_ADDRESS = ("127.0.0.1", 123)


def blocking(app: Detached, home: Home, token: str, options: dict[str, Any]) -> httpx.Client:
    """A blocking client of `app`, which runs at `home`; `options` are httpx's."""
    return httpx.Client(transport=BlockingTransport(app, home), **_with_token(token, options))


def asynchronous(app: Detached, token: str, options: dict[str, Any]) -> httpx.AsyncClient:
    """An async client of `app`; `options` are httpx's."""
    return httpx.AsyncClient(transport=AsyncTransport(app), **_with_token(token, options))


def _with_token(token: str, options: dict[str, Any]) -> dict[str, Any]:
    headers = httpx.Headers({"authorization": f"Bearer {token}"})
    headers.update(options.get("headers"))
    return {"base_url": _BASE_URL, **options, "headers": headers}


class AsyncTransport(httpx.AsyncBaseTransport):
    """Sends an async client's requests to an application."""

    def __init__(self, app: Detached) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return its whole reply. Raises httpx.ReadTimeout."""
        return await _send(self._app, request, await request.aread())


class BlockingTransport(httpx.BaseTransport):
    """Sends a blocking client's requests to an application in the fake's own event loop."""

    def __init__(self, app: Detached, home: Home) -> None:
        self._app = app
        self._home = home

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises httpx.ReadTimeout."""
        return self._home.block(partial(_send, self._app, request, request.read()))


async def _send(app: Detached, request: httpx.Request, body: bytes) -> httpx.Response:
    seconds = request.extensions.get("timeout", {}).get("read")
    try:
        answered = await app.request(_scope(request), body, seconds=seconds)
    except TimeoutError:
        raise httpx.ReadTimeout(
            f"no answer within {seconds} s; on a manual clock a long poll ends when the clock is advanced",
            request=request,
        ) from None
    content = b"".join(answered.parts) if request.method != "HEAD" else b""
    return httpx.Response(answered.status, headers=answered.headers, stream=httpx.ByteStream(content))


def _scope(request: httpx.Request) -> Scope:
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
