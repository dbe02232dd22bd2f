"""What can be wrong with a fault rule."""

from __future__ import annotations


class BadFaultError(ValueError):
    """What was given is no fault rule; the text says what is wrong with it, and what is allowed."""


class FaultNotMetWarning(UserWarning):
    """No request or callback ever was what a rule is for: more often than not, a slip in what it names."""
