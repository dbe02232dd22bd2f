"""Errors of the control API. The text is for people; a refused call changes nothing."""

from __future__ import annotations


class ControlError(Exception):
    """A control call was refused; `status` is the status of the reply."""

    status = 400


class BadRequestError(ControlError):
    """An argument is invalid; the text says which one and what is allowed."""


class UnknownTaskError(ControlError):
    """There is no task with this id."""

    status = 404


class UnknownRequestError(ControlError):
    """The journal has no request with this number, or no longer."""

    status = 404


class UnknownCallbackError(ControlError):
    """The journal has no callback or notice with this number, or no longer."""

    status = 404


class UnknownFaultError(ControlError):
    """There is no fault rule with this number, or no longer."""

    status = 404


class UnknownCallError(ControlError):
    """There is no control call with this method and path."""

    status = 404


class ConflictError(ControlError):
    """The state of the fake does not allow this."""

    status = 409
