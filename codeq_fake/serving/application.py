"""A whole fake as one ASGI application: the contract's routes, the control API and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_fake import control, http, page
from codeq_fake.runtime.fake_server import Runtime

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def application(runtime: Runtime, *, with_control: bool = True, control_token: str | None = None) -> ASGIApp:
    """The application of one fake. Without `with_control` it has the contract's routes only.

    With a `control_token`, the control API and the page require it.
    """
    if not with_control:
        return http.surface(runtime)
    beside = [*page.routes(runtime, token=control_token), *control.routes(runtime, token=control_token)]
    return http.surface(runtime, beside=beside)
