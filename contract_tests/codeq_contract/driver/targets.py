"""Targets of the suite: a fake in this process, servers that the suite starts, or an existing deployment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import Protocol
from urllib.parse import urlsplit

from codeq_contract.clauses import VERSIONS
from codeq_contract.recordings.format import WEBHOOK_ORIGIN
from codeq_contract.recordings.times import SECOND
from codeq_contract.stores import fake_profile

from .clocks import RealClock
from .http_transport import HttpTransport
from .identities import FEATURES_OF_CALLERS, Issuer
from .interface import Driver, Effort
from .preflight import check_access, check_answer
from .requests import ADMIN, Request
from .server_settings import KnownSettings, Setup
from .servers import Server
from .time_bounds import TimeBounds
from .webhooks import KEYS_PATH, Receiver, serve_webhook

#: The features of v0.3.3. An older or restricted deployment may lack some.
FEATURES = frozenset({"batch", "long_poll", "subscriptions", "artifacts", "metrics"})

#: Servers that start at once take all processors of this machine, and the cases that run meanwhile are late.
_STARTING = BoundedSemaphore(os.cpu_count() or 1)

#: The features of a store that no one else uses: clean-ups delete tasks of anyone, gauges count everything.
_FEATURES_OF_OWN_STORES = frozenset({"clean_up", "own_store"})

#: The further features of servers that the suite started itself.
_FEATURES_OF_OWN_SERVERS = frozenset(
    {
        "direct",
        "mere_producer",
        "minting",
        "variants",
        "rate_limit",
        "tracing",
        "known_settings",
        "webhooks",
        *_FEATURES_OF_OWN_STORES,
    }
)

#: What only a fake in this process has.
_FEATURES_OF_FAKES = frozenset({"chosen_ids", "chosen_time", "files", "long_waits"})

_PATIENCE = 30.0


class Target(Protocol):
    """A place where the suite can run."""

    @property
    def name(self) -> str:
        """Its name on the command line."""

    def start(self, setup: Setup) -> AbstractContextManager[Driver]:
        """A driver to a server with this set-up, as far as the suite can choose it. May raise NotRunError."""


@dataclass(frozen=True, slots=True)
class InProcessTarget:
    """Fakes in this process, each with a clock that stands still. `profile` is the name of their store, `redis`.

    A case knows the settings that it asked for, not those that let the fake accept the suite's tokens.
    """

    profile: str
    name: str = "asgi"
    issuer: Issuer = field(default_factory=Issuer)
    version: str = VERSIONS[0]
    effort: Effort = field(default_factory=lambda: Effort(examples=30, steps=25, longest_wait=6, shrinks=True))
    #: Second of a start -> the tokens of all fakes that start then: to sign those of one takes longer than most cases.
    _tokens: dict[int, dict[str, str]] = field(default_factory=dict)

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Driver]:
        """As `Target.start`."""
        from .in_process import InProcess  # noqa: PLC0415 - other targets do without the fake and its dependencies

        authentication = {**self.issuer.signer.settings(), **_static(setup)}
        with InProcess(setup.but(authentication), fake_profile(self.version, self.profile)) as fake:
            second = fake.now() // SECOND
            if second not in self._tokens:
                self._tokens[second] = self.issuer.tokens(now=fake.now())
            tokens = dict(self._tokens[second])
            yield Driver(
                target=self.name,
                transport=fake,
                clock=fake,
                tokens=tokens,
                settings=KnownSettings.of(setup.environment),
                time_bounds=TimeBounds(self.profile, exact=True, patience=_PATIENCE, version=self.version),
                features=FEATURES
                | _FEATURES_OF_OWN_SERVERS
                | _features_of(tokens)
                | _FEATURES_OF_FAKES
                | {f"store:{self.profile}"},
                effort=self.effort,
                in_real_time=False,
                hooks=fake.hooks,
                hooks_origin=WEBHOOK_ORIGIN,
                issuer=self.issuer,
                authentication=authentication,
                start_other=self.start,
                about={"server": "codeq-fake in process", "store profile": self.profile},
            )


@dataclass(frozen=True, slots=True)
class ServerTarget:
    """Servers that the suite starts, in real time. They accept its tokens and reach its webhook."""

    server: Server
    issuer: Issuer = field(default_factory=Issuer)

    @property
    def name(self) -> str:
        """The name of the server."""
        return self.server.name

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Driver]:
        """As `Target.start`."""
        clock, server = RealClock(), self.server
        with server.receive(clock.now, self.issuer.signer.jwks()) as (hooks, origin):
            authentication = {**self.issuer.signer.settings(origin + KEYS_PATH), **_static(setup)}
            # The server stops before the transport closes, so that no thread still waits for a reply.
            with ExitStack() as after, ExitStack() as running:
                with _STARTING:
                    served = running.enter_context(server.serve(setup.but(authentication)))
                transport = after.enter_context(HttpTransport(served.url, clock, direct=True))
                missing = _FEATURES_OF_OWN_STORES if served.shares_store else frozenset()
                tokens = self.issuer.tokens(now=clock.now())
                driver = Driver(
                    target=server.name,
                    transport=transport,
                    clock=clock,
                    tokens=tokens,
                    settings=KnownSettings.of(setup.environment),
                    time_bounds=TimeBounds(served.profile, exact=False, patience=_PATIENCE),
                    features=(
                        FEATURES
                        | _FEATURES_OF_OWN_SERVERS
                        | _features_of(tokens)
                        | _shared(origin)
                        | {f"store:{served.profile}"}
                    )
                    - missing,
                    effort=server.effort,
                    in_real_time=True,
                    hooks=hooks,
                    hooks_origin=origin,
                    issuer=self.issuer,
                    authentication=authentication,
                    start_other=self.start,
                    about={**served.about, "store profile": served.profile},
                    logs=served.logs,
                )
                if not _static(setup):
                    # This also makes the server fetch our keys, so that no case has to wait for that (A4).
                    check_access(f"{server.name}, {served.url}", driver)
                yield driver


def without_password(url: str) -> str:
    """A URL without user and password, for messages and reports."""
    return re.sub(r"^(\w[\w+.-]*://)?[^/?#]*@", r"\1", url)


@dataclass(frozen=True, slots=True)
class Deployment:
    """An existing server at `url`, with tokens for its callers.

    `settings` are those of the server, as far as they are known. `listen_at` is the host and port of the webhook, and
    `advertised` its URL for the server. Without that URL no callbacks can be received.
    """

    url: str
    tokens: Mapping[str, str]
    settings: Mapping[str, str]
    profile: str = "any"
    features: frozenset[str] = frozenset()
    listen_at: tuple[str, int] = ("127.0.0.1", 0)
    advertised: str = ""
    name: str = "url"

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Driver]:  # noqa: ARG002 - the deployment has its set-up already
        """As `Target.start`. Raises NotRunError if the server does not answer or refuses a token."""
        check_answer(self.url, shown=without_password(self.url))
        clock = RealClock()
        hooks = Receiver(clock.now)
        webhook: AbstractContextManager[object] = nullcontext()
        if self.advertised:
            webhook = serve_webhook(hooks, {}, *self.listen_at)
        known = {f"store:{self.profile}", *(["known_settings"] if self.settings else [])}
        reachable = {"webhooks"} if self.advertised else set()
        with webhook, HttpTransport(self.url, clock) as transport:
            driver = Driver(
                target=self.name,
                transport=transport,
                clock=clock,
                tokens=dict(self.tokens),
                settings=KnownSettings.of(self.settings),
                assumed=KnownSettings.missing(self.settings),
                time_bounds=TimeBounds(self.profile, exact=False, patience=_PATIENCE),
                features=self.features | _features_of(self.tokens) | known | reachable,
                effort=Effort(examples=3, steps=12, longest_wait=3),
                in_real_time=True,
                hooks=hooks,
                hooks_origin=self.advertised,
                about={"url": without_password(self.url), "store profile": self.profile},
            )
            check_access(without_password(self.url), driver)
            queues = driver.call(Request("GET", f"{ADMIN}/queues", "producer"))
            # The producer has no rights of an admin (`mere_producer`) unless its claims give them (A8).
            rights = set() if queues.status == HTTPStatus.OK else {"mere_producer"}
            yield replace(driver, features=driver.features | rights)


def _features_of(tokens: Mapping[str, str]) -> frozenset[str]:
    return frozenset(feature for feature, callers in FEATURES_OF_CALLERS.items() if callers <= tokens.keys())


def _shared(origin: str) -> frozenset[str]:
    """What this machine shares with a server that reaches its webhook at this URL."""
    return frozenset({"files"} if urlsplit(origin).hostname == "127.0.0.1" else ())


def _static(setup: Setup) -> Mapping[str, str]:
    """The authentication settings that a case chose itself."""
    return {name: value for name, value in setup.environment.items() if "_AUTH_" in name}
