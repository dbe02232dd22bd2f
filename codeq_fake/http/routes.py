"""The contract's surface as an ASGI application."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.routing import Match, Route, Router

from . import replies
from .endpoint import Endpoint, note
from .faults.endpoint import Faulty
from .operations import OPERATIONS
from .replies import Reply
from .request import Call

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from codeq_fake.runtime.fake_server import Runtime

    from .operations import Operation


def surface(runtime: Runtime, beside: Sequence[BaseRoute] = ()) -> ASGIApp:
    """R1 to R17 and R18's answer for everything else; routes ``beside`` them are asked last."""
    routes = [Exact(runtime, operation) for operation in OPERATIONS]
    return Router([*routes, *beside], redirect_slashes=False, default=_Unknown(runtime, routes))


class Exact(Route):
    """A route of one method; with any other its path is unknown: there is no 405, and no HEAD for a GET (R18)."""

    def __init__(self, runtime: Runtime, operation: Operation) -> None:
        path = operation.path
        super().__init__(path, Endpoint(runtime, operation), methods=[operation.method])
        self._method = operation.method
        self._faults = runtime.fault_plan
        self._faulty = Faulty(runtime, operation)
        # Where a path begins to vary: comparing so much of it first spares most routes their regular expression.
        self._fixed = path.partition("{")[0]
        self._varies = self._fixed != path

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match method and path."""
        if scope["type"] != "http" or scope["method"] != self._method:
            return Match.NONE, {}
        path = scope["path"]
        if not self._varies:
            return self._full({}) if path == self._fixed else (Match.NONE, {})
        found = self.path_regex.fullmatch(path) if path.startswith(self._fixed) else None
        return self._full(found.groupdict()) if found is not None else (Match.NONE, {})

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Answer a request. The way by the faults is taken only while there are any."""
        # No coroutine of its own: the plain way is to cost nothing more.
        return (self._faulty if self._faults.active else self.endpoint)(scope, receive, send)

    def _full(self, params: dict[str, str]) -> tuple[Match, Scope]:
        return Match.FULL, {"endpoint": self.endpoint, "path_params": params}


class _Unknown:
    """What no route matches: a redirect where only a trailing slash is wrong, else not found (R18, R19)."""

    def __init__(self, runtime: Runtime, routes: Sequence[Exact]) -> None:
        self._runtime = runtime
        self._routes = routes

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = dict(reversed(scope["headers"]))
        request_id = headers.get(b"x-request-id") or self._runtime.source.request_id().encode()
        answer = self._redirect(scope) or replies.NOT_FOUND
        runtime = self._runtime
        # A mistaken path belongs into the journal too, of all things.
        call = Call(runtime.broker, runtime.config.settings.timezone, {}, headers, runtime.clock.now())
        note(runtime, scope, call, answer)
        await replies.send_reply(send, answer, request_id, with_body=scope["method"] != "HEAD")

    def _redirect(self, scope: Scope) -> Reply | None:
        path: str = scope["path"]
        if not path.endswith("/"):
            return None
        without = dict(scope, path=path[:-1])
        if not any(route.matches(without)[0] is Match.FULL for route in self._routes):
            return None
        location = quote(path[:-1], safe="/:@!$&'()*+,;=~-._")
        header = (b"location", location.encode())
        if scope["method"] != "GET":
            return Reply(307, b"", (header,))
        body = f'<a href="{escape(location)}">Moved Permanently</a>.\n\n'.encode()
        return Reply(301, body, ((b"content-type", b"text/html; charset=utf-8"), header))
