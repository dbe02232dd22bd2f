"""What both clients have in common: their settings."""

from __future__ import annotations

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, Self, TypeVar

import httpx

from codeq_client._display import without_password
from codeq_client.errors import ConfigurationError

from .arguments import check_number
from .calls import Role
from .clock import Clock, SystemClock
from .connections import check_proxies, connection_to
from .sending import Core
from .tokens import Token, TokenSource

TransportT = TypeVar("TransportT")

_ENVIRONMENT = ("CODEQ_BASE_URL", "CODEQ_PRODUCER_TOKEN", "CODEQ_WORKER_TOKEN", "CODEQ_ADMIN_TOKEN")


class BaseClient(ABC, Generic[TransportT]):
    """The settings of a client; the subclasses perform its calls."""

    def __init__(
        self,
        base_url: str,
        *,
        producer_token: TokenSource | None = None,
        worker_token: TokenSource | None = None,
        admin_token: TokenSource | None = None,
        timeout: float = 30,
        retries: int = 3,
        transport: TransportT | None = None,
        clock: Clock | None = None,
    ) -> None:
        check_number(timeout, "timeout", least=0.001)
        check_number(retries, "retries", is_whole=True)
        tokens = {Role.PRODUCER: producer_token, Role.WORKER: worker_token, Role.ADMIN: admin_token}
        self.base_url = _checked_url(base_url)
        self.core = Core(clock or SystemClock(), tokens_by_role(tokens), timeout, retries, random.random)
        self.transport = transport
        self._settings = connection_to(self.base_url)
        if transport is None:
            check_proxies(self._settings)
        self._open()

    @abstractmethod
    def _open(self) -> None:
        """Set up the connections, which begin with the first call. `_settings` are httpx's."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **settings: Any) -> Self:
        """Return a client configured by `CODEQ_BASE_URL`, `CODEQ_PRODUCER_TOKEN`, `_WORKER_TOKEN`, `_ADMIN_TOKEN`.

        `settings` are further arguments of the class. Raises `ConfigurationError` if the URL is missing.
        """
        environ = os.environ if environ is None else environ
        if not environ.get("CODEQ_BASE_URL"):
            raise ConfigurationError("CODEQ_BASE_URL is not set; an example: http://localhost:8080")
        options: dict[str, Any] = {
            name.removeprefix("CODEQ_").lower(): environ[name] for name in _ENVIRONMENT if environ.get(name)
        }
        return cls(**options, **settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({without_password(self.base_url)!r})"


def tokens_by_role(sources: Mapping[Role, TokenSource | None]) -> Mapping[Role, Token]:
    """Return the token of each role that has one. Readers use the worker's first (A7), admins fall back (A8)."""
    tokens = {role: Token(source) for role, source in sources.items() if source}
    for role, fallback in ((Role.READER, Role.WORKER), (Role.READER, Role.PRODUCER), (Role.ADMIN, Role.PRODUCER)):
        if fallback in tokens:
            tokens.setdefault(role, tokens[fallback])
    return tokens


def _checked_url(base_url: str) -> str:
    """Return the URL without a trailing slash; raises `ConfigurationError`."""
    shown = without_password(str(base_url))
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigurationError(f"base_url {shown!r}: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"base_url {shown!r} is not an http(s) URL; an example: http://localhost:8080")
    if url.query or url.fragment:
        raise ConfigurationError(f"base_url {shown!r} has a query or a fragment; an example: http://localhost:8080")
    if url.path.rstrip("/").endswith("/v1/codeq"):
        raise ConfigurationError(f"base_url {shown!r} ends with /v1/codeq, which the client adds: leave it out")
    return str(base_url).rstrip("/")
