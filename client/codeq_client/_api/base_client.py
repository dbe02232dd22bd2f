"""What both clients have in common: their settings, and how they use httpx."""

from __future__ import annotations

import os
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from socket import inet_aton
from typing import Any, Generic, Self, TypeVar

import httpx

from codeq_client.errors import ConfigurationError, Unavailable

from .calls import Reply, Role
from .clock import Clock, SystemClock
from .retries import Core, Send
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
        tokens = {Role.PRODUCER: producer_token, Role.WORKER: worker_token, Role.ADMIN: admin_token}
        self.base_url = _checked_url(base_url)
        self.core = Core(clock or SystemClock(), tokens_by_role(tokens), timeout, retries, random.random)
        self.transport = transport
        self._connection = connection_to(self.base_url)
        self._open()

    @abstractmethod
    def _open(self) -> None:
        """Set up the connections, which begin with the first call."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **settings: Any) -> Self:
        """Return a client configured by `CODEQ_BASE_URL`, `CODEQ_PRODUCER_TOKEN`, `_WORKER_TOKEN`, `_ADMIN_TOKEN`.

        `settings` are further arguments of the class. Raises `ConfigurationError` if the URL is missing.
        """
        environ = os.environ if environ is None else environ
        if not environ.get("CODEQ_BASE_URL"):
            raise ConfigurationError("CODEQ_BASE_URL is not set; an example: http://localhost:8080")
        given: dict[str, Any] = {
            name.removeprefix("CODEQ_").lower(): environ[name] for name in _ENVIRONMENT if environ.get(name)
        }
        return cls(**given, **settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({without_password(self.base_url)!r})"


def tokens_by_role(sources: Mapping[Role, TokenSource | None]) -> Mapping[Role, Token]:
    """Return the token of each role that has one. Readers use the worker's first (A7), admins fall back (A8)."""
    tokens = {role: Token(source) for role, source in sources.items() if source}
    for role, fallback in ((Role.READER, Role.WORKER), (Role.READER, Role.PRODUCER), (Role.ADMIN, Role.PRODUCER)):
        if fallback in tokens:
            tokens.setdefault(role, tokens[fallback])
    return tokens


def without_password(url: str) -> str:
    """Return a URL, valid or not, without user and password, for messages."""
    return re.sub(r"^(\w[\w+.-]*://)?[^/?#]*@", r"\1", url)


def _checked_url(base_url: str) -> str:
    """Return the URL without a trailing slash; raises `ConfigurationError`."""
    shown = without_password(str(base_url))
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigurationError(f"base_url {shown!r}: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"base_url {shown!r} is not an http(s) URL; an example: http://localhost:8080")
    return base_url.rstrip("/")


LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100)
"""By default httpx keeps 20 connections open; a worker with more slots would open one for each further result."""


def connection_to(base_url: str) -> dict[str, Any]:
    """Return httpx's settings for connections to a server. One on this machine is called past any proxy."""
    url = httpx.URL(base_url)
    return {
        "base_url": base_url,
        "limits": LIMITS,
        # Plain HTTP needs no TLS context: loading the certificate authorities takes 30 ms.
        "verify": url.scheme == "https" and httpx.create_ssl_context(),
        "trust_env": not _is_loopback(url.host),
    }


def _is_loopback(host: str) -> bool:
    """Return whether a host is always this machine, in any spelling of its address. Nothing is looked up."""
    name = host.lower().rstrip(".")
    try:
        address = ip_address(name if ":" in name else inet_aton(name))
    except (OSError, ValueError):
        return name == "localhost" or name.endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address
    # A connection to the "any" address stays on this machine.
    return address.is_loopback or address.is_unspecified


@contextmanager
def usable_proxies() -> Iterator[None]:
    """Raise `ConfigurationError` if httpx cannot use a proxy of the environment."""
    try:
        yield
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        variables = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY"
        raise ConfigurationError(f"a proxy of the environment ({variables}) cannot be used: {error}") from None


def request_arguments(step: Send) -> dict[str, Any]:
    """Return the arguments of `httpx.Client.request` for a step."""
    headers = {**dict(step.call.headers), "authorization": f"Bearer {step.token}"}
    if step.call.body is not None:
        headers["content-type"] = "application/json"
    return {
        "method": step.call.method,
        "url": step.call.path,
        "content": step.call.body,
        "headers": headers,
        "timeout": step.timeout,
    }


def total_timeout(step: Send) -> float:
    """Return how long the whole response may take: httpx's timeout applies to each read, and a body may trickle in.

    It is a little longer than httpx's timeout, whose error tells more: whether the request was sent.
    """
    return 1.1 * step.timeout


def reply_from(response: httpx.Response, body: bytes) -> Reply:
    """Return httpx's response as a `Reply`."""
    return Reply(response.status_code, dict(response.headers), body)


def unavailable(step: Send, error: Exception) -> Unavailable:
    """Return the client's error for one of httpx or of a transport; it says whether the request can have been sent.

    A token that is not ASCII is a `UnicodeError`, raised before anything is sent.
    """
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | UnicodeError)
    detail = str(error) or type(error).__name__
    return Unavailable(f"{step.call.method} {step.call.path}: no answer: {detail}", sent=not unsent)
