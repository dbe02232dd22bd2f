"""Authentication providers: one fixed token, or signed tokens (A3, A4)."""

from __future__ import annotations

from typing import Protocol

from codeq_fake.server_settings import JwksAuth, StaticAuth

from . import claims, jwt
from .caller import Authentication, Caller, Unauthenticated, tenant_of
from .keys import Fetch, Keys, check_signature

#: White space in bytes. In Latin-1, parts of UTF-8 characters also look like white space, but are none.
_BLANKS = " \t\n\v\f\r"


class Provider(Protocol):
    """Authenticates the bearer tokens of producers or of workers."""

    def authenticate(self, token: str, *, now: int) -> Authentication:
        """The caller of a token. Raises Unauthenticated, or KeysNeeded if keys have to be fetched first."""


class StaticProvider:
    """One token, one caller (A3)."""

    def __init__(self, auth: StaticAuth) -> None:
        caller = Caller(
            subject=auth.subject,
            tenant=tenant_of(auth.raw, auth.subject),
            scopes=frozenset(auth.scopes),
            event_types=auth.event_types,
            claims=auth.raw,
            token=as_sent(auth.token),
        )
        self._authentication = Authentication(caller)

    def authenticate(self, token: str, *, now: int) -> Authentication:  # noqa: ARG002 - a fixed token never expires
        """Compare the token. White space around it does not count (A3)."""
        if token.strip(_BLANKS) != self._authentication.caller.token:
            raise Unauthenticated("invalid token")
        return self._authentication


class JwksProvider:
    """JWTs that are signed with a key of a set, for one issuer and audience (A4)."""

    def __init__(self, auth: JwksAuth, fetch: Fetch) -> None:
        self._issuer = auth.issuer
        self._audience = auth.audience
        self._keys = Keys(auth, fetch)

    def authenticate(self, token: str, *, now: int) -> Authentication:
        """Check signature and claims. The result is valid at most until the key is too old."""
        parsed = jwt.parse(token)
        key, good_until = self._keys.find(parsed.key_id(), now=now)
        check_signature(parsed, key)
        found = claims.authenticate(parsed.claims, issuer=self._issuer, audience=self._audience, token=token, now=now)
        return Authentication(found.caller, found.since, min(found.until, good_until))


def as_sent(token: str) -> str:
    """A configured token as it appears in a header: HTTP headers are bytes, read here as Latin-1."""
    return token.encode().decode("latin-1")
