"""A whole fake as one ASGI application: the contract's routes, the control API and the page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from codeq_fake import http
from codeq_fake.runtime.fake_server import FakeServer

_ROOT = "/_fake"


def application(runtime: FakeServer, *, with_control: bool = True, control_token: str | None = None) -> ASGIApp:
    """The application of one fake. Without `with_control` it has the contract's routes only.

    With a `control_token`, the control API and the page require it.
    """
    if not with_control:
        return http.contract_app(runtime)
    return http.contract_app(runtime, other_app=_FakeRoutes(runtime, control_token))


class _FakeRoutes:
    """The fake's own routes under `/_fake`: the page and the control API.

    They are loaded and created at the first request: most tests call none, and Starlette takes a tenth of a start.
    """

    def __init__(self, runtime: FakeServer, token: str | None) -> None:
        self._runtime = runtime
        self._token = token
        self._router: ASGIApp | None = None

    def handles(self, scope: Scope) -> bool:
        """Whether they answer this request."""
        return scope["path"] == _ROOT or scope["path"].startswith(f"{_ROOT}/") or _is_visit(scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await asyncio.sleep(0)  # Starlette and the control API need a task, which a request may not have yet
        if self._router is None:
            from .fake_router import fake_router  # noqa: PLC0415 - see above

            self._router = fake_router(self._runtime, self._token)
        await self._router(scope, receive, send)


def _is_visit(scope: Scope) -> bool:
    """Whether a browser opens the address of the server: it is sent on to the page."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    accepted = dict(headers).get(b"accept", b"")
    return accepted.startswith(b"text/html") and (scope["method"], scope["path"]) == ("GET", "/")
