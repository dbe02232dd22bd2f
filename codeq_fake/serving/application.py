"""A whole fake as one ASGI application: the contract's routes, the control API and the page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from codeq_fake import control, http, page
from codeq_fake.runtime.fake_server import FakeServer

_ROOT = "/_fake"


def application(runtime: FakeServer, *, with_control: bool = True, control_token: str | None = None) -> ASGIApp:
    """The application of one fake. Without `with_control` it has the contract's routes only.

    With a `control_token`, the control API and the page require it.
    """
    if not with_control:
        return http.surface(runtime)
    return http.surface(runtime, beside=[_FakeRoutes(runtime, control_token)])


class _FakeRoutes(BaseRoute):
    """The fake's own routes under `/_fake`: the page and the control API.

    They are created at the first request: they are half of a fake's set-up, and most tests call none.
    """

    def __init__(self, runtime: FakeServer, token: str | None) -> None:
        self._runtime = runtime
        self._token = token
        self._router: Router | None = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path."""
        is_ours = scope["type"] == "http" and (
            scope["path"] == _ROOT or scope["path"].startswith(f"{_ROOT}/") or _is_visit(scope)
        )
        return Match.FULL if is_ours else Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await asyncio.sleep(0)  # Starlette and the control API need a task, which a request may not have yet
        if self._router is None:
            runtime, token = self._runtime, self._token
            # The page first: the last route of the control API matches every path.
            routes = [*page.routes(runtime, token=token), *control.routes(runtime, token=token)]
            self._router = Router(routes, redirect_slashes=False)
        await self._router(scope, receive, send)


def _is_visit(scope: Scope) -> bool:
    """Whether a browser opens the address of the server: it is sent on to the page."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    accepted = dict(headers).get(b"accept", b"")
    return accepted.startswith(b"text/html") and (scope["method"], scope["path"]) == ("GET", "/")
