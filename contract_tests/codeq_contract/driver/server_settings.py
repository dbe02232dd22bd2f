"""How a server is set up: the settings of the contract's section 16, and those that change what cases expect."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: With these a retry comes after one second, so that waiting for it does not take minutes.
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

#: With these, and `env: prod` in its file, the recorded server ran as in production; the addresses lead nowhere.
PRODUCTION: Mapping[str, str] = MappingProxyType(
    {"WORKER_JWKS_URL": "http://127.0.0.1:1/", "WORKER_ISSUER": "codeq-test", "IDENTITY_SERVICE_API_KEY": "k"}
)

#: With these it made traces, and sent them nowhere.
TRACING: Mapping[str, str] = MappingProxyType(
    {"TRACING_ENABLED": "true", "TRACING_OTLP_ENDPOINT": "127.0.0.1:1", "TRACING_OTLP_INSECURE": "true"}
)


@dataclass(frozen=True, slots=True)
class Setup:
    """Environment variables, and the text of the YAML file."""

    environment: Mapping[str, str] = field(default_factory=lambda: SUITE_SETTINGS)
    yaml: str = ""

    def but(self, environment: Mapping[str, str], yaml: str = "") -> Setup:
        """The same with other settings in places."""
        return replace(self, environment={**self.environment, **environment}, yaml=yaml or self.yaml)


@dataclass(frozen=True, slots=True)
class Knobs:
    """What cases have to know of a server's settings. Times are whole seconds."""

    max_attempts: int = 5
    backoff_policy: str = "exp_full_jitter"
    backoff_base: int = 5
    backoff_max: int = 900
    callback_attempts: int = 5
    callback_base: int = 2
    callback_max: int = 60
    callback_secret: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Knobs:
        """What these environment variables say; the rest is the real server's default."""
        given: dict[str, Any] = {
            name: environment[variable] if name in _TEXTS else int(environment[variable])
            for name, variable in _VARIABLES.items()
            if environment.get(variable)
        }
        return cls(**given)

    @staticmethod
    def untold(environment: Mapping[str, str]) -> frozenset[str]:
        """Those of which these environment variables say nothing."""
        return frozenset(name for name, variable in _VARIABLES.items() if not environment.get(variable))

    @property
    def longest_backoff(self) -> int:
        """The longest that an expired lease's task may be delayed at its first retry (N6)."""
        first = {"fixed": 1, "linear": 1}.get(self.backoff_policy, 2)
        return min(self.backoff_base * first, self.backoff_max)


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
_TEXTS = frozenset({"backoff_policy", "callback_secret"})
