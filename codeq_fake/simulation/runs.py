"""Runs: one test, one seed, one plan, in a new world, and what came of it."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from random import Random

from .chance import Chance
from .contract_laws import judges
from .evidence import Violation
from .hosts import Surroundings
from .incarnation import Incarnation
from .laws import find_violations
from .log import LostError
from .loop import SimulatedLoop
from .machine import Machine, simulated
from .network import Network
from .plan import Plan
from .server import ServerKind, SimulatedFake
from .story import Scene
from .watchdog import NeverAwaitsError, Stuck, watched
from .weather import Weather
from .world import WEATHER_BEGINS, NeverEndsError, World

Test = Callable[[World], Awaitable[object]]

#: 2024-01-01, on the wall clock.
_EPOCH = 1_704_067_200.0
_START = "2024-01-01T00:00:00Z"
#: How long a test may take (virtual seconds): longer than a task is kept. Without it, one that hangs would never end.
_LONGEST_TEST = 25 * 3600
#: How long the end of a run lets tasks end (virtual seconds), and how often it cancels them.
_LONGEST_END = 60.0
_CANCELLATIONS = 20
#: Enough for all requests of a run.
_JOURNAL = 1_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. `digest` is the same if the history is."""

    plan: Plan
    digest: str
    scene: Scene
    #: What the test itself raised.
    error: BaseException | None = None
    #: The laws that were broken.
    violations: list[Violation] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether the test or a law says so. What a race of the server explains is no failure."""
        return self.error is not None or any(not violation.race for violation in self.violations)


class Draws:
    """Draws by key: each purpose has its own generator, so that one more draw for one moves no other."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, key: str) -> Random:
        """The draws for one purpose."""
        return Random(f"{self._seed}:{key}")  # noqa: S311 - repeatable, not secret


def run_once(
    test: Test,
    seed: int,
    *,
    weather: Weather | None = None,
    plan: Plan | None = None,
    server: ServerKind = "uvicorn",
) -> Outcome:
    """Run a test once. Without a `plan` its weather is drawn from the seed; without `weather` there is none.

    A run in which programs load modules is done again: that may draw from chance, and happens once in a process.
    """
    judges()  # loads them outside of the world
    while True:
        modules = len(sys.modules)
        outcome = _outcome(test, seed, weather, plan, server)
        # A world is full of circles, and no collector runs meanwhile. What this run made is in generation 1.
        gc.collect(1)
        if len(sys.modules) == modules:
            return outcome


def _outcome(test: Test, seed: int, weather: Weather | None, plan: Plan | None, server: ServerKind) -> Outcome:
    draws = Draws(seed)
    with surroundings(draws) as around:
        return _Run(test, seed, around, server).outcome(weather, plan)


@contextmanager
def surroundings(draws: Draws) -> Iterator[Surroundings]:
    """An event loop and a network without hosts, on a machine that is simulated as long as the context lasts."""
    network = Network(draws)
    loop = SimulatedLoop(draws("turns"), network)
    around = Surroundings(loop, network, draws)
    with _quiet(), simulated(Machine(loop, Chance(draws), _EPOCH)), watched(loop):
        asyncio.set_event_loop(loop)
        try:
            yield around
        finally:
            with suppress(Stuck):  # a program that never awaits, cancelled or not
                loop.run_until_complete(_end(around))
            asyncio.set_event_loop(None)
            loop.close()
            network.close()


async def _end(around: Surroundings) -> None:
    """Let nothing have an effect any more, and cancel all tasks, those of dead processes, too.

    A coroutine that is never ended would be closed by the garbage collector, in some order and at some moment.
    """
    around.is_over = around.network.is_sealed = True
    for incarnation in around.incarnations:
        incarnation.revive()
    this = asyncio.current_task()
    for _ in range(_CANCELLATIONS):
        await asyncio.sleep(0)  # a task that is cancelled before it begins would never await its coroutine
        left = [task for task in around.loop.tasks if task is not this and not task.done()]
        if not left:
            break
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_LONGEST_END)
    await around.loop.shutdown_asyncgens()


@contextmanager
def _quiet() -> Iterator[None]:
    """Let programs log nothing, and let no garbage collector close anything at a moment that no seed decides."""
    was_enabled, disabled = gc.isenabled(), logging.root.manager.disable
    gc.disable()
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        if was_enabled:
            gc.enable()


class _Run:
    """One run, from its start to its end."""

    def __init__(self, test: Test, seed: int, around: Surroundings, server: ServerKind) -> None:
        self._test = test
        self._server: ServerKind = server
        self._seed = seed
        self._around = around
        self._loop = around.loop
        self._plan = Plan(seed)
        self._world: World

    def outcome(self, weather: Weather | None, plan: Plan | None) -> Outcome:
        """Run the test and judge it. A program that never awaits ends the run."""
        try:
            return self._loop.run_until_complete(self._main(weather, plan))
        except Stuck as stuck:
            return self._loop.run_until_complete(self._judge(NeverAwaitsError(str(stuck))))

    async def _main(self, weather: Weather | None, plan: Plan | None) -> Outcome:
        __tracebackhide__ = True
        fake = SimulatedFake(
            clock="auto", now=_START, seed=self._seed, journal_size=_JOURNAL, journal_bytes=_JOURNAL * 1000
        )
        self._world = world = World(self._seed, self._around, fake, self._server)
        await world.server.start()
        self._loop.call_at(WEATHER_BEGINS, self._begin_weather, world, weather, plan, context=Context())
        error: BaseException | None = None
        limit = asyncio.timeout(_LONGEST_TEST)
        try:
            async with limit:
                await self._test(world)
        except Exception as raised:  # noqa: BLE001 - it is the outcome
            error = raised
            if limit.expired():
                begin = f"the test itself has not ended after {_LONGEST_TEST:,} s of virtual time:"
                error = NeverEndsError(world.who_waits(begin))
        return await self._judge(error)

    async def _judge(self, error: BaseException | None) -> Outcome:
        """Return what came of the run. A coroutine, since the fake's clock follows the running event loop."""
        world = self._world
        self._collect_lost_errors()
        effects = {name: tuple(effects.entries) for name, effects in world.all_effects.items()}
        scene = Scene(self._plan, world.evidence(), tuple(world.log), effects)
        violations = find_violations(scene.evidence)
        return Outcome(self._plan, _digest(scene), scene, error, violations)

    def _begin_weather(self, world: World, weather: Weather | None, plan: Plan | None) -> None:
        if plan is not None:
            self._plan = plan
        elif weather is not None:
            self._plan = weather.plan(self._seed, tuple(world.hosts))
        world.begin(self._plan)

    def _collect_lost_errors(self) -> None:
        """Add the errors that asyncio reports, also those of tasks that nothing has awaited."""
        self._loop.forget_tasks()
        gc.collect(0)
        for owner, context in self._loop.lost_errors:
            host = owner.host.name if isinstance(owner, Incarnation) else ""
            error = context.get("exception") or RuntimeError(context.get("message", "an unknown error"))
            if (owner is None or owner.is_alive) and not isinstance(error, Stuck):
                self._around.errors.append(LostError(self._loop.time(), host, error))


def _digest(scene: Scene) -> str:
    """A digest of all that happened."""
    requests = [
        (request.at, request.method, request.path, request.status, request.caller, request.error)
        for request in scene.evidence.requests
    ]
    effects = [entry for entries in scene.effects.values() for entry in entries]
    errors = [(lost.at, lost.host, type(lost.error).__name__) for lost in scene.evidence.errors]
    history = repr((requests, scene.log, effects, errors, scene.evidence.end))
    return hashlib.sha256(history.encode()).hexdigest()
