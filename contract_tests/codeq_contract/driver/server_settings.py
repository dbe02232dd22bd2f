"""The settings of a server (clauses: Settings), and those of them that change what cases expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

#: With these a retry comes after one second, so that no case waits for minutes.
SUITE_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "BACKOFF_POLICY": "fixed",
        "BACKOFF_BASE_SECONDS": "1",
        "BACKOFF_MAX_SECONDS": "60",
        "RESULT_WEBHOOK_BASE_BACKOFF_SECONDS": "1",
        "RESULT_WEBHOOK_MAX_BACKOFF_SECONDS": "2",
        "WEBHOOK_HMAC_SECRET": "the-suite's-secret",
    }
)

#: With these, and `env: prod` in its file, the recorded server ran as in production. Nothing listens at the addresses.
PRODUCTION: Mapping[str, str] = MappingProxyType(
    {"WORKER_JWKS_URL": "http://127.0.0.1:1/", "WORKER_ISSUER": "codeq-test", "IDENTITY_SERVICE_API_KEY": "k"}
)

#: With these the recorded server made traces. Nothing listens at the address that it sent them to.
TRACING: Mapping[str, str] = MappingProxyType(
    {"TRACING_ENABLED": "true", "TRACING_OTLP_ENDPOINT": "127.0.0.1:1", "TRACING_OTLP_INSECURE": "true"}
)

_VARIABLES = {
    "max_attempts": "MAX_ATTEMPTS_DEFAULT",
    "backoff_policy": "BACKOFF_POLICY",
    "backoff_base": "BACKOFF_BASE_SECONDS",
    "backoff_max": "BACKOFF_MAX_SECONDS",
    "callback_attempts": "RESULT_WEBHOOK_MAX_ATTEMPTS",
    "callback_base": "RESULT_WEBHOOK_BASE_BACKOFF_SECONDS",
    "callback_max": "RESULT_WEBHOOK_MAX_BACKOFF_SECONDS",
    "callback_secret": "WEBHOOK_HMAC_SECRET",
}

#: The environment variables of KnownSettings.
VARIABLES = frozenset(_VARIABLES.values())

_TEXTS = frozenset({"backoff_policy", "callback_secret"})


@dataclass(frozen=True, slots=True)
class Setup:
    """Environment variables, and the text of the YAML file."""

    environment: Mapping[str, str] = field(default_factory=lambda: SUITE_SETTINGS)
    yaml: str = ""

    def but(self, environment: Mapping[str, str], yaml: str = "") -> Setup:
        """A copy with some settings replaced."""
        return replace(self, environment={**self.environment, **environment}, yaml=yaml or self.yaml)


@dataclass(frozen=True, slots=True)
class KnownSettings:
    """The settings of a server that cases depend on, with the real server's defaults. Times are whole seconds."""

    max_attempts: int = 5
    backoff_policy: str = "exp_full_jitter"
    backoff_base: int = 5
    backoff_max: int = 900
    callback_attempts: int = 5
    callback_base: int = 2
    callback_max: int = 60
    callback_secret: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> KnownSettings:
        """The settings in these environment variables. Raises ValueError."""
        values: dict[str, Any] = {
            name: environment[variable] if name in _TEXTS else int(environment[variable])
            for name, variable in _VARIABLES.items()
            if environment.get(variable)
        }
        return cls(**values)

    @staticmethod
    def missing(environment: Mapping[str, str]) -> frozenset[str]:
        """The names of the settings that these environment variables do not give."""
        return frozenset(name for name, variable in _VARIABLES.items() if not environment.get(variable))

    @property
    def longest_backoff(self) -> int:
        """The longest delay of a task after the first expiry of its lease (N6)."""
        first = {"fixed": 1, "linear": 1}.get(self.backoff_policy, 2)
        return min(self.backoff_base * first, self.backoff_max)
