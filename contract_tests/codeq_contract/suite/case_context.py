"""The context of a case, its argument `contract`: callers, a clock, unique names, a webhook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from codeq_contract.driver import (
    TICK,
    Answer,
    Clock,
    Driver,
    Exchange,
    KnownSettings,
    Namespace,
    NotInTimeError,
    Received,
    Receiver,
    Reply,
    Request,
    Setup,
    Span,
    TimeBounds,
    UnsupportedError,
)
from codeq_contract.driver.identities import callers, producer, worker
from codeq_contract.recordings.format import Identity
from codeq_contract.recordings.times import SECOND, moment_text, parse_moment
from codeq_contract.report.results import InconclusiveError, Sighting

from .caller import CLEAN_UP, Caller
from .shared_servers import SharedServers

#: A server refuses a clean-up of these callers (A8).
_NO_ADMINS = frozenset({None, *callers("")}) - {"admin"}


def _may_clean_up(request: Request) -> bool:
    return request.path == CLEAN_UP and request.identity not in _NO_ADMINS


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook of a case: its URL and its requests."""

    url: str
    _receiver: Receiver
    _path: str

    @property
    def received(self) -> list[Received]:
        """The requests so far. It waits for none."""
        return self._receiver.received(self._path)


@dataclass(frozen=True, repr=False)
class CaseContext:
    """One attempt at a case. `scale` multiplies its durations: 1 at the first attempt, more at later ones."""

    driver: Driver
    scale: int = 1
    names: Namespace = field(default_factory=Namespace)
    transcript: list[Exchange] = field(default_factory=list)
    sightings: set[Sighting] = field(default_factory=set)
    #: The positions in the transcript at which the examples of a case begin. A report shows the last one.
    examples: list[int] = field(default_factory=list)
    shared_servers: SharedServers | None = None

    def __repr__(self) -> str:
        return f"<CaseContext of {self.names.prefix} on {self.driver.target}>"

    # Callers.

    @cached_property
    def producer(self) -> Caller:
        """A producer of our tenant."""
        return self.caller("producer")

    @cached_property
    def worker(self) -> Caller:
        """A worker of our tenant."""
        return self.caller("worker")

    @cached_property
    def worker2(self) -> Caller:
        """Another worker of our tenant. Needs many_workers."""
        return self.caller("worker2")

    @cached_property
    def admin(self) -> Caller:
        """An admin of our tenant. Needs admin."""
        return self.caller("admin")

    @cached_property
    def anonymous(self) -> Caller:
        """A caller without a token."""
        return self.caller(None)

    def caller(self, name: str | None) -> Caller:
        """The caller of that name."""
        return Caller(name, self.call)

    def new_producer(self, *, tenant: str = "", **claims: object) -> Caller:
        """A producer with additional claims. Needs minting."""
        return self.new(producer("producer-9", tenant or self.names.tenant(), **claims))

    def new_worker(self, *, tenant: str = "", **claims: object) -> Caller:
        """A worker with additional claims. Needs minting."""
        return self.new(worker("worker-9", tenant or self.names.tenant(), **claims))

    def new(self, identity: Identity) -> Caller:
        """A caller with a new token. Needs minting."""
        name = self.names.caller(identity.kind)
        self.driver.mint(name, identity)
        return self.caller(name)

    # Requests.

    def call(self, request: Request) -> Reply:
        """Send one request."""
        return self.together([request])[0]

    def together(self, requests: Sequence[Request], *, schedule: int = 0) -> list[Reply]:
        """Send the requests at once. As `Driver.together`.

        Raises UnsupportedError instead of letting a server delete tasks of others.
        """
        if "clean_up" not in self.driver.features and any(map(_may_clean_up, requests)):
            raise UnsupportedError("the target has no clean_up: tasks of others may be in its store")
        replies = self.driver.together(requests, schedule=schedule)
        self.transcript.extend(map(Exchange, requests, replies))
        return replies

    @contextmanager
    def server(self, environment: Mapping[str, str], yaml: str = "") -> Iterator[CaseContext]:
        """A second server with these settings in place of the suite's. Needs variants."""
        with self.other_server(Setup().but(environment, yaml)) as contract:
            yield contract

    @contextmanager
    def other_server(self, setup: Setup) -> Iterator[CaseContext]:
        """A second server with exactly this set-up. Needs variants."""
        with self.driver.other(setup) as driver:
            yield replace(self, driver=driver)

    def on_shared_server(self, setup: Setup) -> CaseContext:
        """The context on a server with exactly this set-up, which other cases use as well. Needs variants."""
        if self.shared_servers is None:
            raise UnsupportedError("a server that cases share")
        return replace(self, driver=self.shared_servers.get(setup))

    def begin_example(self) -> None:
        """Separate the following requests from those before."""
        self.examples.append(len(self.transcript))

    @property
    def last_example(self) -> Sequence[Exchange]:
        """The transcript, or that of the last example."""
        return self.transcript[self.examples[-1] if self.examples else 0 :]

    def saw(self, sighting: Sighting) -> None:
        """Record that this situation occurred."""
        self.sightings.add(sighting)

    def leased(self, seconds: int = 120, **fields: object) -> dict[str, Any]:
        """A new task with these fields, which our worker holds."""
        command = self.command()
        self.producer.created(command, **fields)
        return self.worker.claimed(command, leaseSeconds=seconds)

    # Names, settings and webhooks.

    def command(self) -> str:
        """A command that no other case uses."""
        return self.names.command()

    @property
    def settings(self) -> KnownSettings:
        """The server's settings."""
        return self.driver.settings

    def hook(self, *answers: int | Answer) -> Hook:
        """A webhook that gives these answers in turn, and then 200. Needs webhooks."""
        path, receiver = self.names.path(), self.driver.hooks
        receiver.answer(path, *(Answer(given) if isinstance(given, int) else given for given in answers))
        return Hook(self.driver.hooks_origin + path, receiver, path)

    # Time.

    @property
    def clock(self) -> Clock:
        """The target's clock. The case waits by it."""
        return self.driver.clock

    @property
    def time_bounds(self) -> TimeBounds:
        """The tolerances of the target's store and clock."""
        return self.driver.time_bounds

    def seconds(self, seconds: int) -> int:
        """A duration, longer at later attempts."""
        return seconds * self.scale

    def lease_end(self, reply: Reply, seconds: int) -> Span:
        """When the lease of this claim or heartbeat counts as over (K8)."""
        return self.time_bounds.lease_end(reply.called, reply.returned, seconds)

    def lasts(self, reply: Reply, seconds: int, until: str) -> bool:
        """Whether a lease is shown with the right end, give or take its second and another machine's clock."""
        return self.second_lies_after(reply, seconds * SECOND, until)

    def second_lies_after(self, reply: Reply, nanoseconds: int, shown: str) -> bool:
        """As `lies_after`, for a time that is shown without its fraction of a second."""
        second, skew = parse_moment(shown) - nanoseconds, self.time_bounds.server_skew
        return reply.called - SECOND - skew < second <= reply.returned + skew

    def second_lies_before(self, request: Received, stamp: str) -> bool:
        """Whether a callback or notice came after the second of its stamp: late, or by another machine's clock."""
        second, bounds = int(stamp) * SECOND, self.time_bounds
        return request.at - SECOND - bounds.lateness < second <= request.at + bounds.server_skew

    def took(self, reply: Reply, seconds: int) -> bool:
        """Whether the reply came after so long. In real time it may be late, and clocks tick."""
        early, late = (0, 0) if self.time_bounds.exact else (TICK, 10 * SECOND)
        return seconds * SECOND - early <= reply.returned - reply.called <= seconds * SECOND + late

    def lies_after(self, reply: Reply, seconds: int, shown: str) -> bool:
        """Whether a time is shown that lies so long after the request, give or take another machine's clock."""
        moment, skew = parse_moment(shown) - seconds * SECOND, self.time_bounds.server_skew
        return reply.called - skew <= moment <= reply.returned + skew

    def delay_end(self, reply: Reply, seconds: int) -> Span:
        """When the task that this request delayed is due (C7)."""
        return self.time_bounds.delay_end(reply.called, reply.returned, seconds)

    def surely_before(self, reply: Reply, moment: int) -> None:
        """Raises InconclusiveError unless the reply came before `moment`."""
        if reply.returned >= moment:
            raise InconclusiveError(
                f"answered at {moment_text(reply.returned)}, not certainly before {moment_text(moment)}"
            )

    def wake(self, *commands: str) -> None:
        """Let claims find what the reaper has requeued, by another delayed task of the command (P6)."""
        if self.time_bounds.store.reaper:
            for command in commands:
                self.producer.created(command, delaySeconds=3600)

    def eventually_claimed(self, caller: Caller, *commands: str, **fields: object) -> dict[str, Any]:
        """The task that `caller` gets by repeated claims."""
        replies: list[Reply] = []
        self.wake(*commands)

        def claimed() -> bool:
            replies[:] = [caller.claim(*commands, **fields)]
            return bool(replies[0].body)

        self.clock.eventually(claimed, within=self.patience)
        task: dict[str, Any] = replies[0].json
        return task

    def claimed_after_backoff(self, caller: Caller, *commands: str) -> dict[str, Any]:
        """As `eventually_claimed`, for a task that the server's backoff delays.

        Raises InconclusiveError if the server's settings are unknown and the task does not come within the defaults.
        """
        try:
            return self.eventually_claimed(caller, *commands)
        except NotInTimeError as late:
            if "known_settings" in self.driver.features:
                raise
            raise InconclusiveError(f"{late}; the server's backoff is unknown and may be longer") from late

    @property
    def patience(self) -> float:
        """The seconds after which an expected event counts as missing, with the longest backoff that is known."""
        return self.time_bounds.patience + self.settings.longest_backoff

    def wait_out(self, span: Span) -> None:
        """Wait until the span is certainly over."""
        self.clock.until(span.latest)

    def wait_for_repair(self) -> None:
        """Wait until the next claim surely repairs leases, on a version that does not at every claim (Q1)."""
        interval = self.time_bounds.repair_interval
        if interval:
            self.clock.sleep((interval + TICK) / SECOND)

    def wait_for_fraction(self, nanoseconds: int) -> None:
        """Wait for the next moment at this fraction of a second."""
        self.clock.until((self.clock.now() // SECOND + 1) * SECOND + nanoseconds)

    def just_before(self, span: Span, margin: float = 0.5) -> None:
        """Wait until shortly before the span begins."""
        self.clock.until(span.earliest - round(margin * SECOND))
