"""The page at `/_fake/`: shows in a browser what happens at a fake, and lets a person change it.

Rendered on the server, with one style sheet and one small script of the package; it needs no network and no build.
"""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from codeq_fake.runtime.fake_server import FakeServer

_PATHS = ("/_fake/", "/_fake/api", "/_fake/page/{rest:path}")


def routes(runtime: FakeServer, *, token: str | None = None) -> list[BaseRoute]:
    """The page's routes for one fake. With a `token`, a browser must send it first."""
    page = _LazyPage(runtime, token)
    home = [Route(path, _to_the_page, methods=["GET"]) for path in ("/", "/_fake")]
    return [*home, *(Route(path, page) for path in _PATHS)]


def loaded_ahead() -> Iterator[None]:
    """Load piece by piece what the first visitor needs. All takes a quarter of a second."""
    from .rendering import compiled_templates  # noqa: PLC0415 - see _LazyPage

    return compiled_templates()


async def _to_the_page(_: Request) -> Response:
    return RedirectResponse("/_fake/")


class _LazyPage:
    """Loads the site at the first request: a fake without visitors does not pay for templates."""

    def __init__(self, runtime: FakeServer, token: str | None) -> None:
        self._runtime = runtime
        self._token = token
        self._site: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._site is None:
            from .site import Site  # noqa: PLC0415 - Jinja takes 40 ms to import

            self._site = Site(self._runtime, self._token)
        await self._site(scope, receive, send)
