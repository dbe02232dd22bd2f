"""Who may drive the control API: whoever is on this machine or has the token, and no web page."""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.requests import Request


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own, and no other machine's."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class Access:
    """Judges control calls. With a ``token``, each needs it as its bearer token."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def refusal(self, request: Request) -> tuple[int, str] | None:
        """Status and reason of the refusal, None for a call that is let in."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return 403, f"a page of {origin} may not drive this fake"
        if self._token is not None:
            return None if self._has_token(request) else (401, "the control API of this fake needs its bearer token")
        if host and _came_by_loopback(request) and not is_loopback(_name(host)):
            return 403, f"this fake is reached as localhost, not as {host}; with --control-token any name will do"
        return None

    def _has_token(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode(), (self._token or "").encode())
        return known and scheme.lower() == "bearer"


def _came_by_loopback(request: Request) -> bool:
    """Whether a browser on this machine could have sent this: it may take any name for this machine's (DNS rebinding).

    A call in process comes by no address.
    """
    server = request.scope.get("server")
    return server is not None and is_loopback(server[0])


def _name(host: str) -> str:
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:
        return ""
    return parts.hostname or "" if parts.username is None else ""
