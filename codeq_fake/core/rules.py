"""The settings that change what the core does (contract section 16), as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The commands that the server knows by itself (K1, M1, U1, U9, L2).
BUILT_IN_COMMANDS = ("GENERATE_MASTER", "GENERATE_CREATIVE")


@dataclass(frozen=True, slots=True)
class Limit:
    """A token bucket (L1): ``burst`` tokens at most, refilled with ``per_minute`` / 60 a second."""

    per_minute: int
    burst: int


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator can set. Times are whole seconds.

    ``limits`` maps a scope (``producer``, ``worker``, ``admin``, ``webhook``) to its bucket; a scope without one is
    not limited (L1).
    """

    max_attempts_default: int = 5
    backoff_policy: str = "exp_full_jitter"
    backoff_base: int = 5
    backoff_max: int = 900
    default_lease: int = 300
    inspect_limit: int = 200
    callback_attempts: int = 5
    callback_base: int = 2
    callback_max: int = 60
    sweep_interval: int = 60
    artifacts_dir: str = "/tmp/codeq-artifacts"  # noqa: S108 - the real server's default (section 16)
    tracing: bool = False
    limits: Mapping[str, Limit] = field(default_factory=lambda: MappingProxyType({}))
