"""The page as one ASGI application: each request through the door, to its handler, and out with the page's headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router

from codeq_fake.control import ControlError, Controls, UnknownCallbackError, UnknownFaultError, UnknownTaskError

from . import actions, pages
from .access import Door
from .rendering import ASSETS, HEADERS, asset
from .visit import Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from codeq_fake.runtime.fake_server import Runtime

    Handler = Callable[[Visit], Awaitable[Response]]

_LOGIN = "/_fake/page/login"
_LARGEST_LOGIN = 10_000  # bytes: whoever logs in is not known yet


class Site:
    """All that a browser sees of one fake."""

    def __init__(self, runtime: Runtime, token: str | None) -> None:
        self._runtime = runtime
        self._controls = Controls(runtime)
        self._door = Door(token)
        looks = [self._route(path, "GET", handler) for path, handler in pages.PAGES.items()]
        acts = [self._route(path, "POST", handler) for path, handler in actions.ACTS.items()]
        assets = [Route(f"/_fake/page/{name}", _asset, methods=["GET"]) for name in ASSETS]
        login = [
            self._route(_LOGIN, "POST", self._log_in, locked=False),
            self._route("/_fake/page/logout", "POST", self._log_out),
            self._route("/_fake/page/{rest:path}", "GET", pages.nowhere),
        ]
        self._router = Router([*assets, *looks, *acts, *login], redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._router(scope, receive, send)

    def _route(self, path: str, method: str, handler: Handler, *, locked: bool = True) -> Route:
        async def endpoint(request: Request) -> Response:
            visit = Visit(request, self._runtime, self._controls, has_lock=self._door.has_lock)
            response = await self._answer(visit, handler, locked=locked)
            response.headers.update(HEADERS)
            return response

        return Route(path, endpoint, methods=[method])

    async def _answer(self, visit: Visit, handler: Handler, *, locked: bool) -> Response:
        refusal = self._door.refusal(visit.request)
        if refusal is not None:
            return visit.refuse(403, refusal)
        if locked and not self._door.lets_in(visit.request):
            return visit.show("login.html", 401)
        try:
            return await handler(visit)
        except (UnknownTaskError, UnknownCallbackError, UnknownFaultError) as error:
            return visit.refuse(404, str(error))
        except ControlError as error:
            return visit.back(str(error), problem=True)
        except ClientDisconnect:
            return visit.refuse(400, "you hung up")

    async def _log_in(self, visit: Visit) -> Response:
        form = await visit.form(largest=_LARGEST_LOGIN)
        if not self._door.opens_to(form.text("token")):
            return visit.show("login.html", 401, problem="That is not this fake's control token.")
        response = RedirectResponse(form.back, 303)
        self._door.hand_out(visit.request, response)
        return response

    async def _log_out(self, visit: Visit) -> Response:
        response = RedirectResponse("/_fake/", 303)
        self._door.take_back(visit.request, response)
        return response


async def _asset(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    headers = {**HEADERS, "Cache-Control": "no-cache"}
    return Response(asset(name), media_type=ASSETS[name], headers=headers)
