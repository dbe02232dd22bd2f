"""The watch over a fake's requests and settings: reports each divergence that they show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from codeq_fake.auth.caller import strict_tenant_of, tenant_of
from codeq_fake.core import PROFILES, Profile
from codeq_fake.core.backoff import DEFAULT_POLICY, POLICIES
from codeq_fake.core.slices import Slices, at_once
from codeq_fake.journal import Journal, Request
from codeq_fake.server_settings import Settings, StaticAuth

from .history import History
from .rules import RULES, Rule

#: How many requests are read between two pauses: some take long, because their bodies are looked at.
_BATCH = 100


class CodeQSurprise(UserWarning):
    """The code under test relies on a statement of CodeQ's documents that is not true for the real server."""


@dataclass(frozen=True, slots=True)
class Surprise:
    """What the documents `said`, what is `done` instead, and the clause that says so.

    `rule` is a short name. `request` is the journal's number of the first request that showed it, None for a setting.
    """

    rule: str
    clause: str
    said: str
    done: str
    request: int | None = None

    def __str__(self) -> str:
        return f"documented: {self.said}; done: {self.done} ({self.clause})"


@cache
def _rules_of(profile: str) -> Sequence[Rule]:
    """The rules that apply to a profile."""
    return [rule for rule in RULES if _applies(rule, PROFILES[profile])]


def _applies(rule: Rule, profile: Profile) -> bool:
    return (not rule.where or _has(profile, rule.where)) and not _has(profile, rule.unless)


def _has(profile: Profile, capability: str) -> bool:
    """Whether the version or the store of a profile has a capability."""
    return any(getattr(part, capability, False) for part in (profile.version, profile.store))


class Watch:
    """The surprises of one fake. It reads the journal only when it is asked, and each request once."""

    def __init__(self, journal: Journal[Request], settings: Settings, profile: Profile) -> None:
        self._journal = journal
        self._in_settings = tuple(_in_settings(settings, profile))
        #: The number of the last request that was read.
        self._read_up_to = 0
        self._history = History()
        #: Those that no request has shown yet: each is reported once.
        self._rules = _rules_of(profile.name)
        self._found: list[Surprise] = []
        #: How many of those found `take_unlogged` has returned.
        self._logged = 0

    def so_far(self) -> list[Surprise]:
        """All surprises so far, in order. Requests that the journal dropped before they were read are missing."""
        return at_once(self.so_far_in_slices())

    def so_far_in_slices(self) -> Slices[list[Surprise]]:
        """As `so_far`. Requests may come in between."""
        while self._read_up_to < self._journal.count:
            self._read(self._journal.first_since(self._read_up_to, _BATCH))
            yield
        return [*self._in_settings, *self._found]

    def take_unlogged(self, answered: Request) -> list[Surprise]:
        """The surprises of requests that no earlier call has returned. `answered` is a request of the journal.

        Requests are logged when their replies have been sent, so not in the order of their numbers. Therefore this
        reads all that is new in the journal, and `answered` itself only if the journal keeps no requests.
        """
        self._read(self._journal.since(self._read_up_to))
        if not self._journal.entries and 0 < answered.n <= self._journal.count:
            self._add(answered)
        new = self._found[self._logged :]
        self._logged = len(self._found)
        return new

    def _read(self, requests: Sequence[Request]) -> None:
        """Read the next requests of the journal. If it gives none, there are no new ones, or it has dropped them."""
        for request in requests:
            self._add(request)
        self._read_up_to = requests[-1].n if requests else self._journal.count

    def _add(self, request: Request) -> None:
        """Find what this request is the first to show."""
        operation = request.operation
        matching = [rule for rule in self._rules if operation in rule.operations and rule.shows(request, self._history)]
        self._history.add(request)
        self._rules = [rule for rule in self._rules if rule not in matching]
        self._found += [Surprise(rule.name, rule.clause, rule.said, rule.done, request.n) for rule in matching]


def _in_settings(settings: Settings, profile: Profile) -> Iterator[Surprise]:
    """The surprises that the fake's own settings show."""
    for name in settings.unread:
        yield Surprise("variable", "settings", f"the environment may set {name}", "it is not read from there")
    policy = settings.backoff_policy
    if policy == "exponential":
        yield Surprise(
            "exponential", "N6", f"{policy} waits base*2^(attempts-1)", "it waits base*2^attempts: twice as long"
        )
    if policy not in POLICIES:
        yield Surprise("policy", "N6", f"{policy} is a backoff policy", f"it acts as {DEFAULT_POLICY}, as any unknown")
    producer, worker = settings.producer_auth, settings.worker_auth
    if settings.auth_given and isinstance(producer, StaticAuth) and isinstance(worker, StaticAuth):
        tenant = strict_tenant_of if profile.version.has_strict_tenants else tenant_of
        tenants = [tenant(auth.raw, auth.subject) for auth in (producer, worker)]
        if tenants[0] != tenants[1]:
            yield Surprise(
                "tenants",
                "A9",
                "a producer's and a worker's token need no tenant to meet",
                f"the tenant is the subject then: {tenants[0]!r} and {tenants[1]!r} never meet",
            )
