"""Callers, as identified by a valid token, and the refusals of all others.

`codeq_fake.http` turns a refusal into a status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

#: An instant (ns) that no clock reaches.
FOREVER = 1 << 80

_TENANT_CLAIMS = ("tenantId", "tenant_id", "organizationId", "organization_id")
_STRICT_TENANT_CLAIMS = ("tid", *_TENANT_CLAIMS)
_TENANT = re.compile("[a-z][a-z0-9-]{1,62}")


class Refusal(Exception):
    """A caller is refused. `text` is the error text of the reply, `caller` the owner of the token, if it is valid."""

    def __init__(self, text: str, caller: Caller | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.caller = caller


class Unauthenticated(Refusal):
    """The caller is not known."""


class Forbidden(Refusal):
    """The caller is known, but lacks the scope of the route (A5) or has no valid tenant (G4)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `claims` are those of its token; rate limits count by `token`, the bearer token (L1)."""

    subject: str
    tenant: str
    scopes: frozenset[str]
    event_types: tuple[str, ...]
    claims: Mapping[str, object]
    token: str
    #: Whether its tenant claims are in order (G4); they always are on v0.3.3.
    has_tenant: bool = True


@dataclass(frozen=True, slots=True)
class Authentication:
    """A caller that is authenticated from the instant `since` on and before the instant `until` (ns)."""

    caller: Caller
    since: int = -FOREVER
    until: int = FOREVER


def tenant_of(claims: Mapping[str, object], subject: str) -> str:
    """The tenant of a caller: the first tenant claim that is a text, or else the subject (A9)."""
    texts = (claim for name in _TENANT_CLAIMS if isinstance(claim := claims.get(name), str))
    return next(texts, "").strip() or subject.strip()


def strict_tenant_of(claims: Mapping[str, object], subject: str) -> str:
    """The tenant of a caller by the strict rule: all claims present agree and have one form (G4). Otherwise empty."""
    present = [claims[name] for name in _STRICT_TENANT_CLAIMS if name in claims] or [subject]
    tenants = {claim.strip() if isinstance(claim, str) else "" for claim in present}
    tenant = tenants.pop()
    return tenant if not tenants and _TENANT.fullmatch(tenant) else ""


def with_strict_tenant(caller: Caller) -> Caller:
    """The caller with its tenant by the strict rule (G4)."""
    tenant = strict_tenant_of(caller.claims, caller.subject)
    return replace(caller, tenant=tenant, has_tenant=bool(tenant))


def role_of(claims: Mapping[str, object]) -> str:
    """The role in a token, or an empty text if it is blank or no text (A8)."""
    role = claims.get("role")
    return role.strip() if isinstance(role, str) else ""
