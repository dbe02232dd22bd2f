"""The control API: clock, tasks, faults, journals and state, over HTTP under `/_fake` and in process."""

from __future__ import annotations

from .errors import (
    BadRequestError,
    ConflictError,
    ControlError,
    UnknownCallbackError,
    UnknownCallError,
    UnknownFaultError,
    UnknownTaskError,
)

__all__ = [
    "BadRequestError",
    "ConflictError",
    "ControlError",
    "UnknownCallError",
    "UnknownCallbackError",
    "UnknownFaultError",
    "UnknownTaskError",
]
