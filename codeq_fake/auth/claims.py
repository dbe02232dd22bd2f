"""The claims of a signed token: whether they hold here and now, and which caller they name (A4)."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from .caller import FOREVER, Authentication, Caller, Unauthenticated, tenant_of

_SECOND = 1_000_000_000


def authenticate_claims(
    claims: Mapping[str, object], *, issuer: str, audience: str, token: str, now: int
) -> Authentication:
    """Check the claims. Raises Unauthenticated.

    The order is the server's: first the times, which its library checks, then issuer, audience and the end of the time
    once more, which it checks itself.
    """
    since, until = _times(claims, now)
    found_issuer = _text(claims, "iss")
    if found_issuer != issuer:
        raise Unauthenticated(f"invalid issuer: {found_issuer}")
    aud = claims.get("aud")
    audiences = (aud,) if isinstance(aud, str) else _texts(aud)
    if audience not in audiences:
        raise Unauthenticated(f"invalid audience: [{' '.join(audiences)}]")
    if claims.get("exp") == 0:
        # The library takes 0 for no time, the server itself for one that is over.
        raise Unauthenticated("token expired")
    subject = _text(claims, "sub")
    caller = Caller(
        subject=subject,
        tenant=tenant_of(claims, subject),
        scopes=frozenset(_text(claims, "scope").split()),
        event_types=_texts(claims.get("eventTypes")),
        claims=claims,
        token=token,
    )
    return Authentication(caller, since, until)


def _times(claims: Mapping[str, object], now: int) -> tuple[int, int]:
    """The instants (ns) between which the claims hold. One refusal lists all faults."""
    faults: list[str] = []
    until = _instant(claims, "exp", FOREVER, faults)
    if now >= until:
        faults.append("token is expired")
    since = _instant(claims, "nbf", -FOREVER, faults)
    if now < since:
        faults.append("token is not valid yet")
    if faults:
        raise Unauthenticated(f"token has invalid claims: {', '.join(faults)}")
    return since, until


def _instant(claims: Mapping[str, object], name: str, default: int, faults: list[str]) -> int:
    """A claim in seconds since the epoch, as ns. A fraction is cut off, and 0 counts as absent."""
    seconds = claims.get(name, 0)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not abs(seconds) < inf:
        faults.append(f"invalid type for claim: {name} is invalid")
        return default
    return int(seconds) * _SECOND if seconds else default


def _text(claims: Mapping[str, object], name: str) -> str:
    claim = claims.get(name)
    return claim if isinstance(claim, str) else ""


def _texts(claim: object) -> tuple[str, ...]:
    return tuple(item for item in claim if isinstance(item, str)) if isinstance(claim, list | tuple) else ()
