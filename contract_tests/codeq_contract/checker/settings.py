"""The server's settings that the laws depend on, from a recording's header: lease, backoff, secret, callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from codeq_contract.recordings.format import UNREADABLE, Header, RecordingError
from codeq_contract.recordings.times import MILLISECOND, SECOND
from codeq_contract.stores import rules_of, store_of

GRAIN = MILLISECOND
"""No bound is finer: recorded moments are rounded, and the store cuts its own to whole milliseconds."""

_LARGEST_EXPONENT = 63


@dataclass(frozen=True, slots=True)
class Caller:
    """The subject and the tenant of a bearer token (A9)."""

    subject: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the recorded server. Times are nanoseconds, those of the backoff whole seconds.

    A lease may expire up to `most_early` before its end (K8). A claim repairs a queue if that is `repair_interval`
    after the last repair (Q1). A server that `has_reaper` also repairs without claims (P1). A task is deleted
    `task_life` after its creation if that is not 0 (P8). A server that `always_calls_back` does so for results in a
    batch and for dead letters too (G5, G6).
    """

    most_early: int
    repair_interval: int
    has_reaper: bool
    task_life: int
    always_calls_back: bool
    default_lease: int
    inspect_limit: int
    backoff_policy: str
    backoff_base: int
    backoff_max: int
    secret: str
    limits_webhooks: bool
    callers: Mapping[str, Caller]

    @classmethod
    def of(cls, header: Header) -> Settings:
        """Read the settings. The environment overrides the YAML file. Raises RecordingError."""
        try:
            return cls._read(header)
        except (yaml.YAMLError, *UNREADABLE) as error:
            text = f"the settings of the recording cannot be read: {' '.join(str(error).split())}"
            raise RecordingError(text) from error

    @classmethod
    def _read(cls, header: Header) -> Settings:
        """As `of`, but raises what YAML and wrong types raise."""
        file = yaml.safe_load(header.yaml or "") or {}

        def setting(variable: str, key: str, default: str) -> str:
            return header.settings.get(variable) or str(file.get(key) or default)

        store, rules = store_of(header.profile), rules_of(header.profile)
        return cls(
            most_early=store.most_early * MILLISECOND + GRAIN,
            repair_interval=rules.repair_interval,
            has_reaper=bool(store.reaper),
            task_life=store.task_life,
            always_calls_back=rules.always_calls_back,
            default_lease=int(file.get("defaultLeaseSeconds") or 300) * SECOND,
            inspect_limit=int(file.get("requeueInspectLimit") or 200),
            backoff_policy=setting("BACKOFF_POLICY", "backoffPolicy", "exp_full_jitter"),
            backoff_base=int(setting("BACKOFF_BASE_SECONDS", "backoffBaseSeconds", "5")),
            backoff_max=int(setting("BACKOFF_MAX_SECONDS", "backoffMaxSeconds", "900")),
            secret=setting("WEBHOOK_HMAC_SECRET", "webhookHmacSecret", ""),
            limits_webhooks="webhook" in (file.get("rateLimit") or {}),
            callers={name: _caller(header, name) for name in header.identities},
        )

    def backoff(self, attempts: int) -> tuple[int, int]:
        """The shortest and the longest delay in seconds after `attempts` attempts (N6)."""
        longest = min(self.backoff_max, self.backoff_base << min(attempts, _LARGEST_EXPONENT))
        match self.backoff_policy:
            case "fixed":
                shortest = longest = min(self.backoff_max, self.backoff_base)
            case "linear":
                shortest = longest = min(self.backoff_max, self.backoff_base * max(1, attempts))
            case "exponential":
                shortest = longest
            case "exp_equal_jitter":
                shortest = longest // 2
            case _:  # the server treats an unknown policy as exp_full_jitter
                shortest = 0
        return shortest, longest


def _caller(header: Header, name: str) -> Caller:
    """The subject and the tenant of a named caller of the recording (A3, A9)."""
    identity = header.identities[name]
    claims: Mapping[str, Any] = identity.claims
    subject = claims.get("sub") or ""
    if header.static is not None:
        side = header.static[identity.kind]
        # A3: a bare text is the token itself, and its subject is `static`.
        side = side if isinstance(side, dict) else {}
        claims, subject = side.get("raw") or {}, side.get("subject") or "static"
    tenants = (claims.get(name) for name in rules_of(header.profile).tenant_claims)
    named = next((tenant for tenant in tenants if isinstance(tenant, str)), "")
    return Caller(subject, (named if named.strip() else subject).strip())
