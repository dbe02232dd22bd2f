"""The fake-only API: time, state and journals, over HTTP under ``/_fake`` and for the in-process handle."""

from __future__ import annotations

from .controls import Controls
from .errors import (
    BadRequestError,
    ConflictError,
    ControlError,
    UnknownCallbackError,
    UnknownCallError,
    UnknownFaultError,
    UnknownTaskError,
)
from .routes import routes

__all__ = [
    "BadRequestError",
    "ConflictError",
    "ControlError",
    "Controls",
    "UnknownCallError",
    "UnknownCallbackError",
    "UnknownFaultError",
    "UnknownTaskError",
    "routes",
]
