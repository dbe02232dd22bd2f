"""A whole fake as one ASGI application: the contract's surface, and the control API beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import control, http

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from .runtime import Runtime


def application(runtime: Runtime, *, with_control: bool = True, control_token: str | None = None) -> ASGIApp:
    """The contract's routes, and unless ``with_control`` is false the control API, which may need a token."""
    return http.surface(runtime, beside=control.routes(runtime, token=control_token) if with_control else ())
