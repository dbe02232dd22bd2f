"""Who is calling, once a token has been believed, and for how long it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: An instant (ns) that no clock here reaches.
FOREVER = 1 << 80

_TENANT_CLAIMS = ("tenantId", "tenant_id", "organizationId", "organization_id")


@dataclass(frozen=True, slots=True)
class Caller:
    """A believed caller.

    ``claims`` are the token's raw ones; ``token`` is the bearer token, by which a rate limit counts (L1).
    """

    subject: str
    tenant: str
    scopes: frozenset[str]
    event_types: tuple[str, ...]
    claims: Mapping[str, object]
    token: str


@dataclass(frozen=True, slots=True)
class Belief:
    """A caller, believed from the instant ``since`` and before the instant ``until`` (ns)."""

    caller: Caller
    since: int = -FOREVER
    until: int = FOREVER


def tenant_of(claims: Mapping[str, object], subject: str) -> str:
    """Whose queues a caller uses: of the first tenant claim that is a text, or else of the subject (A9)."""
    texts = (claim for name in _TENANT_CLAIMS if isinstance(claim := claims.get(name), str))
    return next(texts, "").strip() or subject.strip()


def role_of(claims: Mapping[str, object]) -> str:
    """The token's own role; empty when it has none (A8)."""
    role = claims.get("role")
    return role if isinstance(role, str) else ""
