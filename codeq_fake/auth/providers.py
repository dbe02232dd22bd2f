"""How one side's bearer tokens are judged: a fixed token, or signed ones (A3, A4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from . import claims, jwt
from .caller import Belief, Caller, tenant_of
from .errors import Unauthenticated
from .keys import FetchedKeys, FixedKeys, check_signature

if TYPE_CHECKING:
    from codeq_fake.settings import JwksAuth, StaticAuth

    from .keys import Fetch, Keys

#: White space in bytes. In Latin-1 some halves of UTF-8 characters look like white space too; they are none.
_BLANKS = " \t\n\v\f\r"


class Provider(Protocol):
    """Judges the bearer tokens of one side, producers or workers."""

    def judge(self, token: str, *, now: int) -> Belief:
        """Whom the token speaks for. Raises Unauthenticated, or KeysNeeded before it can tell."""
        ...


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
        self._belief = Belief(caller)

    def judge(self, token: str, *, now: int) -> Belief:  # noqa: ARG002 - a fixed token is good for ever
        """White space around the token does not count (A3)."""
        if token.strip(_BLANKS) != self._belief.caller.token:
            raise Unauthenticated("invalid token")
        return self._belief


class JwksProvider:
    """JWTs signed with one of a set of keys, for one issuer and audience (A4)."""

    def __init__(self, auth: JwksAuth, fetch: Fetch) -> None:
        self._issuer = auth.issuer
        self._audience = auth.audience
        self._keys: Keys = FetchedKeys(auth.url, auth.timeout, fetch) if auth.jwks is None else FixedKeys(auth.jwks)

    def judge(self, token: str, *, now: int) -> Belief:
        """The key's age bounds how long the caller is believed unasked."""
        parsed = jwt.parse(token)
        key, good_until = self._keys.find(parsed.key_id(), now=now)
        check_signature(parsed, key)
        belief = claims.believe(parsed.claims, issuer=self._issuer, audience=self._audience, token=token, now=now)
        return Belief(belief.caller, belief.since, min(belief.until, good_until))


def as_sent(token: str) -> str:
    """A configured token as a header's text has it: HTTP headers are bytes, read here as Latin-1."""
    return token.encode().decode("latin-1")
