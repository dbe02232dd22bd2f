"""Whether a token's claims hold now, and for whom it speaks (A4)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from .caller import FOREVER, Belief, Caller, tenant_of
from .errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECOND = 1_000_000_000


def believe(claims: Mapping[str, object], *, issuer: str, audience: str, token: str, now: int) -> Belief:
    """The caller whom the claims name, and the time that they give. Raises Unauthenticated.

    The order is the server's: the times first (its library's check), then issuer and audience (its own).
    """
    since, until = _times(claims, now)
    found_issuer = _text(claims, "iss")
    if found_issuer != issuer:
        raise Unauthenticated(f"invalid issuer: {found_issuer}")
    audiences = _audiences(claims.get("aud"))
    if audience not in audiences:
        raise Unauthenticated(f"invalid audience: [{' '.join(audiences)}]")
    subject = _text(claims, "sub")
    caller = Caller(
        subject=subject,
        tenant=tenant_of(claims, subject),
        scopes=frozenset(_text(claims, "scope").split()),
        event_types=_texts(claims.get("eventTypes")),
        claims=claims,
        token=token,
    )
    return Belief(caller, since, until)


def _times(claims: Mapping[str, object], now: int) -> tuple[int, int]:
    """The instants (ns) from which and until which the claims hold; all that is wrong with them is told at once."""
    since, until = -FOREVER, FOREVER
    faults = []
    try:
        until = _instant(claims, "exp", default=FOREVER)
        if now >= until:
            faults.append("token is expired")
    except TypeError as error:
        faults.append(str(error))
    try:
        since = _instant(claims, "nbf", default=-FOREVER)
        if now < since:
            faults.append("token is not valid yet")
    except TypeError as error:
        faults.append(str(error))
    if faults:
        raise Unauthenticated(f"token has invalid claims: {', '.join(faults)}")
    return since, until


def _instant(claims: Mapping[str, object], name: str, *, default: int) -> int:
    """A claim of seconds since the epoch, as ns; a fraction is cut off. 0 is as good as absent."""
    if name not in claims:
        return default
    seconds = claims[name]
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not abs(seconds) < inf:
        raise TypeError(f"invalid type for claim: {name} is invalid")
    return int(seconds) * _SECOND if seconds else default


def _text(claims: Mapping[str, object], name: str) -> str:
    claim = claims.get(name)
    return claim if isinstance(claim, str) else ""


def _texts(claim: object) -> tuple[str, ...]:
    """The texts of an array; anything else counts as absent."""
    return tuple(item for item in claim if isinstance(item, str)) if isinstance(claim, list | tuple) else ()


def _audiences(claim: object) -> tuple[str, ...]:
    return (claim,) if isinstance(claim, str) else _texts(claim)
