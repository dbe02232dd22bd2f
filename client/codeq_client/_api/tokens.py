"""Bearer tokens: a fixed text, or a provider that is asked again before the token expires and after a 401."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from codeq_client.errors import SubjectChanged

TokenProvider: TypeAlias = Callable[[], "str | Awaitable[str]"]
TokenSource: TypeAlias = "str | TokenProvider"

_EARLY_SECONDS = 30.0
"""A token is renewed this long before its `exp`, so that no call meets the server with one about to end."""


class Token:
    """One token and where its successor comes from.

    While leases are held (`hold` and `release`) a successor with another subject is refused: the server knows the
    holder of a lease by the token's subject, so the new token could not renew or settle (K5, H2).
    """

    def __init__(self, source: TokenSource) -> None:
        self.provider: TokenProvider | None = source if callable(source) else None
        self._text = "" if callable(source) else source.strip()
        self._expires, self._subject = _claims(self._text)
        self._holds = 0
        self._refused = False

    @property
    def text(self) -> str:
        """The current token, empty before the first one was asked for."""
        return self._text

    def due(self, now: float) -> bool:
        """Whether the provider should be asked before the next call; `now` is in seconds since the epoch."""
        return self.provider is not None and (not self.usable(now) or now >= self._expires - _EARLY_SECONDS)

    def usable(self, now: float) -> bool:
        """Whether the current token can still be accepted by the server."""
        return bool(self._text) and not self._refused and now < self._expires

    def refuse(self, text: str) -> bool:
        """Note a 401 for `text`; return whether there may be a better token to try."""
        if self.provider is None:
            return False
        if text == self._text:
            self._refused = True
        return True

    def accept(self, text: str) -> None:
        """Take the provider's answer; raises `SubjectChanged`."""
        expires, subject = _claims(text.strip())
        if self._holds and self._subject and subject != self._subject:
            raise SubjectChanged(f"the new token's subject is {subject!r}; leases are held by {self._subject!r}")
        self._text, self._expires, self._subject, self._refused = text.strip(), expires, subject, False

    def hold(self) -> None:
        """Count one lease that only this token's subject can renew."""
        self._holds += 1

    def release(self) -> None:
        """Count one such lease less."""
        self._holds -= 1


def _claims(token: str) -> tuple[float, str]:
    """Return expiry and subject of a JWT, unverified; a token that is none never expires and has no subject."""
    try:
        body = token.split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        expires = claims.get("exp")
        return (math.inf if expires is None else float(expires)), str(claims.get("sub", ""))
    except (ValueError, TypeError, LookupError, AttributeError):
        return math.inf, ""
