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
        foreign = self.foreign(request)
        if foreign is not None:
            return 403, foreign
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if self.knows(given.strip()) and (scheme.lower() == "bearer" or self._token is None):
            return None
        if given.strip() and scheme.lower() == "bearer":
            return 401, "this is not the bearer token of this fake's control API"
        return 401, "the control API of this fake needs its bearer token"

    def foreign(self, request: Request) -> str | None:
        """Why a call comes from where none may come from: another site's page, or a name that is not this machine's."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return f"a page of {origin} may not drive this fake"
        if self._token is None and host and _came_by_loopback(request) and not is_loopback(_name(host)):
            return f"this fake is reached as localhost, not as {host}; with --control-token any name will do"
        return None

    def knows(self, given: str) -> bool:
        """Whether this is the token, or none is needed."""
        return self._token is None or hmac.compare_digest(given.encode(), self._token.encode())


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
