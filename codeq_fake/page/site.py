"""The page as one ASGI application: checks the access to each request, calls its handler, and adds the headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from importlib.resources import files
from inspect import isawaitable
from types import MappingProxyType
from typing import TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from codeq_fake.clocks import in_slices
from codeq_fake.control import ControlError
from codeq_fake.control.controls import Controls
from codeq_fake.runtime.fake_server import FakeServer

from . import actions, pages
from .access import PageAccess
from .data import next_event
from .limits import LARGEST_FORM, LARGEST_LOGIN
from .visit import Visit

Handler: TypeAlias = Callable[[Visit], Response | Awaitable[Response]]

_LOGIN = "/_fake/page/login"
_NOT_FOUND = 404

#: A browser may only load files of this site, send forms to it, and show the page outside of frames.
_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # With no-referrer a browser would not send the origin of a form.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)

_ASSETS: Mapping[str, str] = MappingProxyType(
    {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
)


class Site:
    """The whole page of one fake."""

    def __init__(self, runtime: FakeServer, token: str | None) -> None:
        self._runtime = runtime
        self._controls = Controls(runtime)
        self._access = PageAccess(token)
        routes = [
            *(Route(f"/_fake/page/{name}", _asset, methods=["GET"]) for name in _ASSETS),
            *(self._route(path, "GET", handler) for path, handler in pages.PAGES.items()),
            *(self._route(path, "POST", handler) for path, handler in actions.ACTIONS.items()),
            self._route(_LOGIN, "POST", self._log_in),
            self._route("/_fake/page/logout", "POST", self._log_out),
            self._route("/_fake/page/{rest:path}", "GET", pages.nowhere),
        ]
        self._router = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._router(scope, receive, send)

    def _route(self, path: str, method: str, handler: Handler) -> Route:
        return Route(path, partial(self._respond, handler), methods=[method])

    async def _respond(self, handler: Handler, request: Request) -> Response:
        visit = Visit(request, self._runtime, self._controls, needs_token=self._access.needs_token)
        response = await self._answer(visit, handler)
        response.headers.update(_HEADERS)
        return response

    async def _answer(self, visit: Visit, handler: Handler) -> Response:
        """Answer one request: check its access, read its form, and call its handler."""
        request = visit.request
        is_login = request.url.path == _LOGIN and request.method == "POST"
        if refusal := self._access.refusal(request):
            return visit.refuse(403, refusal)
        if not is_login and not self._access.is_logged_in(request):
            return visit.show("login.html", 401)
        try:
            if request.method == "POST":
                await visit.read_form(LARGEST_LOGIN if is_login else LARGEST_FORM)
            visit.event = await in_slices(next_event(self._runtime))
            response = handler(visit)
            return await response if isawaitable(response) else response
        except ControlError as error:
            if error.status == _NOT_FOUND:
                return visit.refuse(_NOT_FOUND, str(error))
            return visit.back(str(error), problem=True)
        except ClientDisconnect:
            return visit.refuse(400, "you hung up")

    def _log_in(self, visit: Visit) -> Response:
        if not self._access.is_token(visit.field("token")):
            return visit.show("login.html", 401, problem="That is not this fake's control token.")
        response = RedirectResponse(visit.form.back, 303)
        self._access.log_in(visit.request, response)
        return response

    def _log_out(self, visit: Visit) -> Response:
        response = RedirectResponse("/_fake/", 303)
        self._access.log_out(visit.request, response)
        return response


async def _asset(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    return Response(_read(name), media_type=_ASSETS[name], headers={**_HEADERS, "Cache-Control": "no-cache"})


@cache
def _read(name: str) -> bytes:
    return (files(__package__) / "assets" / name).read_bytes()
