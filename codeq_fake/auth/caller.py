"""Callers, as identified by a valid token, and the refusals of all others.

`codeq_fake.http` turns a refusal into a status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: An instant (ns) that no clock reaches.
FOREVER = 1 << 80

_TENANT_CLAIMS = ("tenantId", "tenant_id", "organizationId", "organization_id")


class Refusal(Exception):
    """The caller is not let in. `text` is the error text of the reply."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Unauthenticated(Refusal):
    """The caller is not known."""


class Forbidden(Refusal):
    """The caller is known but lacks the scope of the route (A5)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `claims` are those of its token; rate limits count by `token`, the bearer token (L1)."""

    subject: str
    tenant: str
    scopes: frozenset[str]
    event_types: tuple[str, ...]
    claims: Mapping[str, object]
    token: str


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


def role_of(claims: Mapping[str, object]) -> str:
    """The role in a token, or an empty text if it is blank or no text (A8)."""
    role = claims.get("role")
    return role.strip() if isinstance(role, str) else ""
