"""Access to the control API: programs on this machine or with the token, and no web pages of other sites."""

from __future__ import annotations

import hmac

from starlette.requests import Request

from codeq_fake.http.host_guard import came_by_loopback, host_name
from codeq_fake.webhooks.guard import is_loopback


class Access:
    """Checks control calls. With a `token`, each needs it as its bearer token."""

    def __init__(self, token: str | None) -> None:
        # In UTF-8. Bytes of an environment variable that are not UTF-8 are kept as they are.
        self._token = token.encode(errors="surrogateescape") if token is not None else None

    def refusal(self, request: Request) -> tuple[int, str] | None:
        """Status and reason of a refusal; None if the call is allowed."""
        reason = self.why_foreign(request)
        if reason is not None:
            return 403, reason
        if self.is_authorized(request):
            return None
        scheme, given = _authorization(request)
        if given and scheme == "bearer":
            return 401, "this is not the bearer token of this fake's control API"
        return 401, "the control API of this fake needs its bearer token"

    def is_authorized(self, request: Request) -> bool:
        """Whether the request has the token as its bearer token, or none is needed."""
        scheme, given = _authorization(request)
        return self._token is None or (scheme == "bearer" and self._is_accepted(given.encode("latin-1")))

    def why_foreign(self, request: Request) -> str | None:
        """Why a call is refused as one of another site's page; None if it is not."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return f"a page of {origin} may not call this fake"
        if self._token is None and host and came_by_loopback(request.scope) and not is_loopback(host_name(host)):
            return f"call this fake as localhost, not as {host}; with --control-token any name is allowed"
        return None

    def is_token(self, text: str) -> bool:
        """Whether this text is the token, or none is needed."""
        return self._is_accepted(text.encode(errors="surrogateescape"))

    def _is_accepted(self, given: bytes) -> bool:
        """Whether these bytes are the token, or none is needed. The time that it takes tells nothing of the token."""
        return self._token is None or hmac.compare_digest(given, self._token)


def _authorization(request: Request) -> tuple[str, str]:
    """The scheme in lower case and the credentials of a request, bytes as Latin-1."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Only HTTP's own white space: in Latin-1, parts of UTF-8 characters look like blanks, too.
    return scheme.lower(), given.strip(" \t")
