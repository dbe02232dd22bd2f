"""What a case is given: callers, a clock, names of its own, a webhook; and how it says that it cannot tell."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from codeq_contract.driver import Answer, Driver, Namespace, NotInTimeError, Op, Reply, Setup
from codeq_contract.driver.identities import producer, worker
from codeq_contract.recordings.times import SECOND, moment_text
from codeq_contract.report.verdicts import InconclusiveError, Sighting
from codeq_contract.suite.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from codeq_contract.driver import Clock, Knobs, Receiver, Span, Tolerances
    from codeq_contract.driver.hooks import Received
    from codeq_contract.recordings.format import Identity


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of a case and its reply."""

    op: Op
    reply: Reply


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook of a case: its URL, and what came."""

    url: str
    _receiver: Receiver
    _path: str

    @property
    def received(self) -> list[Received]:
        """The requests so far."""
        return self._receiver.received(self._path)


@dataclass(frozen=True, repr=False)
class Contract:
    """One attempt at a case. `scale` is by how much its times are longer than at the first attempt."""

    driver: Driver
    scale: int = 1
    names: Namespace = field(default_factory=Namespace)
    transcript: list[Exchange] = field(default_factory=list)
    sightings: set[Sighting] = field(default_factory=set)
    #: Where in the transcript the examples of a case begin; only the last one is of interest.
    examples: list[int] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Contract of {self.names.prefix} on {self.driver.target}>"

    # Who acts.

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
        """Another worker of our tenant; needs many_workers."""
        return self.caller("worker2")

    @cached_property
    def admin(self) -> Caller:
        """An admin of our tenant; needs admin."""
        return self.caller("admin")

    @cached_property
    def nobody(self) -> Caller:
        """Someone without a token."""
        return self.caller(None)

    def caller(self, name: str | None) -> Caller:
        """The caller of that name."""
        return Caller(name, self.call)

    def new_producer(self, *, tenant: str = "", **claims: object) -> Caller:
        """A producer with these claims on top of the usual ones; needs minting."""
        return self.new(producer("producer-9", tenant or self.names.tenant(), **claims))

    def new_worker(self, *, tenant: str = "", **claims: object) -> Caller:
        """A worker with these claims on top of the usual ones; needs minting."""
        return self.new(worker("worker-9", tenant or self.names.tenant(), **claims))

    def new(self, identity: Identity) -> Caller:
        """A caller with a token of its own; needs minting."""
        name = self.names.caller(identity.kind)
        self.driver.mint(name, identity)
        return self.caller(name)

    # What happens.

    def call(self, op: Op) -> Reply:
        """Send one request."""
        return self.together([op])[0]

    def together(self, ops: Sequence[Op], *, schedule: int = 0) -> list[Reply]:
        """Send these at once; as `Driver.together`."""
        replies = self.driver.together(ops, schedule=schedule)
        self.transcript.extend(map(Exchange, ops, replies))
        return replies

    @contextmanager
    def server(self, environment: Mapping[str, str], yaml: str = "") -> Iterator[Contract]:
        """A second server with these settings in place of the suite's; needs variants."""
        with self.driver.other(Setup().but(environment, yaml)) as driver:
            yield replace(self, driver=driver)

    def begin_example(self) -> None:
        """Note that what comes has nothing to do with what was."""
        self.examples.append(len(self.transcript))

    @property
    def last_example(self) -> Sequence[Exchange]:
        """The transcript, or that of the last example."""
        return self.transcript[self.examples[-1] if self.examples else 0 :]

    def saw(self, sighting: Sighting) -> None:
        """Count that this happened."""
        self.sightings.add(sighting)

    # Names, settings and webhooks.

    def command(self) -> str:
        """A command that nobody else uses."""
        return self.names.command()

    @property
    def knobs(self) -> Knobs:
        """The server's settings."""
        return self.driver.knobs

    def hook(self, *answers: int | Answer) -> Hook:
        """A webhook that gives these answers in turn, and then 200; needs webhooks."""
        path, receiver = self.names.path(), self.driver.hooks
        receiver.answer(path, *(Answer(given) if isinstance(given, int) else given for given in answers))
        return Hook(self.driver.hooks_origin + path, receiver, path)

    # Time.

    @property
    def clock(self) -> Clock:
        """The target's clock, by which the case waits."""
        return self.driver.clock

    @property
    def tolerances(self) -> Tolerances:
        """What the target's store and clock allow."""
        return self.driver.tolerances

    def seconds(self, seconds: int) -> int:
        """A duration, made longer for another attempt."""
        return seconds * self.scale

    def lease_end(self, reply: Reply, seconds: int) -> Span:
        """When the lease counts as over that this claim or heartbeat gave (K8)."""
        return self.tolerances.lease_end(reply.called, reply.returned, seconds)

    def delay_end(self, reply: Reply, seconds: int) -> Span:
        """When the task is due that this request delayed (C7)."""
        return self.tolerances.delay_end(reply.called, reply.returned, seconds)

    def surely_before(self, reply: Reply, moment: int) -> None:
        """Raises InconclusiveError unless the server had done it before `moment`."""
        if reply.returned >= moment:
            raise InconclusiveError(
                f"answered at {moment_text(reply.returned)}, not surely before {moment_text(moment)}"
            )

    def eventually_claimed(self, caller: Caller, *commands: str, **fields: object) -> dict[str, Any]:
        """The task that `caller` gets, asking again and again."""
        found: list[Reply] = []

        def claimed() -> bool:
            found[:] = [caller.claim(*commands, **fields)]
            return bool(found[0].body)

        self.clock.eventually(claimed, within=self.patience)
        task: dict[str, Any] = found[0].json
        return task

    def claimed_after_backoff(self, caller: Caller, *commands: str) -> dict[str, Any]:
        """As `eventually_claimed`, of a task that the server's backoff delays.

        Raises InconclusiveError when nobody told the server's settings and it is not there within the default ones'.
        """
        try:
            return self.eventually_claimed(caller, *commands)
        except NotInTimeError as late:
            if "known_settings" in self.driver.features:
                raise
            raise InconclusiveError(f"{late}; the server's backoff, which nobody told, may be longer") from late

    @property
    def patience(self) -> float:
        """Seconds within which what must come about does, with the longest backoff of the settings as we know them."""
        return self.tolerances.patience + self.knobs.longest_backoff

    def wait_out(self, span: Span) -> None:
        """Wait until that is surely over."""
        self.clock.until(span.latest)

    def just_before(self, span: Span, margin: float = 0.5) -> None:
        """Wait until shortly before that can be over at the earliest."""
        self.clock.until(span.earliest - round(margin * SECOND))
