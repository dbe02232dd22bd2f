"""Access to the page: requests of this site only, and with the control token if there is one."""

from __future__ import annotations

import hashlib
import hmac

from starlette.requests import Request
from starlette.responses import Response

from codeq_fake.control.access import Access


class PageAccess:
    """Checks the page's requests. With a `token`, a browser sends it once and gets a cookie."""

    def __init__(self, token: str | None) -> None:
        self._access = Access(token)
        # Not the token itself: a browser sends a cookie to every port of a host.
        key = (token or "").encode(errors="surrogateescape")
        self._cookie = hmac.new(key, b"codeq-fake page", hashlib.sha256).hexdigest()
        self.needs_token = token is not None

    def refusal(self, request: Request) -> str | None:
        """Why a request is refused as the request of another site; None if it is not."""
        reason = self._access.why_foreign(request)
        if reason is not None:
            return reason
        site, mode = request.headers.get("sec-fetch-site"), request.headers.get("sec-fetch-mode")
        if request.method in ("GET", "HEAD"):  # changes nothing, so another site may link to it
            is_own = site in (None, "same-origin", "none")
            return None if is_own or mode == "navigate" else "another site may only link to this page"
        if site is None and "origin" not in request.headers:
            return "a browser would send the origin of this form; programs use the control API"
        return None if site in (None, "same-origin") else "this form is not on this page"

    def is_logged_in(self, request: Request) -> bool:
        """Whether the request has the cookie or the bearer token, or none is needed."""
        cookie = request.cookies.get(cookie_name(request), "")
        return hmac.compare_digest(cookie.encode(), self._cookie.encode()) or self._access.is_authorized(request)

    def is_token(self, token: str) -> bool:
        """Whether this text is the control token, or none is needed."""
        return self._access.is_token(token)

    def log_in(self, request: Request, response: Response) -> None:
        """Set the browser's cookie."""
        response.set_cookie(cookie_name(request), self._cookie, path="/_fake", httponly=True, samesite="strict")

    def log_out(self, request: Request, response: Response) -> None:
        """Delete the browser's cookie."""
        response.delete_cookie(cookie_name(request), path="/_fake", httponly=True, samesite="strict")


def cookie_name(request: Request, purpose: str = "") -> str:
    """The name of a cookie, with the port: browsers share cookies between the ports of a host."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return "-".join(filter(None, ("codeq-fake", port if port.isdecimal() and port.isascii() else "", purpose)))
