"""The routes of the contract as an ASGI application."""

from __future__ import annotations

import re
from collections.abc import Coroutine, Sequence
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from codeq_fake.runtime.fake_server import FakeServer

from . import replies
from .endpoint import Endpoint, add_to_journal
from .faults.endpoint import FaultyEndpoint
from .host_guard import HostGuard
from .operations import OPERATIONS, TOPIC_OPERATIONS, Operation
from .request import Call

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
#: In a path it may stand for bytes that are no UTF-8.
_REPLACEMENT = "\ufffd"


class OtherApp(Protocol):
    """An application that answers some paths that the contract does not have."""

    def handles(self, scope: Scope) -> bool:
        """Whether it answers this request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""


def contract_app(runtime: FakeServer, other_app: OtherApp | None = None) -> ASGIApp:
    """The application that answers R1 to R17, lets `other_app` answer what it handles, and all else by R18 and R19."""
    return _ContractApp(runtime, other_app)


class _ContractApp:
    """All routes. A path with a bad percent escape is refused first, as Go's server refuses it."""

    def __init__(self, runtime: FakeServer, other_app: OtherApp | None) -> None:
        self._runtime = runtime
        self._other_app = other_app
        self._unknown_path = _UnknownPath(runtime)

    @cached_property
    def _tables(self) -> tuple[_Table, _Table]:
        """The routes, by whether the version has topics.

        They are made at the first request: they are a quarter of a fake's set-up, and many tests send none.
        """
        hosts = HostGuard(self._runtime)
        operations = [_OperationRoute(self._runtime, operation, hosts) for operation in OPERATIONS]
        topics = [_OperationRoute(self._runtime, operation, hosts) for operation in TOPIC_OPERATIONS]
        return _Table(operations), _Table([*operations, *topics])

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Answer a request."""
        # Not `async`, and not by Starlette's routes: more coroutines for each request would cost time, and Starlette's
        # import takes a tenth of a start.
        raw_path = scope.get("raw_path") or b""
        if b"%" in raw_path and _BAD_ESCAPE.search(raw_path):
            return replies.send_reply(send, replies.BAD_REQUEST, None)
        if scope["type"] == "http":
            method, path = scope["method"], scope["path"]
            if _REPLACEMENT in path:
                path = unquote_to_bytes(raw_path).decode(errors="surrogateescape")
            table = self._tables[self._runtime.broker.profile.version.has_topics]
            fixed = table.fixed.get((method, path))
            if fixed is not None:
                return fixed.answer(scope, receive, send)
            for route in table.with_params:
                params = route.match(method, path)
                if params is not None:
                    scope["path_params"] = params
                    return route.answer(scope, receive, send)
            if self._other_app is not None and self._other_app.handles(scope):
                return self._other_app(scope, receive, send)
        elif scope["type"] == "lifespan":
            return _lifespan(receive, send)
        return self._unknown_path(scope, receive, send)


class _Table:
    """The routes of some versions."""

    def __init__(self, routes: Sequence[_OperationRoute]) -> None:
        #: A path without an id takes precedence over one that an id matches, so it is looked up first.
        self.fixed = {(route.method, route.start): route for route in routes if not route.has_params}
        self.with_params = [route for route in routes if route.has_params]


class _OperationRoute:
    """The route of one operation. With another method its path is unknown: no 405, and no HEAD for a GET (R18)."""

    def __init__(self, runtime: FakeServer, operation: Operation, hosts: HostGuard) -> None:
        self._endpoint = Endpoint(runtime, operation, hosts)
        self.method = operation.method
        self._fault_plan = runtime.fault_plan
        self._faulty = FaultyEndpoint(runtime, operation, self._endpoint)
        # Comparisons cost less than a regular expression, and most requests fail them.
        self.start, brace, rest = operation.path.partition("{")
        self._parameter, _, self._end = rest.partition("}")
        self.has_params = bool(brace)

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The parameters in a path that has some, None if it is not this route's.

        The id in the middle of a path may be empty, as it may in the server's router.
        """
        if method != self.method or not (path.startswith(self.start) and path.endswith(self._end)):
            return None
        until = len(path) - len(self._end)
        value = path[len(self.start) : until]
        if "/" in value or until < len(self.start) or not (value or self._end):
            return None
        return {self._parameter: value}

    def answer(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Answer a request, with faults only while there are fault rules."""
        # Not `async`: a second coroutine for each request would cost time.
        return (self._faulty if self._fault_plan.active else self._endpoint)(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    """Agree to the start and the end of a server: there is nothing to do at either."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


class _UnknownPath:
    """The answer to a path without a route: a redirect if only a trailing slash is wrong, else 404 (R18, R19)."""

    def __init__(self, runtime: FakeServer) -> None:
        self._runtime = runtime

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        from .redirects import redirect  # noqa: PLC0415 - slow, and most clients know the paths

        call = Call.of(self._runtime, scope)
        early = replies.OPTIONS if _asks_for_options(scope) else redirect(scope, call.broker.profile.version)
        reply = early or replies.NOT_FOUND
        add_to_journal(self._runtime, scope, call, reply)
        # R20: what Go's server or its router answers early, before any code of CodeQ runs, has no id.
        request_id = call.request_id if early is None else None
        await replies.send_reply(send, reply, request_id, with_body=scope["method"] != "HEAD")


def _asks_for_options(scope: Scope) -> bool:
    """Whether it is `OPTIONS *`, which Go's server answers itself."""
    return bool(scope["path"] == "*" and scope["method"] == "OPTIONS")
