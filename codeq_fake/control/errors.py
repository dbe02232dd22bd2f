"""Why the control API refuses: a text for a person, and nothing has changed.

ControlError
├── BadRequestError     what was sent is not what the call takes
├── UnknownTaskError    there is no such task
├── UnknownCallbackError the journal has no such callback
├── UnknownFaultError   there is no such fault rule
├── UnknownCallError    there is no such control call
└── ConflictError       it cannot be done now: time never goes back, a task holds no lease
"""

from __future__ import annotations


class ControlError(Exception):
    """A control call was refused."""


class BadRequestError(ControlError):
    """The arguments are not what the call takes; the text says which, and what is allowed."""


class UnknownTaskError(ControlError):
    """There is no task with this id."""


class UnknownCallbackError(ControlError):
    """The journal has no callback or notice of this number, or none any more."""


class UnknownFaultError(ControlError):
    """There is no fault rule with this number, or none any more."""


class UnknownCallError(ControlError):
    """There is no control call of this method and path."""


class ConflictError(ControlError):
    """The fake is not in a state in which this can be done."""
