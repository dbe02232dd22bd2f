"""Records the history of a load: producers and workers for some time, then a drain."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import cycle, islice, zip_longest

from codeq_contract.checker.settings import Settings
from codeq_contract.driver import Answer, Driver, Namespace
from codeq_contract.driver.identities import claims_in
from codeq_contract.driver.identities import worker as worker_identity
from codeq_contract.recorder import Tape
from codeq_contract.recorder.callers import identity_of
from codeq_contract.recordings.format import Callback, Header, Identity, Recording
from codeq_contract.recordings.times import MILLISECOND, SECOND

from .actors import LONGEST_LEASE, Actor, ActorContext, Drain, TaskLog, drainer, poller, producer, worker
from .scheduler import Scheduler

_CALLBACK_TRIES = 5
#: Seconds for callbacks before the last reads. On a clock that stands still a long wait costs nothing.
_SETTLING, _SETTLING_IN_NO_TIME = 1.0, 20.0
#: The most attempts of a task whose lease expires and that does not become a dead letter.
_MOST_ATTEMPTS = 4
_SLACK = 2 * SECOND
#: The most long polls at once.
_POLLERS = 50


@dataclass(frozen=True, slots=True)
class Load:
    """The size of a load: `tasks` in all, created within `seconds`, and at most `drain` seconds to end them."""

    producers: int = 3
    workers: int = 6
    tasks: int = 300
    seconds: float = 20
    drain: float = 120
    seed: int = 0


def record_load(driver: Driver, load: Load, settings: Mapping[str, str]) -> Recording:
    """Run a load on a server with these `settings`, and return its recording.

    An interrupt (ctrl-C) ends the load and begins the drain. A second one ends the drain, and the history is cut.
    Raises BrokenLoadError, with the history so far, if anything else ends it.
    """
    return _Recorder(driver, load, settings).record()


class BrokenLoadError(Exception):
    """The load failed midway, most likely on a reply without sense. `recording` is the history so far."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self.recording = recording

    def __str__(self) -> str:
        cause = self.__cause__
        return f"the load broke off: {type(cause).__name__}: {cause}"


@dataclass
class _Recorder:
    driver: Driver
    load: Load
    settings: Mapping[str, str]
    names: Namespace = field(default_factory=Namespace)

    def __post_init__(self) -> None:
        if not self.driver.in_real_time:
            # Every load begins at the same fraction of a second, so that it can be repeated.
            self.driver.clock.until(-(-self.driver.clock.now() // SECOND) * SECOND)
        self.epoch = self.driver.clock.now() // MILLISECOND * MILLISECOND
        self.random = random.Random(self.load.seed)  # noqa: S311 - loads are not secret
        self.tape = Tape(self.driver.clock.now)
        self.tenants = tenants_of(self.driver, self.names, producers=self.load.producers, workers=self.load.workers)

    def record(self) -> Recording:
        try:
            with suppress(KeyboardInterrupt):
                self._work()
                self._poll()
            drained = self._drain()
        except Exception as error:
            raise BrokenLoadError(self._recording(drained=False)) from error
        return self._recording(drained=drained)

    def _recording(self, *, drained: bool) -> Recording:
        self.tape.callbacks.extend(self._callbacks())
        return self.tape.recording(self._header(drained=drained))

    def _work(self) -> None:
        scheduler, until = self._scheduler(), self.driver.clock.now() + round(self.load.seconds * SECOND)
        webhook = self._webhook()

        def goes_on() -> bool:
            return scheduler.goes_on() and self.driver.clock.now() < until

        scheduler.run([actor for tenant in self.tenants for actor in self._actors(tenant, goes_on, webhook)])

    def _poll(self) -> None:
        """Let many long polls wait at once, each for a task that no other can claim, as many as the load has tasks."""
        scheduler, [tenant, *_] = self._scheduler(), self.tenants
        number = min(_POLLERS, self.load.tasks)
        rounds = self.load.tasks // number
        producers, workers = cycle(tenant.producers), cycle(tenant.workers)
        pollers = []
        for _ in range(number):
            own = replace(tenant, commands=[self.names.command()], log=TaskLog())
            pollers.append(poller(self._context(own, next(workers), scheduler.goes_on), next(producers), rounds))
        scheduler.run(pollers)

    def _actors(self, tenant: Tenant, goes_on: Callable[[], bool], webhook: str) -> Iterator[Actor]:
        producers = sum(len(tenant.producers) for tenant in self.tenants)
        tasks = self.load.tasks // producers
        for name in tenant.producers:
            context = self._context(tenant, name, goes_on)
            yield producer(context, tasks, every=self.load.seconds / (tasks + 1), webhook=webhook)
        for name in tenant.workers:
            yield worker(self._context(tenant, name, goes_on))

    def _drain(self) -> bool:
        """End all tasks, one drainer for each tenant. Returns whether none remained."""
        scheduler, clock = self._scheduler(), self.driver.clock
        drain = Drain(
            now=clock.now,
            quiet=(LONGEST_LEASE + self._longest_backoff) * SECOND + _SLACK,
            deadline=clock.now() + round(self.load.drain * SECOND),
            settling=_SETTLING if self.driver.in_real_time else _SETTLING_IN_NO_TIME,
        )
        drainers = [
            drainer(self._context(tenant, tenant.workers[0], scheduler.goes_on), drain) for tenant in self.tenants
        ]
        try:
            return all(scheduler.run(drainers))
        except KeyboardInterrupt:
            return False

    def _scheduler(self) -> Scheduler:
        return Scheduler(self.driver, self.tape, self.random)

    def _context(self, tenant: Tenant, name: str, goes_on: Callable[[], bool]) -> ActorContext:
        generator = random.Random(self.random.randrange(2**32))  # noqa: S311 - as above
        others = [worker for worker in dict.fromkeys(tenant.workers) if worker != name]
        return ActorContext(name, tenant.commands, tenant.log, generator, goes_on, others)

    @cached_property
    def _hook(self) -> tuple[str, list[int]]:
        """The path of the webhook, and the statuses of its answers."""
        return self.names.path(), self.random.choices((200, 200, 204, 500), k=self.load.tasks * _CALLBACK_TRIES)

    def _webhook(self) -> str:
        if "webhooks" not in self.driver.features:
            return ""
        path, statuses = self._hook
        self.driver.hooks.answer(path, *map(Answer, statuses))
        return self.driver.hooks_origin + path

    def _callbacks(self) -> Iterator[Callback]:
        path, statuses = self._hook
        for request, status in zip_longest(self.driver.hooks.received(path), statuses):
            if request is None:
                return
            headers, body = request.headers, request.body.decode()
            yield Callback(request.at, request.method, request.path, headers, body, status or 200)

    def _header(self, *, drained: bool) -> Header:
        return Header(
            name=f"load_{self.load.seed}",
            profile=self.driver.time_bounds.profile,
            epoch=self.epoch,
            settings=dict(self.settings),
            identities=self._identities(),
            drained=drained,
        )

    def _identities(self) -> Mapping[str, Identity]:
        """The callers of the load with their claims, for the header of the recording."""
        identities = {}
        for tenant in self.tenants:
            for kind, members in (("producer", tenant.producers), ("worker", tenant.workers)):
                for name in dict.fromkeys(members):
                    calls = [call for call in self.tape.calls if call.identity == name]
                    identities[name] = identity_of(self.driver.tokens[name], kind, calls)
        return identities

    @cached_property
    def _longest_backoff(self) -> int:
        _, longest = Settings.of(self._header(drained=False)).backoff(_MOST_ATTEMPTS)
        return longest


_COMMANDS = 2

#: One in this number of participants belongs to the second tenant, if there is one.
_SHARE_OF_OTHERS = 3


@dataclass(frozen=True, slots=True)
class Tenant:
    """The callers of one tenant by name, and their commands. A name may appear more than once."""

    producers: Sequence[str]
    workers: Sequence[str]
    commands: Sequence[str]
    log: TaskLog = field(default_factory=TaskLog)


def tenants_of(driver: Driver, names: Namespace, *, producers: int, workers: int) -> list[Tenant]:
    """The load's producers and workers, in one tenant or two. Only this load uses their commands."""
    other_producers, other_workers = producers // _SHARE_OF_OTHERS, workers // _SHARE_OF_OTHERS
    if "tenants" not in driver.features or not (other_producers and other_workers):
        return [_tenant(driver, names, producers, workers, prefix="")]
    return [
        _tenant(driver, names, producers - other_producers, workers - other_workers, prefix=""),
        _tenant(driver, names, other_producers, other_workers, prefix="other_"),
    ]


def _tenant(driver: Driver, names: Namespace, producers: int, workers: int, *, prefix: str) -> Tenant:
    commands = [names.command() for _ in range(_COMMANDS)]
    known_producers = [name for name in driver.tokens if name.startswith(f"{prefix}producer")]
    known_workers = [name for name in driver.tokens if name.startswith(f"{prefix}worker")]
    if driver.issuer is not None:
        known_workers += _more_workers(driver, known_workers[0], workers - len(known_workers))
    return Tenant([*islice(cycle(known_producers), producers)], [*islice(cycle(known_workers), workers)], commands)


def _more_workers(driver: Driver, known: str, number: int) -> list[str]:
    """New workers, `number` of them, in the tenant of a known one."""
    tenant = str((claims_in(driver.tokens[known]) or {}).get("tenantId"))
    names = [f"{known}-{place}" for place in range(2, number + 2)]
    for name in names:
        driver.mint(name, worker_identity(name, tenant))
    return names
