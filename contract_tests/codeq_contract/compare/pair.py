"""The two servers, side by side: their drivers, their clocks in step, and what is the same for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from tempfile import TemporaryDirectory

from codeq_contract.driver import Driver, Setup
from codeq_contract.driver.detection import detect
from codeq_contract.driver.identities import Issuer, claims_in
from codeq_contract.driver.served_fakes import ServedFakes
from codeq_contract.driver.targets import InProcessTarget, ServerTarget, Target
from codeq_contract.recordings.format import Identity
from codeq_contract.recordings.times import SECOND
from codeq_contract.stores import PROFILES, profile_name

from .callers import USUAL
from .grammar import REAL, VIRTUAL, Grammar

#: The settings of servers that are started for a comparison. All delays are certain. After an expiry or a NACK,
#: which count as one more attempt (N2), they are 2 s to the power of the attempts: 2, 8 and 32 s, as a claim comes
#: between. Between the tries of a callback there are 2 s.
SETTINGS = {
    "BACKOFF_POLICY": "exponential",
    "BACKOFF_BASE_SECONDS": "1",
    "BACKOFF_MAX_SECONDS": "60",
    "RESULT_WEBHOOK_BASE_BACKOFF_SECONDS": "2",
    "RESULT_WEBHOOK_MAX_BACKOFF_SECONDS": "2",
    "WEBHOOK_HMAC_SECRET": "the-suite's-secret",
}

#: The targets that are fakes, whose store can be chosen.
_FAKES = ("asgi", "http")

#: The claims that the issuer of a token sets. The others say who the caller is.
_OF_THE_ISSUER = frozenset({"aud", "exp", "iat", "iss", "jti", "nbf"})

_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Pair:
    """Two servers that get the same requests."""

    left: Driver
    right: Driver

    @property
    def drivers(self) -> tuple[Driver, Driver]:
        """Both."""
        return self.left, self.right

    @cached_property
    def is_virtual(self) -> bool:
        """Whether both clocks stand still, so that all times are the same to the nanosecond."""
        return not any(driver.in_real_time for driver in self.drivers)

    @cached_property
    def issuer(self) -> Issuer | None:
        """The issuer whose tokens both servers take, if there is one."""
        return self.left.issuer if self.left.issuer is self.right.issuer else None

    @property
    def grammar(self) -> Grammar:
        """What may be sent to both."""
        callers = USUAL.keys() & self.left.tokens.keys() & self.right.tokens.keys()
        pace = VIRTUAL if self.is_virtual else REAL
        return Grammar(pace, frozenset(callers), has_odd_tokens=self.issuer is not None, is_direct=self.is_direct)

    @cached_property
    def is_direct(self) -> bool:
        """Whether requests can go out byte for byte. A proxy before a deployment may refuse odd ones."""
        return all("direct" in driver.features for driver in self.drivers)

    @cached_property
    def have_webhooks(self) -> bool:
        """Whether both servers reach a webhook of ours."""
        return all("webhooks" in driver.features for driver in self.drivers)

    def origin_of_hooks(self, driver: Driver) -> str:
        """The origin of the webhook for a server. Without a webhook for both, one at which nothing listens."""
        return driver.hooks_origin if self.have_webhooks else _NOWHERE

    @property
    def now(self) -> int:
        """The later of the two times."""
        return max(driver.clock.now() for driver in self.drivers)

    def align(self) -> None:
        """Move a clock that stands still to the time of the other one."""
        for driver in self.drivers:
            if not driver.in_real_time:
                driver.clock.until(self.now)

    def wait_until(self, moment: int) -> None:
        """Let time pass for both."""
        for driver in self.drivers:
            driver.clock.until(moment)


@contextmanager
def started_pair(left: Target, right: Target, *, adapts_fakes: bool = True) -> Iterator[Pair]:
    """Both servers while they run, with tokens of one issuer where the suite makes them. May raise NotRunError.

    If it `adapts_fakes`, a fake beside another server imitates that one's version and store.
    """
    issuer = Issuer()
    drivers: dict[bool, Driver] = {}
    with TemporaryDirectory() as artifacts, ExitStack() as started:
        setup = Setup({**SETTINGS, "LOCAL_ARTIFACTS_DIR": artifacts})
        # Fakes last: only then it is known what they imitate.
        for is_left, target in sorted({True: left, False: right}.items(), key=lambda each: each[1].name in _FAKES):
            other = next((driver for driver in drivers.values() if driver.target not in _FAKES), None)
            if adapts_fakes and other is not None and target.name in _FAKES:
                drivers[is_left] = started.enter_context(_fake_like(other, target, issuer, setup))
            else:
                drivers[is_left] = started.enter_context(_with_issuer(target, issuer).start(setup))
        pair = Pair(drivers[True], drivers[False])
        if pair.issuer is None:
            _let_callers_be_alike(*pair.drivers)
            _let_callers_be_alike(*reversed(pair.drivers))
        if pair.is_virtual:
            # They begin at the same full second.
            pair.wait_until((pair.now // SECOND + 1) * SECOND)
        yield pair


def _let_callers_be_alike(server: Driver, deployment: Driver) -> None:
    """Give the callers of a server that takes our tokens the claims of those of a deployment, which has its own."""
    if server.issuer is None or deployment.issuer is not None:
        return
    for name, token in deployment.tokens.items():
        claims = claims_in(token)
        if claims is not None:
            kind = "worker" if "worker" in name else "producer"
            server.mint(name, Identity(kind, {key: claims[key] for key in claims.keys() - _OF_THE_ISSUER}))


@contextmanager
def _fake_like(other: Driver, fake: Target, issuer: Issuer, setup: Setup) -> Iterator[Driver]:
    """A fake of the version that the other server shows, and of its store if that is known. May raise NotRunError."""
    found = detect(other)
    target = _imitating(fake, found.version, found.store or other.time_bounds.profile)
    with _with_issuer(target, issuer).start(setup) as driver:
        yield replace(driver, about={**driver.about, "contract": f"{found.version}, as the other server"})


def _imitating(fake: Target, version: str, store: str) -> Target:
    """A fake of that version, and of that store if it is known."""
    is_known = profile_name(version, store) in PROFILES
    if isinstance(fake, InProcessTarget):
        return replace(fake, version=version, profile=store if is_known else fake.profile)
    if isinstance(fake, ServerTarget) and isinstance(fake.server, ServedFakes):
        command = fake.server.command
        command = replace(command, version=version, profile=store if is_known else command.profile)
        return replace(fake, server=replace(fake.server, command=command))
    return fake


def _with_issuer(target: Target, issuer: Issuer) -> Target:
    """A target with that issuer, if the suite makes its tokens."""
    return replace(target, issuer=issuer) if isinstance(target, InProcessTarget | ServerTarget) else target
