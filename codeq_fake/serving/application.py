"""A whole fake as one ASGI application: the contract's surface, and the control API and the page beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_fake import control, http, page

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from codeq_fake.runtime.fake_server import Runtime


def application(runtime: Runtime, *, with_control: bool = True, control_token: str | None = None) -> ASGIApp:
    """The contract's routes and, unless ``with_control`` is false, the control API and the page.

    With a ``control_token``, these two need it.
    """
    if not with_control:
        return http.surface(runtime)
    beside = [*page.routes(runtime, token=control_token), *control.routes(runtime, token=control_token)]
    return http.surface(runtime, beside=beside)
