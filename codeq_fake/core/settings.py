"""The settings that change what the core does (clauses: Settings)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .rate_limits import RateLimit


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """Settings that an operator can change, named as the real server names them. Times are in whole seconds.

    `rate_limit` maps a scope (`producer`, `worker`, `admin`, `webhook`) to its limit (L1).
    """

    max_attempts_default: int = 5
    backoff_policy: str = "exp_full_jitter"
    backoff_base_seconds: int = 5
    backoff_max_seconds: int = 900
    default_lease_seconds: int = 300
    requeue_inspect_limit: int = 200
    result_webhook_max_attempts: int = 5
    result_webhook_base_backoff_seconds: int = 2
    result_webhook_max_backoff_seconds: int = 60
    subscription_cleanup_interval_seconds: int = 60
    local_artifacts_dir: str = "/tmp/codeq-artifacts"  # noqa: S108 - the real server's default
    tracing_enabled: bool = False
    rate_limit: Mapping[str, RateLimit] = field(default_factory=lambda: MappingProxyType({}))
