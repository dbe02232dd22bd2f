"""The settings of a server as one frozen value, and the reader of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from codeq_fake.core import PROFILES
from codeq_fake.core.settings import CoreSettings

from . import readers
from .auth import Auth, JwksAuth, MultiAuth, dev_auth, read_auth
from .readers import SettingsError
from .sources import YAML_ONLY, Sources, near_misses


@dataclass(frozen=True, slots=True)
class Settings(CoreSettings):
    """The settings of a server, checked: those of the core, and what the core does not need to know.

    Names and defaults are the real server's. `auth_given` says whether an authentication was set; if not, both sides
    take the token `dev-token`. `artifacts_dir_given` says whether `local_artifacts_dir` was set; if not, no file is
    written. `persistence_provider` chooses the profile of a fake for which none is named. `unread` are variables that
    are set because CodeQ's documents name them, but that its server does not read. `REDIS_ADDR`, `REDIS_PASSWORD`
    and `persistence_config` are ignored: the fake needs no store.
    """

    port: int = 8080
    producer_auth: Auth = field(default_factory=lambda: dev_auth("producer-dev"))
    worker_auth: Auth = field(default_factory=lambda: dev_auth("worker-dev"))
    auth_given: bool = False
    allow_producer_as_worker: bool = False
    webhook_hmac_secret: str = ""
    artifacts_dir_given: bool = field(default=False, compare=False)
    env: str = "dev"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/Sao_Paulo"))
    persistence_provider: str = ""
    persistence_config: str = ""
    unread: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str], yaml_text: str | None = None) -> Settings:
        """Read the settings. The environment wins over YAML, and an empty text is not a value.

        Without `yaml_text` the file in `CODEQ_CONFIG_PATH` is read. An unknown name is ignored unless it is one typing
        error away from a known one. An unknown backoff policy acts as `exp_full_jitter` (N6). Raises SettingsError.
        """
        if not environ and not yaml_text:
            return _defaults()
        for name, meant in near_misses(environ, VARIABLES).items():
            raise SettingsError(f"{name}: unknown; {meant} is known")
        sources = Sources.of(environ, yaml_text)
        values: dict[str, Any] = {}
        for name, read in _READERS.items():
            source, written = sources.find(name)
            value = None if written is None else read(source, written)
            if value is not None:
                values[name] = value
        return cls(
            **values,
            **read_auth(sources),
            unread=sources.unread(),
            artifacts_dir_given="local_artifacts_dir" in values,
        )

    @property
    def chosen_profile(self) -> str | None:
        """The profile of the embedded store that `persistence_provider` names. None for any other provider."""
        embedded = (name for name, profile in PROFILES.items() if not profile.store.has_ttl)
        return next((name for name in embedded if PROFILES[name].store.name == self.persistence_provider), None)

    @property
    def is_dev(self) -> bool:
        """Whether the `X-Role` header counts (A8). Other spellings do not."""
        return self.env == "dev"

    def check_files(self, known: Settings) -> None:
        """Raise SettingsError if this names a file of keys that the `known` settings do not name."""
        files = {url for _, url in known.key_files()}
        for side, url in self.key_files():
            if url not in files:
                raise SettingsError(
                    f"{side.upper()}_AUTH_CONFIG: found jwksUrl {url!r}; a request cannot name a file: start the fake "
                    "with it, or give the document itself as jwks"
                )

    def key_files(self) -> list[tuple[str, str]]:
        """The `file://` URLs from which keys are read, each with its side (producer or worker)."""
        return [(side, auth.url) for side, auth in self._with_keys() if auth.is_file]

    def key_urls(self) -> set[str]:
        """All URLs from which keys are read."""
        return {auth.url for _, auth in self._with_keys()}

    @property
    def has_multi_auth(self) -> bool:
        """Whether a side has several providers (G8)."""
        return isinstance(self.producer_auth, MultiAuth) or isinstance(self.worker_auth, MultiAuth)

    def _with_keys(self) -> Iterator[tuple[str, JwksAuth]]:
        for side, auth in (("producer", self.producer_auth), ("worker", self.worker_auth)):
            for part in auth.providers if isinstance(auth, MultiAuth) else (auth,):
                if isinstance(part, JwksAuth):
                    yield side, part


@cache
def _defaults() -> Settings:
    """The settings where nothing is set, as for most tests: to look for each of them was a third of a fake's set-up."""
    return Settings()


_BY_TYPE = {"int": readers.positive, "str": readers.text, "bool": readers.flag}
_READERS: Mapping[str, Callable[[str, object], object]] = MappingProxyType(
    {
        **{f.name: _BY_TYPE[str(f.type)] for f in fields(CoreSettings) if f.name != "rate_limit"},
        "rate_limit": readers.rate_limits,
        "port": readers.port,
        "allow_producer_as_worker": readers.flag,
        "webhook_hmac_secret": readers.text,
        "env": readers.text,
        "timezone": readers.zone,
        "persistence_provider": readers.text,
        "persistence_config": readers.persistence_config,
    }
)
#: All settings. Those in `YAML_ONLY` have no environment variable.
NAMES = (
    *_READERS,
    *(f"{side}_auth_{part}" for side in ("producer", "worker") for part in ("provider", "config")),
)
#: The environment variables that the real server reads.
VARIABLES = (
    *(name.upper() for name in NAMES if name not in YAML_ONLY),
    "REDIS_ADDR",
    "REDIS_PASSWORD",
    "CODEQ_CONFIG_PATH",
)
