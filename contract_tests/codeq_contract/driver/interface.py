"""The driver: everything that a case sees of a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from codeq_contract.recordings.format import Identity

from .clocks import Clock
from .identities import Issuer
from .requests import Reply, Request, UnsupportedError, signed
from .server_settings import KnownSettings, Setup
from .time_bounds import TimeBounds
from .webhooks import Receiver


class Transport(Protocol):
    """Carries requests to a server. Headers go out unchanged."""

    def exchange(self, requests: Sequence[Request], schedule: int) -> list[Reply]:
        """Send the requests at once and return all replies. As in `Driver.together`."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of the random plans a target runs: examples of each share, steps of each, seconds that a step may wait.

    `seed` is the seed of the plans. If it `shrinks`, the plan of a failure is repeated with fewer steps, as long as it
    fails. That needs a target on which the same plan meets the same moments.
    """

    examples: int
    steps: int
    longest_wait: int
    seed: int = 0
    shrinks: bool = False


@dataclass(frozen=True)
class Driver:
    """One server with its clock, its callers and a webhook that it can reach.

    `features` are those of the target. `tokens` are its callers by name. If it runs `in_real_time`, waiting takes time,
    and cases that wait should run side by side.
    """

    target: str
    transport: Transport
    clock: Clock
    tokens: dict[str, str]
    settings: KnownSettings
    time_bounds: TimeBounds
    features: frozenset[str]
    effort: Effort
    in_real_time: bool
    hooks: Receiver
    hooks_origin: str = ""
    issuer: Issuer | None = None
    #: The server's settings of authentication, if the suite chose them.
    authentication: Mapping[str, str] = field(default_factory=dict)
    start_other: Callable[[Setup], AbstractContextManager[Driver]] | None = None
    #: The names of `settings` that were not given, so that they have the real server's defaults.
    assumed: frozenset[str] = frozenset()
    #: Facts about the target for the report: versions, digests, addresses.
    about: Mapping[str, str] = field(default_factory=dict)
    #: The last lines of its logs, by their source, where available.
    logs: Callable[[], Mapping[str, str]] = dict

    @property
    def version(self) -> str:
        """The version of the contract that is checked on it."""
        return self.time_bounds.version

    def of_version(self, version: str, store: str = "") -> Driver:
        """The same driver, to check that version, and on that store if one is named."""
        before = self.time_bounds.profile
        store = store or before
        bounds = replace(self.time_bounds, version=version, profile=store)
        return replace(self, time_bounds=bounds, features=self.features - {f"store:{before}"} | {f"store:{store}"})

    @property
    def is_reachable(self) -> bool:
        """Whether the server still answers."""
        return bool(self.call(Request("GET", "/metrics")).status)

    def call(self, request: Request) -> Reply:
        """Send one request and wait for its reply."""
        return self.together([request])[0]

    def together(self, requests: Sequence[Request], *, schedule: int = 0) -> list[Reply]:
        """Send the requests at once. The replies are in the same order.

        A target in this process can take them in different orders: `schedule` chooses one, 0 is the order given. In
        real time the order is left to chance.
        """
        return self.transport.exchange([signed(each, self.tokens) for each in requests], schedule) if requests else []

    def mint(self, name: str, identity: Identity) -> None:
        """Add a caller under `name`. Raises UnsupportedError if the suite cannot make tokens for this target."""
        if self.issuer is None:
            raise UnsupportedError("callers with other claims")
        self.tokens[name] = self.issuer.token(identity, now=self.clock.now())

    @contextmanager
    def other(self, setup: Setup) -> Iterator[Driver]:
        """A second server of this kind with another set-up. Raises UnsupportedError if none can be started."""
        if self.start_other is None:
            raise UnsupportedError("a server with other settings")
        with self.start_other(setup) as other:
            yield other.of_version(self.version, self.time_bounds.profile)
