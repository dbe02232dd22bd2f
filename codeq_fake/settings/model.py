"""The settings as one frozen value, and how each is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from . import parsing
from .auth import JwksAuth, StaticAuth, dev_auth, read_auth
from .errors import SettingsError, kind
from .slips import slips
from .sources import YAML_ONLY, Sources, is_null

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from codeq_fake.core import Rules


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket (L1). Either number 0: not limited."""

    requests_per_minute: int = 0
    burst_size: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """The server's settings, checked; names and defaults are the real server's. Times are whole seconds.

    ``auth_given`` says whether someone chose who may call; if not, both sides take the token ``dev-token``.
    ``artifacts_dir_given`` says whether ``local_artifacts_dir`` was set; if not, no file is written.
    ``unread`` names the variables that are set, as upstream's documents let them be, though its server reads none.
    ``REDIS_ADDR`` and ``REDIS_PASSWORD`` are not looked at: the fake needs no store.
    """

    port: int = 8080
    producer_auth: StaticAuth | JwksAuth = field(default_factory=lambda: dev_auth("producer-dev"))
    worker_auth: StaticAuth | JwksAuth = field(default_factory=lambda: dev_auth("worker-dev"))
    auth_given: bool = False
    allow_producer_as_worker: bool = False
    max_attempts_default: int = 5
    backoff_policy: str = "exp_full_jitter"
    backoff_base_seconds: int = 5
    backoff_max_seconds: int = 900
    result_webhook_max_attempts: int = 5
    result_webhook_base_backoff_seconds: int = 2
    result_webhook_max_backoff_seconds: int = 60
    webhook_hmac_secret: str = ""
    subscription_cleanup_interval_seconds: int = 60
    local_artifacts_dir: str = "/tmp/codeq-artifacts"  # noqa: S108 - the real server's default
    artifacts_dir_given: bool = field(default=False, compare=False)
    tracing_enabled: bool = False
    env: str = "dev"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/Sao_Paulo"))
    default_lease_seconds: int = 300
    requeue_inspect_limit: int = 200
    rate_limit: Mapping[str, RateLimit] = field(default_factory=lambda: MappingProxyType({}))
    unread: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str], yaml_text: str | None = None) -> Settings:
        """Read the settings; the environment wins over YAML where both name one, and an empty text is no value.

        Without ``yaml_text`` the file that ``CODEQ_CONFIG_PATH`` names is read. Unknown names are ignored unless they
        are one slip away from a known one, and an unknown backoff policy acts as ``exp_full_jitter`` (N6).

        Raises SettingsError.
        """
        for name, meant in slips(environ, VARIABLES).items():
            raise SettingsError(f"{name}: unknown; {meant} is known")
        sources = Sources.of(environ, yaml_text)
        values: dict[str, Any] = {}
        for name, read in _READERS.items():
            source, found = sources.find(name)
            value = None if found is None else read(source, found)
            if value is not None:
                values[name] = value
        return cls(
            **values,
            **read_auth(sources),
            unread=sources.unread(),
            artifacts_dir_given="local_artifacts_dir" in values,
        )

    @property
    def is_dev(self) -> bool:
        """Whether the ``X-Role`` header is believed (A8)."""
        return self.env.strip().lower() == "dev"

    def check_files(self, known: Settings) -> None:
        """Raise SettingsError if this names a file of keys that the ``known`` settings do not name."""
        files = known.key_files().values()
        for side, url in self.key_files().items():
            if url not in files:
                raise SettingsError(
                    f"{side.upper()}_AUTH_CONFIG: found jwksUrl {url!r}; a request cannot name a file: start the fake "
                    "with it, or give the document itself as jwks"
                )

    def key_files(self) -> dict[str, str]:
        """The ``file://`` URLs from which keys are read, by the side (producer or worker) that reads them."""
        sides = {"producer": self.producer_auth, "worker": self.worker_auth}
        return {side: auth.url for side, auth in sides.items() if isinstance(auth, JwksAuth) and auth.is_file}

    def rules(self) -> Rules:
        """What of this changes the core's behaviour."""
        from codeq_fake.core.rules import Limit, Rules  # noqa: PLC0415 - reading settings need not load the core

        return Rules(
            max_attempts_default=self.max_attempts_default,
            backoff_policy=self.backoff_policy,
            backoff_base=self.backoff_base_seconds,
            backoff_max=self.backoff_max_seconds,
            default_lease=self.default_lease_seconds,
            inspect_limit=self.requeue_inspect_limit,
            callback_attempts=self.result_webhook_max_attempts,
            callback_base=self.result_webhook_base_backoff_seconds,
            callback_max=self.result_webhook_max_backoff_seconds,
            sweep_interval=self.subscription_cleanup_interval_seconds,
            artifacts_dir=self.local_artifacts_dir,
            tracing=self.tracing_enabled,
            limits={
                scope: Limit(limit.requests_per_minute, limit.burst_size)
                for scope, limit in self.rate_limit.items()
                if limit.requests_per_minute and limit.burst_size
            },
        )


def _rate_limits(source: str, found: object) -> Mapping[str, RateLimit]:
    scopes = ("producer", "worker", "admin", "webhook")
    if not isinstance(found, dict):
        raise SettingsError(f"{source}: found a {kind(found)}; it must map {', '.join(scopes)} to limits")
    return MappingProxyType({scope: _rate_limit(f"{source}.{scope}", found.get(scope)) for scope in scopes})


def _rate_limit(source: str, found: object) -> RateLimit:
    if is_null(found):
        return RateLimit()
    if not isinstance(found, dict):
        raise SettingsError(f"{source}: found a {kind(found)}; it must have requestsPerMinute and burstSize")
    written = {key: found.get(key) for key in ("requestsPerMinute", "burstSize")}
    numbers = [
        0 if is_null(value) else max(0, parsing.integer(f"{source}.{key}", value)) for key, value in written.items()
    ]
    return RateLimit(*numbers)


_READERS: Mapping[str, Callable[[str, object], object]] = MappingProxyType(
    {
        "port": parsing.port,
        "allow_producer_as_worker": parsing.flag,
        "max_attempts_default": parsing.positive,
        "backoff_policy": parsing.text,
        "backoff_base_seconds": parsing.positive,
        "backoff_max_seconds": parsing.positive,
        "result_webhook_max_attempts": parsing.positive,
        "result_webhook_base_backoff_seconds": parsing.positive,
        "result_webhook_max_backoff_seconds": parsing.positive,
        "webhook_hmac_secret": parsing.text,
        "subscription_cleanup_interval_seconds": parsing.positive,
        "local_artifacts_dir": parsing.text,
        "tracing_enabled": parsing.flag,
        "env": parsing.text,
        "timezone": parsing.zone,
        "default_lease_seconds": parsing.positive,
        "requeue_inspect_limit": parsing.positive,
        "rate_limit": _rate_limits,
    }
)
#: The environment variables that the real server reads.
VARIABLES = frozenset(
    {name.upper() for name in _READERS.keys() - YAML_ONLY}
    | {f"{side}_AUTH_{what}" for side in ("PRODUCER", "WORKER") for what in ("PROVIDER", "CONFIG")}
    | {"REDIS_ADDR", "REDIS_PASSWORD", "CODEQ_CONFIG_PATH"}
)
