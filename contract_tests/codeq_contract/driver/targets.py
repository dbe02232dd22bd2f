"""Where a driver comes from: a fake in this process, servers that the suite starts itself, or a deployment."""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.http_transport import Wire
from codeq_contract.driver.identities import FEATURES_OF_CALLERS, Issuer
from codeq_contract.driver.interface import Driver, Effort
from codeq_contract.driver.listening import KEYS_PATH, listening, received_here
from codeq_contract.driver.probing import obstacles, rights
from codeq_contract.driver.server_settings import Knobs, Setup
from codeq_contract.driver.time_bounds import Tolerances
from codeq_contract.driver.webhooks import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: What v0.3.3 has; an older or a restricted deployment may do without some of it.
FEATURES = frozenset({"batch", "long_poll", "subscriptions", "artifacts", "metrics"})

#: What the suite can do to a server that it started itself.
_OWNED = frozenset(
    {"mere_producer", "minting", "variants", "rate_limit", "tracing", "known_settings", "webhooks", "clean_up"}
)

_PATIENCE = 30.0
_LOOPBACK = "127.0.0.1"


class NotRunError(Exception):
    """The target cannot be had here, for want of an engine or an image. The text says why."""


class Target(Protocol):
    """A place where the suite can run."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        ...

    def start(self, setup: Setup) -> AbstractContextManager[Driver]:
        """A driver to a server that is set up so, as far as that is in the suite's hands. May raise NotRunError."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs: where it is, and what the report should say of it."""

    url: str
    about: Mapping[str, str] = field(default_factory=dict)
    #: The last lines of its logs, by what wrote them.
    logs: Callable[[], Mapping[str, str]] = dict


class Server(Protocol):
    """A way to start servers: a command, or containers."""

    @property
    def name(self) -> str:
        """The target that it is."""
        ...

    @property
    def profile(self) -> str:
        """Its store's (K8)."""
        ...

    def receive(self, now: Callable[[], int], keys: Mapping[str, Any]) -> AbstractContextManager[tuple[Receiver, str]]:
        """A webhook that it reaches, with the keys beside it, and its URL."""
        ...

    @property
    def effort(self) -> Effort:
        """What it can bear of drawn plans."""
        ...

    def serve(self, setup: Setup) -> AbstractContextManager[Served]:
        """Start one that is set up exactly so, and stop it in the end."""
        ...


@dataclass(frozen=True, slots=True)
class InProcessTarget:
    """Fakes in this process, each on a clock of its own that stands still."""

    profile: str
    name: str = "asgi"
    issuer: Issuer = field(default_factory=Issuer)

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Driver]:
        """As `Target.start`."""
        # The fake and all that it needs are imported only by who runs on it in process.
        from codeq_contract.driver.in_process import HOOKS_ORIGIN, InProcess  # noqa: PLC0415

        with InProcess(setup.but({**self.issuer.settings(), **_static(setup)}), self.profile) as fake:
            tokens = self.issuer.tokens(now=fake.now())
            yield Driver(
                target=self.name,
                transport=fake,
                clock=fake,
                tokens=tokens,
                knobs=Knobs.of(setup.environment),
                tolerances=Tolerances(self.profile, exact=True, patience=_PATIENCE),
                features=FEATURES | _OWNED | _features_of(tokens) | {"long_waits"},
                effort=Effort(examples=40, steps=25, longest_wait=6),
                in_real_time=False,
                hooks=fake.hooks,
                hooks_origin=HOOKS_ORIGIN,
                issuer=self.issuer,
                start_other=self.start,
                about={"server": "codeq-fake in process", "store profile": self.profile},
            )


@dataclass(frozen=True, slots=True)
class ServerTarget:
    """Servers that the suite starts, in real time; they take its tokens and reach its webhook."""

    server: Server
    issuer: Issuer = field(default_factory=Issuer)

    @property
    def name(self) -> str:
        """The server's."""
        return self.server.name

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Driver]:
        """As `Target.start`."""
        clock, server = RealClock(), self.server
        with server.receive(clock.now, self.issuer.signer.jwks()) as (hooks, origin):
            whole = setup.but({**self.issuer.settings(origin + KEYS_PATH), **_static(setup)})
            # The server ends before the wire: nobody waits for an answer then.
            with ExitStack() as after, server.serve(whole) as served:
                wire = after.enter_context(Wire(served.url, clock))
                tokens = self.issuer.tokens(now=clock.now())
                driver = Driver(
                    target=server.name,
                    transport=wire,
                    clock=clock,
                    tokens=tokens,
                    knobs=Knobs.of(setup.environment),
                    tolerances=Tolerances(server.profile, exact=False, patience=_PATIENCE),
                    features=FEATURES | _OWNED | _features_of(tokens),
                    effort=server.effort,
                    in_real_time=True,
                    hooks=hooks,
                    hooks_origin=origin,
                    issuer=self.issuer,
                    start_other=self.start,
                    about={**served.about, "store profile": server.profile},
                    logs=served.logs,
                )
                if not _static(setup):
                    # From now on the server has our keys, and no case has to wait for that (A4).
                    _need_nothing(f"{server.name}, {served.url}", driver)
                yield driver


@dataclass(frozen=True, slots=True)
class FakeCommand:
    """Fakes on ports, as `codeq-fake serve` starts them."""

    command: str
    profile: str
    name: str = "http"
    effort: Effort = field(default_factory=lambda: Effort(examples=5, steps=15, longest_wait=2))

    def receive(self, now: Callable[[], int], keys: Mapping[str, Any]) -> AbstractContextManager[tuple[Receiver, str]]:
        """As `Server.receive`."""
        return received_here(now, keys, bind=_LOOPBACK, host=_LOOPBACK)

    @contextmanager
    def serve(self, setup: Setup) -> Iterator[Served]:
        """As `Server.serve`."""
        with tempfile.TemporaryDirectory() as folder:
            configuration = Path(folder, "codeq.yaml")
            configuration.write_text(setup.yaml, encoding="utf-8")
            environment = {
                **setup.environment,
                "CODEQ_CONFIG_PATH": str(configuration),
                "LOCAL_ARTIFACTS_DIR": str(Path(folder, "artifacts")),
            }
            arguments = ("serve", "--port", "0", "--profile", self.profile, "--no-control", "--json")
            with subprocess.Popen((self.command, *arguments), stdout=subprocess.PIPE, env=environment) as process:  # noqa: S603
                try:
                    url = json.loads(cast("IO[bytes]", process.stdout).readline())["url"]
                    yield Served(url, {"server": "codeq-fake on a port", "url": url})
                finally:
                    process.terminate()


@dataclass(frozen=True, slots=True)
class Deployment:
    """A server that somebody else runs, at `url`, whose tokens they gave us.

    `settings` are those of the server, as far as they are known. `listen_at` is host and port of the webhook, and
    `advertised` the URL at which the server reaches that; without one no callbacks can be received.
    """

    url: str
    tokens: Mapping[str, str]
    settings: Mapping[str, str]
    profile: str = "any"
    features: frozenset[str] = frozenset()
    listen_at: tuple[str, int] = (_LOOPBACK, 0)
    advertised: str = ""
    name: str = "url"

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Driver]:  # noqa: ARG002 - it is set up already
        """As `Target.start`; raises NotRunError when nobody answers, or a token is refused."""
        clock = RealClock()
        hooks = Receiver(clock.now)
        webhook: AbstractContextManager[object] = nullcontext()
        if self.advertised:
            webhook = listening(hooks, {}, *self.listen_at)
        known = {"known_settings"} if self.settings else set()
        reachable = {"webhooks"} if self.advertised else set()
        with webhook, Wire(self.url, clock) as wire:
            driver = Driver(
                target=self.name,
                transport=wire,
                clock=clock,
                tokens=dict(self.tokens),
                knobs=Knobs.of(self.settings),
                assumed=Knobs.untold(self.settings),
                tolerances=Tolerances(self.profile, exact=False, patience=_PATIENCE),
                features=self.features | _features_of(self.tokens) | known | reachable,
                effort=Effort(examples=3, steps=12, longest_wait=3),
                in_real_time=True,
                hooks=hooks,
                hooks_origin=self.advertised,
                about={"url": self.url, "store profile": self.profile},
            )
            _need_nothing(self.url, driver)
            yield replace(driver, features=driver.features | rights(driver))


def _need_nothing(server: str, driver: Driver) -> None:
    """Raises NotRunError when nobody answers, or a token is refused."""
    found = "; ".join(obstacles(driver))
    if found:
        raise NotRunError(f"{server}: {found}")


def _features_of(tokens: Mapping[str, str]) -> frozenset[str]:
    return frozenset(feature for feature, callers in FEATURES_OF_CALLERS.items() if callers <= tokens.keys())


def _static(setup: Setup) -> Mapping[str, str]:
    """The authentication that a case chose itself."""
    return {name: value for name, value in setup.environment.items() if "_AUTH_" in name}
