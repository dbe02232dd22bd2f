"""What a recording's header says of the server that its history must be judged by: lease, backoff, secret, callers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from codeq_contract.recordings.times import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codeq_contract.recordings.format import Header

GRAIN = MILLISECOND
"""Recorded moments are rounded, and the store cuts its own to whole milliseconds: no bound is finer than this."""

# K8: by how much a lease may end before its time. KVRocks 2.8 also rounds the expiry to a whole second.
_EARLY = {"redis": 500, "kvrocks-2.9": 1000, "kvrocks-2.8": 1500}
_EARLIEST = max(_EARLY.values())

_TENANT_CLAIMS = ("tenantId", "tenant_id", "organizationId", "organization_id")
_LARGEST_EXPONENT = 63


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a bearer token stands for (A9)."""

    subject: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings that a history's laws depend on. Times are nanoseconds, the backoff's are whole seconds."""

    early: int
    default_lease: int
    inspect_limit: int
    policy: str
    base: int
    most: int
    secret: str
    limits_webhooks: bool
    callers: Mapping[str, Caller]

    @classmethod
    def of(cls, header: Header) -> Terms:
        """Read the settings; the environment wins over the YAML file."""
        written = yaml.safe_load(header.yaml or "") or {}

        def setting(variable: str, key: str, default: str) -> str:
            return header.settings.get(variable) or str(written.get(key) or default)

        return cls(
            early=_EARLY.get(header.profile, _EARLIEST) * MILLISECOND + GRAIN,
            default_lease=int(written.get("defaultLeaseSeconds") or 300) * SECOND,
            inspect_limit=int(written.get("requeueInspectLimit") or 200),
            policy=setting("BACKOFF_POLICY", "backoffPolicy", "exp_full_jitter"),
            base=int(setting("BACKOFF_BASE_SECONDS", "backoffBaseSeconds", "5")),
            most=int(setting("BACKOFF_MAX_SECONDS", "backoffMaxSeconds", "900")),
            secret=setting("WEBHOOK_HMAC_SECRET", "webhookHmacSecret", ""),
            limits_webhooks="webhook" in (written.get("rateLimit") or {}),
            callers={name: _caller(header, name) for name in header.identities},
        )

    def backoff(self, attempts: int) -> tuple[int, int]:
        """The least and the greatest delay in seconds after `attempts` attempts (N6)."""
        ceiling = min(self.most, self.base << min(attempts, _LARGEST_EXPONENT))
        match self.policy:
            case "fixed":
                least = ceiling = min(self.most, self.base)
            case "linear":
                least = ceiling = min(self.most, self.base * max(1, attempts))
            case "exponential":
                least = ceiling
            case "exp_equal_jitter":
                least = ceiling // 2
            case _:  # the server takes a policy that it does not know for exp_full_jitter
                least = 0
        return least, ceiling


def _caller(header: Header, name: str) -> Caller:
    identity = header.identities[name]
    claims: Mapping[str, Any] = identity.claims
    subject = claims.get("sub") or ""
    if header.static is not None:
        side = header.static[identity.kind]
        # A3: a bare text is the token, and `static` is who has it.
        side = side if isinstance(side, dict) else {}
        claims, subject = side.get("raw") or {}, side.get("subject") or "static"
    named = next((claims[claim] for claim in _TENANT_CLAIMS if isinstance(claims.get(claim), str)), "")
    return Caller(subject, (named if named.strip() else subject).strip())
