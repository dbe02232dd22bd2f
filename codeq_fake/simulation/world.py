"""The world of one run: what a test sees of it, and what the weather can do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextvars import Context
from functools import partial
from inspect import isawaitable
from pathlib import Path
from random import Random
from sysconfig import get_paths
from types import FrameType
from typing import Any, Unpack

from codeq_fake.auth import identities_of
from codeq_fake.control.fault_rules import FaultControls
from codeq_fake.core.task import State
from codeq_fake.in_process.producer import TaskOptions
from codeq_fake.journal import Request
from codeq_fake.payloads import Identity
from codeq_fake.server_settings import WORKER_SCOPES
from codeq_fake.testing import TaskView

from . import weather
from .acts import Direction
from .effects import TEST, Effects
from .evidence import Evidence
from .hosts import Host, Program, Surroundings
from .incarnation import CURRENT
from .laws import PATIENCE, living_workers_claim
from .leases import Leases
from .log import Entry, LostError
from .plan import Event, Plan
from .recording import recording
from .server import NAME, URL, Server, ServerKind, SimulatedFake
from .weather_kinds import end_of

#: The moment at which the weather is drawn: the test has made its hosts by then (s).
WEATHER_BEGINS = 0.5
#: The tenant of all hosts, and of the tasks of the test.
_TENANT = "simulation"
_WORKER_SCOPES = " ".join(sorted(WORKER_SCOPES))
_ENDED = (State.COMPLETED, State.FAILED, State.DEAD, State.LOST)
_SECOND = 1_000_000_000
#: Where code is that no program of a world has written.
_LIBRARIES = (
    str(Path(__file__).parents[1]),
    *(get_paths()[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
)


class NeverSettledError(AssertionError):
    """Tasks have not ended although the weather was calm for long. The text says who waits for what."""


class NeverEndsError(NeverSettledError):
    """The test itself has not ended within the longest time of a test."""


class World:
    """A server, hosts and a network, whose time is virtual.

    `fake` is the server itself: its tasks, its history and its races. `log` says what happened to the hosts, and
    `errors` what their programs raised and no code has caught.
    """

    def __init__(self, seed: int, around: Surroundings, fake: SimulatedFake, server: ServerKind) -> None:
        self.fake = fake
        self.server = Server(fake, around, server)
        self.started_at = round(fake.time() * _SECOND)
        self.all_effects: dict[str, Effects] = {}
        #: When the weather became calm (s), None if `settle` was not called.
        self.calm_since: float | None = None
        self.lasting: dict[tuple[str, str], list[Event]] = {}
        #: When the last event of the weather is over (s). It is drawn once the test has made its hosts.
        self._end_of_weather = WEATHER_BEGINS
        self._seed = seed
        self._around = around
        self._hosts: dict[str, Host] = {}
        self._identities: dict[str, Identity] = {"test": _producer("test", is_admin=True)}
        self._introduce()

    def __repr__(self) -> str:
        return f"<World of seed {self._seed} at {self.now():.1f} s: {', '.join(map(repr, self._hosts.values()))}>"

    # What a test says.

    def process(self, name: str, *, count: int = 1, restart: bool = True) -> Callable[[Program], Program]:
        """Run the decorated `async def program(host)` on separate hosts, such as worker-1, worker-2 and worker-3.

        One host is called `name` itself. With `restart` a supervisor starts a program again that has ended. An error
        that ends it fails the run in any case.
        """
        if count < 1:
            raise ValueError(f"count: found {count}, want at least 1")
        names = [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
        taken = [one for one in names if one in self._hosts or one == NAME]
        if taken:
            raise ValueError(f"there is a host {taken[0]} already: give the process another name")
        return partial(self._run_on, names, restart)

    def _run_on(self, names: Sequence[str], restart: bool, program: Program) -> Program:  # noqa: FBT001 - of `process`
        for name in names:
            self._identities[name] = _worker(name)
            self._identities[f"{name}-producer"] = _producer(name)
            self._identities[f"{name}-admin"] = _producer(name, is_admin=True)
        self._introduce()  # before the first of them starts
        for name in names:
            host = self._hosts[name] = Host(name, program, self._around, restarts=restart, codeq_url=URL)
            host.start()
        return program

    async def enqueue(self, command: str, payload: object = None, **options: Unpack[TaskOptions]) -> TaskView:
        """Create a task at the server itself, whatever the network does."""
        return await self.fake.aenqueue(command, payload, **options)

    def effects(self, name: str) -> Effects:
        """What the programs do to the outside world under this name, such as `charge`."""
        if name not in self.all_effects:
            self.all_effects[name] = Effects(name, now=self.now, host=self._effective_host, leases=self._leases)
        return self.all_effects[name]

    def at(self, when: float, function: Callable[[], object]) -> None:
        """Call a plain or async function at a moment of the run (virtual seconds since its start).

        A moment that is past is now. An error that the function raises fails the run.
        """
        loop = self._around.loop
        loop.call_at(max(when, loop.time()), self._call_or_await, function, context=Context())

    async def settle(self, *, within: float = 1800) -> None:
        """Wait for the end of the bad weather, then until each task has ended, and is still ended a minute later.

        The weather is over after its last event, or as soon as no task is left that it could disturb. Then the network
        is whole and all hosts run. Raises NeverSettledError if tasks need more than so many virtual seconds after that.
        The default is twice the longest delay of a task between two attempts (N6).

        A worker that runs and does not claim is waited for as long: it may still be busy with what it claimed.
        """
        await self._until_all_ended(lambda: self._end_of_weather)
        self._calm()
        deadline = self.now() + within
        is_at_rest = False
        while not is_at_rest:
            if not await self._until_all_ended(lambda: deadline):
                tasks = list(self._unfinished())
                count = "1 task has" if len(tasks) == 1 else f"{len(tasks)} tasks have"
                begin = f"{count} not ended {within:g} s after the end of the bad weather:"
                raise NeverSettledError(self.who_waits(begin, tasks))
            await asyncio.sleep(PATIENCE + 1)
            # A race may deliver a task again that has ended (Z1).
            is_at_rest = self._all_ended() and (self.now() >= deadline or self._all_claim())

    def _all_claim(self) -> bool:
        return not any(living_workers_claim(self.evidence()))

    # What the weather needs, besides.

    @property
    def hosts(self) -> Mapping[str, Host]:
        """The hosts by name, without the server's, in the order in which they were made."""
        return self._hosts

    @property
    def log(self) -> Sequence[Entry]:
        """What happened to the hosts."""
        return self._around.log

    @property
    def errors(self) -> Sequence[LostError]:
        """What programs raised, and no code has caught."""
        return self._around.errors

    @property
    def faults(self) -> FaultControls:
        """The fault rules of the fake."""
        return self.fake.controls.faults

    @property
    def requests(self) -> Sequence[Request]:
        """The requests so far."""
        return self.fake.runtime.requests.entries

    def wire(self, host: str) -> Wire:
        """The network between a host and the server."""
        return Wire(self._around, host)

    def now(self) -> float:
        """Virtual seconds since the start of the run."""
        return self._around.loop.time()

    def random(self, key: str) -> Random:
        """The draws for one purpose. They differ by key and by seed."""
        return self._around.random(key)

    def begin(self, plan: Plan) -> None:
        """Schedule the events of a plan, and note when the last of them is over."""
        self._end_of_weather = max(map(end_of, plan.events), default=0.0)
        for event in plan.events:
            self.at(event.at, partial(self._apply, event))

    def evidence(self) -> Evidence:
        """What the laws look at."""
        return Evidence(
            end=self.now(),
            calm_since=self.calm_since,
            started_at=self.started_at,
            requests=self.requests,
            tasks=self.fake.tasks(),
            hosts=tuple(self._hosts),
            running=tuple(host.name for host in self._hosts.values() if host.state == "up"),
            errors=self.errors,
            recording=recording(self.fake.runtime, self.started_at),
        )

    def _apply(self, event: Event) -> None:
        if self.calm_since is None:
            weather.apply(self, event)

    def _calm(self) -> None:
        """End the bad weather: the network is whole, and all hosts run. `calm_since` stays at the first call."""
        if self.calm_since is None:
            self.calm_since = self.now()
        weather.end(self)
        self.server.calm()
        self.server.restart()
        for host in self._hosts.values():
            wire = self.wire(host.name)
            wire.delay(0)
            wire.trickle(0)
            wire.heal()
            host.resume()
            host.restart()

    def _introduce(self) -> None:
        """Let the server know the tokens of all hosts."""
        self.fake.runtime.set_identities(identities_of(self._identities))

    def _effective_host(self) -> str | None:
        """The host that runs, "" for the test, None if what it does has no effect any more."""
        incarnation = CURRENT.get()
        if self._around.is_over or (incarnation is not None and not incarnation.is_alive):
            return None
        return incarnation.host.name if incarnation is not None else TEST

    def _leases(self) -> Leases:
        return Leases(map(self.server.as_sent, self.requests), self.fake.tasks(), self.started_at)

    def _call_or_await(self, function: Callable[[], object]) -> None:
        """Call a function that may be async."""
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - whatever it raises fails the run
            self._around.errors.append(LostError(self.now(), TEST, error))
            return
        if isawaitable(result):
            _ = self._around.loop.create_task(_awaited(result))

    async def _until_all_ended(self, deadline: Callable[[], float]) -> bool:
        """Wait until each task has ended, or until a moment of the run. Return whether each has ended.

        The fake has no event for it, so a timer looks each second. A task that sleeps in between costs twice as much.
        """
        loop = self._around.loop
        over: asyncio.Future[None] = loop.create_future()

        def look() -> None:
            if over.done():  # the test was cancelled
                return
            if self._all_ended() or self.now() >= deadline():
                over.set_result(None)
            else:
                loop.call_later(1, look)

        if not self._all_ended() and self.now() < deadline():
            loop.call_later(1, look)
            await over
        return self._all_ended()

    def _all_ended(self) -> bool:
        return not any(self._unfinished())

    def _unfinished(self) -> Iterator[str]:
        """The ids of the tasks that have not ended, without those that no claim can get any more (Z2)."""
        tasks = self.fake.runtime.broker.store.tasks.values()
        return (task.id for task in tasks if task.state not in _ENDED)

    def who_waits(self, begin: str, tasks: Sequence[str] = ()) -> str:
        """After a first line, the tasks that have not ended, and what each host does."""
        lines = [begin]
        for task in map(self.fake.task, tasks):
            holder = f", held by {task.worker}" if task.status == "IN_PROGRESS" else ""
            lines.append(f"- task {task.id} ({task.command}) is {task.status}{holder}, {task.attempts} attempts")
        for host in self._hosts.values():
            lines.append(f"- {host.name} is {host.state}")
            lines += [f"    {line}" for task in host.tasks for line in _where(task)]
            lines += [f"    {line}" for line in host.traceback.splitlines()]
        return "\n".join(lines)


class Wire:
    """The network between one host and the server."""

    def __init__(self, around: Surroundings, host: str) -> None:
        self._around = around
        self._network = around.network
        self._host = host
        self._to_server = around.network.link(host, NAME)
        self._from_server = around.network.link(NAME, host)

    def delay(self, seconds: float) -> None:
        """Let each packet take that much longer, in each direction. 0 ends it."""
        self._to_server.delay = self._from_server.delay = seconds

    def trickle(self, rate: int) -> None:
        """Let each connection carry so many bytes a second, in each direction, second by second. 0 ends it."""
        self._network.trickle(self._host, NAME, rate)
        self._network.trickle(NAME, self._host, rate)

    def cut(self, direction: Direction = "both") -> None:
        """Let nothing through. What is sent waits, as TCP sends again."""
        self._to_server.is_cut = self._to_server.is_cut or direction != "from_server"
        self._from_server.is_cut = self._from_server.is_cut or direction != "to_server"

    def heal(self, direction: Direction = "both") -> None:
        """Let everything through again."""
        if direction != "from_server":
            self._network.heal(self._host, NAME)
        if direction != "to_server":
            self._network.heal(NAME, self._host)

    def reset(self) -> None:
        """Reset all of its connections."""
        self._network.reset_between(self._host, NAME)

    def lose_request(self) -> None:
        """Lose the next request: its connection is reset before the server has it."""
        self._to_server.on_loss_of_next = partial(self._note, "a request was lost")

    def lose_reply(self) -> None:
        """Lose the next reply: the server has done what it says, and the connection is reset."""
        self._from_server.on_loss_of_next = partial(self._note, "a reply was lost")

    def _note(self, text: str) -> None:
        self._around.log.append(Entry(self._around.loop.time(), self._host, text, "refusal"))


def _worker(name: str) -> Identity:
    return {
        "kind": "worker",
        "claims": {"sub": name, "tenantId": _TENANT, "eventTypes": ["*"], "scope": _WORKER_SCOPES},
    }


def _producer(name: str, *, is_admin: bool = False) -> Identity:
    claims = {"sub": name, "tenantId": _TENANT, "email": f"{name}@test"}
    return {"kind": "producer", "claims": {**claims, "role": "ADMIN"} if is_admin else claims}


async def _awaited(result: Awaitable[Any]) -> None:
    await result


def _where(task: asyncio.Task[object]) -> list[str]:
    """Where a task waits: the lines of the program, and what the last of them calls."""
    frames = list[FrameType]()
    awaited: object = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        frames.append(frame)
        awaited = getattr(awaited, "cr_await", None)
    own = [n for n, frame in enumerate(frames) if not frame.f_code.co_filename.startswith(_LIBRARIES)]
    shown = frames[own[0] : own[-1] + 2] if own else frames
    places = [f"{frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})" for frame in shown]
    return [f"{task.get_name()} waits in {' > '.join(places)}"] if places else []
