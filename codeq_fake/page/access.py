"""The page's door: a browser comes in from this site alone, and with the control token where there is one."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from codeq_fake.control.access import Access

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

#: What a browser says of a request that no other site has caused.
_OWN = frozenset({"same-origin", "none"})


class Door:
    """Judges the page's requests. With a ``token``, a browser gives it once and then has a cookie."""

    def __init__(self, token: str | None) -> None:
        self._access = Access(token)
        # Not the token itself: a cookie goes to every port of a host.
        self._pass = hmac.new((token or "").encode(), b"codeq-fake page", hashlib.sha256).hexdigest()
        self.has_lock = token is not None

    def refusal(self, request: Request) -> str | None:
        """Why a request is another site's doing, None when it is not."""
        foreign = self._access.foreign(request)
        if foreign is not None:
            return foreign
        site, mode = request.headers.get("sec-fetch-site"), request.headers.get("sec-fetch-mode")
        if request.method in ("GET", "HEAD"):  # changes nothing: a link from elsewhere may lead here
            return None if site is None or site in _OWN or mode == "navigate" else "only a link may lead here"
        if site is None and "origin" not in request.headers:
            return "a browser would say where this form comes from; for programs there is the control API"
        return None if site is None or site == "same-origin" else "this form is not of this page"

    def lets_in(self, request: Request) -> bool:
        """Whether the token, where there is one, came as a cookie or as the bearer token."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        shown = request.cookies.get(cookie_name(request), "")
        return hmac.compare_digest(shown.encode(), self._pass.encode()) or (
            self.opens_to(given.strip()) and (scheme.lower() == "bearer" or not self.has_lock)
        )

    def opens_to(self, token: str) -> bool:
        """Whether this is the control token."""
        return self._access.knows(token)

    def hand_out(self, request: Request, response: Response) -> None:
        """Give the browser its cookie."""
        response.set_cookie(cookie_name(request), self._pass, path="/_fake", httponly=True, samesite="strict")

    def take_back(self, request: Request, response: Response) -> None:
        """Take the browser's cookie away."""
        response.delete_cookie(cookie_name(request), path="/_fake", httponly=True, samesite="strict")


def cookie_name(request: Request, what: str = "") -> str:
    """A cookie's name: a browser does not tell the fakes on two ports of a host apart."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return "-".join(filter(None, ("codeq-fake", port if port.isdecimal() and port.isascii() else "", what)))
