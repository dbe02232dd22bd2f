"""The router of the fake's own routes. Only `application` imports it, at the first request for one of them."""

from __future__ import annotations

from starlette.routing import Router

from codeq_fake import page
from codeq_fake.control.routes import routes as control_routes
from codeq_fake.runtime.fake_server import FakeServer


def fake_router(runtime: FakeServer, token: str | None) -> Router:
    """The page and the control API of one fake."""
    # The page first: the last route of the control API matches every path.
    routes = [*page.routes(runtime, token=token), *control_routes(runtime, token=token)]
    return Router(routes, redirect_slashes=False)
