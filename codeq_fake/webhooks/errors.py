"""Why a request got no answer."""

from __future__ import annotations


class BlockedError(Exception):
    """It was not sent, because it would have left for a public host; open the host if that is wanted."""


class DeliveryError(Exception):
    """It could not be sent, or no answer came; the text says why."""
