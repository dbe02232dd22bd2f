"""The httpx clients of a fake in this process. Their read timeout works, as on a socket."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from .event_loop import Home

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_BASE_URL = "http://codeq.test"


def blocking(app: ASGIApp, home: Home, token: str, options: dict[str, Any]) -> httpx.Client:
    """A blocking client of `app`, which runs at `home`; `options` are httpx's."""
    return httpx.Client(transport=BlockingTransport(app, home), **_with_token(token, options))


def asynchronous(app: ASGIApp, token: str, options: dict[str, Any]) -> httpx.AsyncClient:
    """An async client of `app`; `options` are httpx's."""
    return httpx.AsyncClient(transport=AsyncTransport(app), **_with_token(token, options))


def _with_token(token: str, options: dict[str, Any]) -> dict[str, Any]:
    headers = httpx.Headers({"authorization": f"Bearer {token}"})
    headers.update(options.get("headers"))
    return {"base_url": _BASE_URL, **options, "headers": headers}


class AsyncTransport(httpx.AsyncBaseTransport):
    """Sends an async client's requests to an ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return its whole reply. Raises httpx.ReadTimeout."""
        seconds = request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(seconds):
                return await self._transport.handle_async_request(request)
        except TimeoutError:
            raise httpx.ReadTimeout(
                f"no answer within {seconds} s; on a manual clock a long poll ends when the clock is advanced",
                request=request,
            ) from None


class BlockingTransport(httpx.BaseTransport):
    """Sends a blocking client's requests to an ASGI application in the fake's own event loop."""

    def __init__(self, app: ASGIApp, home: Home) -> None:
        self._transport = AsyncTransport(app)
        self._home = home

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises httpx.ReadTimeout."""
        request.read()
        return self._home.block(partial(self._send, request))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        sent = httpx.Request(
            request.method,
            request.url,
            headers=request.headers,
            content=request.content,
            extensions=request.extensions,
        )
        response = await self._transport.handle_async_request(sent)
        # The bytes as they were sent: the client's own response decodes them.
        content = b"".join([part async for part in response.aiter_raw()])
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(content))
