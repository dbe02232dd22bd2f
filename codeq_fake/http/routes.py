"""The routes of the contract as an ASGI application."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from codeq_fake.runtime.fake_server import Runtime

from . import replies
from .endpoint import Endpoint, note
from .faults.endpoint import FaultyEndpoint
from .operations import OPERATIONS, Operation
from .replies import Reply
from .request import Call

_SLASH = "the path of the route has no slash at its end (R19)"


def surface(runtime: Runtime, beside: Sequence[BaseRoute] = ()) -> ASGIApp:
    """R1 to R17, then the routes `beside` them, then R18 for every other path."""
    routes = [_OperationRoute(runtime, operation) for operation in OPERATIONS]
    return Router([*routes, *beside], redirect_slashes=False, default=_UnknownPath(runtime, routes))


class _OperationRoute(Route):
    """The route of one operation. With another method its path is unknown: no 405, and no HEAD for a GET (R18)."""

    def __init__(self, runtime: Runtime, operation: Operation) -> None:
        path = operation.path
        endpoint = Endpoint(runtime, operation)
        super().__init__(path, endpoint, methods=[operation.method])
        self._method = operation.method
        self._fault_plan = runtime.fault_plan
        self._faulty = FaultyEndpoint(runtime, operation, endpoint)
        # Most requests fail these comparisons, which are cheaper than the regular expression.
        self._start, self._end = path.partition("{")[0], path.rpartition("}")[2]
        self._has_params = self._start != path

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match method and path."""
        if scope["type"] != "http" or scope["method"] != self._method:
            return Match.NONE, {}
        path = scope["path"]
        if not self._has_params:
            return self._full({}) if path == self._start else (Match.NONE, {})
        can_match = path.startswith(self._start) and path.endswith(self._end)
        found = self.path_regex.fullmatch(path) if can_match else None
        return self._full(found.groupdict()) if found is not None else (Match.NONE, {})

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Answer a request, with faults only while there are fault rules."""
        # Not `async`: a second coroutine for each request would cost time.
        return (self._faulty if self._fault_plan.active else self.endpoint)(scope, receive, send)

    def _full(self, params: dict[str, str]) -> tuple[Match, Scope]:
        return Match.FULL, {"endpoint": self.endpoint, "path_params": params}


class _UnknownPath:
    """The answer to a path without a route: a redirect if only a trailing slash is wrong, else 404 (R18, R19)."""

    def __init__(self, runtime: Runtime, routes: Sequence[_OperationRoute]) -> None:
        self._runtime = runtime
        self._routes = routes

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        call = Call.of(self._runtime, scope)
        reply = self._redirect(scope) or replies.NOT_FOUND
        note(self._runtime, scope, call, reply)
        await replies.send_reply(send, reply, call.request_id, with_body=scope["method"] != "HEAD")

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
            return Reply(307, b"", (header,), reason=_SLASH)
        body = f'<a href="{escape(location)}">Moved Permanently</a>.\n\n'.encode()
        return Reply(301, body, ((b"content-type", b"text/html; charset=utf-8"), header), reason=_SLASH)
