"""Authentication providers: one fixed token, or signed tokens (A3, A4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from codeq_fake.server_settings import Auth, JwksAuth, MultiAuth, StaticAuth

from . import jwt
from .caller import Authentication, Caller, Unauthenticated, tenant_of
from .claims import authenticate_claims
from .jwks import Fetch, Keys, check_signature

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
        jwt.check_length(token)
        parsed = jwt.parse(token)
        key, good_until = self._keys.find(parsed.key_id(), now=now)
        check_signature(parsed, key)
        checked = authenticate_claims(parsed.claims, issuer=self._issuer, audience=self._audience, token=token, now=now)
        return Authentication(checked.caller, checked.since, min(checked.until, good_until))


class MultiProvider:
    """Several providers; the first that accepts a token counts (G8)."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = providers

    def authenticate(self, token: str, *, now: int) -> Authentication:
        """As the first provider that accepts the token. The refusal has the texts of all."""
        texts: list[str] = []
        for provider in self._providers:
            try:
                return provider.authenticate(token, now=now)
            except Unauthenticated as refusal:
                texts.append(refusal.text)
        raise Unauthenticated("multi auth: token rejected by every provider: " + "\n".join(texts))


def provider_of(auth: Auth, fetch: Fetch) -> Provider:
    """The provider that these settings describe."""
    match auth:
        case MultiAuth():
            return MultiProvider([provider_of(part, fetch) for part in auth.providers])
        case JwksAuth():
            return JwksProvider(auth, fetch)
        case _:
            return StaticProvider(auth)


def as_sent(token: str) -> str:
    """A configured token as it appears in a header: HTTP headers are bytes, read here as Latin-1."""
    return token.encode().decode("latin-1")
