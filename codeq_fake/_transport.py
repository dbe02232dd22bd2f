"""An httpx transport for blocking clients: each request is served in the fake's own event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp


class PortalTransport(httpx.BaseTransport):
    """Hands a blocking client's requests to an ASGI application by way of ``in_portal``."""

    def __init__(self, app: ASGIApp, in_portal: Callable[[Callable[[], Awaitable[Any]]], Any]) -> None:
        self._transport = httpx.ASGITransport(app)
        self._in_portal = in_portal

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Serve one request."""
        body = request.read()

        async def serve() -> tuple[int, httpx.Headers, bytes]:
            asked = httpx.Request(request.method, request.url, headers=request.headers, content=body)
            response = await self._transport.handle_async_request(asked)
            # Raw, since the client's own response decodes it.
            content = b"".join([part async for part in response.aiter_raw()])
            return response.status_code, response.headers, content

        status, headers, content = self._in_portal(serve)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content), request=request)
