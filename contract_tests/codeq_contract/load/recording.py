"""Records the history of a load: producers and workers for some time, then a drain."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import cycle, islice, zip_longest

from codeq_contract.checker.settings import Settings
from codeq_contract.driver import Answer, Driver, Namespace
from codeq_contract.driver.clocks import called_every
from codeq_contract.driver.http_transport import HttpTransport
from codeq_contract.driver.identities import claims_in
from codeq_contract.driver.identities import worker as worker_identity
from codeq_contract.recorder import Tape
from codeq_contract.recorder.callers import identity_of
from codeq_contract.recordings.format import Call, Callback, Header, Identity, Recording
from codeq_contract.recordings.times import MILLISECOND, SECOND
from codeq_contract.stores import profile_name

from .actors import Actor, ActorContext, TaskLog, poller, producer, worker
from .busy_clients import BusyClients, BusyProcess, LostProcessError
from .draining import Drain, drainer, reader, size_reader
from .real_time import RealTimeScheduler
from .scheduler import Scheduler

_CALLBACK_TRIES = 5
#: Seconds for callbacks before the last reads. On a clock that stands still a long wait costs nothing.
_SETTLING, _SETTLING_IN_NO_TIME = 1.0, 20.0
#: Clients of a tenant that drain and read at once.
_SIDE_BY_SIDE = 8
#: Seconds between two reports of the progress.
_SHOWN_EVERY = 0.5
#: An admin of the first tenant.
_ADMIN = "admin"
#: The most attempts of a task whose lease expires and that does not become a dead letter.
_MOST_ATTEMPTS = 4
#: The most long polls at once.
_POLLERS = 50
#: Commands of a tenant.
_COMMANDS = 2
#: One in this number of participants belongs to the second tenant, if there is one.
_SHARE_OF_OTHERS = 3


@dataclass(frozen=True, slots=True)
class Load:
    """The size of a load: `tasks` in all, created within `seconds`, and at most `drain` seconds to end them.

    Beside that, `busy` clients in `processes` create, claim and complete as fast as the server answers, `batch` tasks
    a call. A clock that stands still has none.
    """

    producers: int = 3
    workers: int = 6
    tasks: int = 300
    seconds: float = 20
    drain: float = 120
    seed: int = 0
    busy: int = 0
    processes: int = 1
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is: its phase, since when (s), of how many seconds at most, and whether that is over.

    `calls` are those of the phase. `tasks` were created so far, of which `ended` have ended.
    """

    phase: str
    seconds: float
    most: float
    is_over: bool
    calls: int
    tasks: int
    ended: int


def _ignore(_: Progress) -> None:
    pass


def record_load(
    driver: Driver, load: Load, settings: Mapping[str, str], show: Callable[[Progress], None] = _ignore
) -> Recording:
    """Run a load on a server with these `settings`, and return its recording. `show` is called from time to time.

    An interrupt (ctrl-C) ends the load and begins the drain. A second one ends the drain, and the history is cut.
    Raises LostProcessError, and BrokenLoadError, with the history so far, if anything else ends it.
    """
    return _Recorder(driver, load, settings, show).record()


class BrokenLoadError(Exception):
    """The load failed midway, most likely on a reply without sense. `recording` is the history so far."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self.recording = recording

    def __str__(self) -> str:
        cause = self.__cause__
        return f"the load broke off: {type(cause).__name__}: {cause}"


@dataclass(frozen=True, slots=True)
class _Phase:
    """A part of a load of `most` seconds, with the steady time and the number of calls at its beginning."""

    name: str
    most: float
    begun: int
    earlier_calls: int


@dataclass
class _Recorder:
    """Runs the phases of one load, and records them. `names` are for its commands and its webhook."""

    driver: Driver
    load: Load
    settings: Mapping[str, str]
    show: Callable[[Progress], None]
    names: Namespace = field(default_factory=Namespace)

    def __post_init__(self) -> None:
        if not self.driver.in_real_time:
            # Every load begins at the same fraction of a second, so that it can be repeated.
            self.driver.clock.until(-(-self.driver.clock.now() // SECOND) * SECOND)
        self.epoch = self.driver.clock.now() // MILLISECOND * MILLISECOND
        self.random = random.Random(self.load.seed)  # noqa: S311 - loads are not secret
        self.tape = Tape(self.driver.clock.now)
        self.tenants = tenants_of(self.driver, self.names, producers=self.load.producers, workers=self.load.workers)
        #: The queue of the busy clients, in the first tenant.
        self.busy = replace(self.tenants[0], commands=[self.names.command()], log=TaskLog())
        self.processes: list[BusyProcess] = []
        #: All commands of the first tenant.
        self.commands_of_ours = [*self.tenants[0].commands, *self.busy.commands]

    def record(self) -> Recording:
        """As `record_load`. The history of a drain that was interrupted counts as not drained."""
        try:
            with suppress(KeyboardInterrupt):
                with self._phase("load", self.load.seconds):
                    self._work()
                with self._phase("long polls", self.load.drain):
                    self._poll()
            drained = False
            with suppress(KeyboardInterrupt):
                with self._phase("drain", self.load.drain):
                    drained = self._drain()
                with self._phase("last reads", self.load.drain):
                    self._read()
        except LostProcessError:
            raise
        except Exception as error:
            raise BrokenLoadError(self._recording(drained=False)) from error
        return self._recording(drained=drained)

    def _recording(self, *, drained: bool) -> Recording:
        self.tape.callbacks.extend(self._callbacks())
        return self.tape.recording(self._header(drained=drained))

    @contextmanager
    def _phase(self, name: str, most: float) -> Iterator[None]:
        """Show how a phase goes, every half second if it takes real time."""
        phase = _Phase(name, most, self.driver.clock.steady(), self._calls)
        show = partial(self._show, phase, is_over=False)
        try:
            with called_every(_SHOWN_EVERY, show, thread="progress") if self.driver.in_real_time else nullcontext():
                yield
        finally:
            self._show(phase, is_over=True)

    def _show(self, phase: _Phase, *, is_over: bool) -> None:
        logs = [tenant.log for tenant in (*self.tenants, self.busy)]
        tasks, ended = sum(len(log.created) for log in logs), sum(len(log.ended) for log in logs)
        seconds = (self.driver.clock.steady() - phase.begun) / SECOND
        self.show(Progress(phase.name, seconds, phase.most, is_over, self._calls - phase.earlier_calls, tasks, ended))

    @property
    def _calls(self) -> int:
        return len(self.tape) + sum(process.calls for process in self.processes)

    def _work(self) -> None:
        """Run producers, workers and busy clients for the seconds of the load."""
        scheduler, webhook = self._scheduler(), self._set_up_webhook()
        ours, *others = self._busy_clients().split(self.load.processes)
        transport = self.driver.transport
        if isinstance(transport, HttpTransport):
            self.processes = [BusyProcess(each, transport.url, self.driver.tokens) for each in others]
        try:
            for process in self.processes:
                process.wait_until_ready()
            until = self.driver.clock.now() + round(self.load.seconds * SECOND)
            for process in self.processes:
                process.begin(until)

            def goes_on() -> bool:
                return scheduler.goes_on() and self.driver.clock.now() < until

            actors = [actor for tenant in self.tenants for actor in self._actors(tenant, goes_on, webhook)]
            scheduler.run([*actors, *ours.actors(self.busy.log, goes_on)])
        finally:
            self._collect()

    def _busy_clients(self) -> BusyClients:
        producers, workers = cycle(self.busy.producers), cycle(self.busy.workers)
        pairs = [(next(producers), next(workers)) for _ in range(self.load.busy)]
        return BusyClients(self.busy.commands[0], pairs, self.load.batch)

    def _collect(self) -> None:
        """Put the records of the other processes beside ours. All end, also if one is lost."""
        lost: LostProcessError | None = None
        running, self.processes = self.processes, []
        for process in running:
            process.stop()
        for process in running:
            try:
                calls, log = process.result()
            except LostProcessError as error:
                lost = error
            else:
                self.tape.add(calls)
                self.busy.log.add(log)
        if lost is not None:
            raise lost

    def _poll(self) -> None:
        """Let many long polls wait at once, each for a task that no other can claim, as many as the load has tasks."""
        scheduler, [tenant, *_] = self._scheduler(), self.tenants
        number = min(_POLLERS, self.load.tasks)
        rounds = self.load.tasks // number
        producers, workers = cycle(tenant.producers), cycle(tenant.workers)
        pollers = []
        for _ in range(number):
            own = replace(tenant, commands=[self.names.command()], log=TaskLog())
            self.commands_of_ours += own.commands
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
        """End all tasks, side by side. Returns whether no claim can get a task any more."""
        scheduler, deadline = self._scheduler(), self.driver.clock.now() + round(self.load.drain * SECOND)
        of_tenants = [(tenant, self._drain_until(deadline)) for tenant in self.tenants]
        every = [*of_tenants, (self.busy, self._drain_until(deadline))] if self.load.busy else of_tenants
        # One worker a tenant, before the others claim: see `drainer`.
        scheduler.run(
            [
                drainer(self._context(tenant, tenant.workers[0], scheduler.goes_on), drain, holds_late=True)
                for tenant, drain in of_tenants
            ]
        )
        scheduler.run(
            [
                drainer(self._context(tenant, name, scheduler.goes_on), drain, leads=not place)
                for tenant, drain in every
                for place, name in enumerate(islice(cycle(tenant.workers), _SIDE_BY_SIDE))
            ]
        )
        return all(drain.is_complete for _, drain in every)

    def _drain_until(self, deadline: int) -> Drain:
        clock = self.driver.clock
        return Drain(now=clock.now, deadline=deadline, backoff=self._longest_backoff, busy_until=clock.now())

    def _read(self) -> None:
        """Read all tasks and their results once more, when the last callbacks have had their time, then the sizes."""
        scheduler = self._scheduler()
        pause = _SETTLING if self.driver.in_real_time else _SETTLING_IN_NO_TIME
        readers = []
        for tenant in (*self.tenants, self.busy):
            tasks = [*tenant.log.created]
            for place, name in enumerate(islice(cycle(tenant.workers), _SIDE_BY_SIDE)):
                context = self._context(tenant, name, scheduler.goes_on)
                readers.append(reader(context, tasks[place::_SIDE_BY_SIDE], pause=pause))
        scheduler.run(readers)
        if _ADMIN in self.driver.tokens:
            ours = replace(self.tenants[0], commands=self.commands_of_ours)
            scheduler.run([size_reader(self._context(ours, _ADMIN, scheduler.goes_on))])

    def _scheduler(self) -> Scheduler | RealTimeScheduler:
        transport = self.driver.transport
        if isinstance(transport, HttpTransport):
            return RealTimeScheduler(transport.connection, self.driver.tokens, self.tape, self.driver.hooks_origin)
        return Scheduler(self.driver, self.tape, self.random)

    def _context(self, tenant: Tenant, name: str, goes_on: Callable[[], bool]) -> ActorContext:
        generator = random.Random(self.random.randrange(2**32))  # noqa: S311 - as above
        others = [worker for worker in dict.fromkeys(tenant.workers) if worker != name]
        return ActorContext(name, tenant.commands, tenant.log, generator, goes_on, others)

    @cached_property
    def _hook(self) -> tuple[str, list[int]]:
        """The path of the webhook, and the statuses of its answers."""
        return self.names.path(), self.random.choices((200, 200, 204, 500), k=self.load.tasks * _CALLBACK_TRIES)

    def _set_up_webhook(self) -> str:
        """Give the webhook its answers, and return its URL. Empty if the server reaches none."""
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
            profile=profile_name(self.driver.version, self.driver.time_bounds.profile),
            epoch=self.epoch,
            settings=dict(self.settings),
            identities=self._identities(),
            drained=drained,
        )

    def _identities(self) -> Mapping[str, Identity]:
        """The callers of the load with their claims, for the header of the recording."""
        calls: defaultdict[str | None, list[Call]] = defaultdict(list)
        for call in self.tape.calls:
            calls[call.identity].append(call)
        kinds = {
            **dict.fromkeys((_ADMIN, *(name for tenant in self.tenants for name in tenant.producers)), "producer"),
            **dict.fromkeys((name for tenant in self.tenants for name in tenant.workers), "worker"),
        }
        tokens = self.driver.tokens
        return {name: identity_of(tokens[name], kind, calls[name]) for name, kind in kinds.items() if name in tokens}

    @cached_property
    def _longest_backoff(self) -> int:
        _, longest = Settings.of(self._header(drained=False)).backoff(_MOST_ATTEMPTS)
        return longest


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
