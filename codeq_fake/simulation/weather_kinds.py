"""The kinds of events that the weather brings: how each is drawn, what it does to a world, and how it is told.

Each kind is one row of `KINDS`. An event carries all of its numbers, so taking one out of a plan changes no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Literal

from codeq_fake import faults
from codeq_fake.control import ConflictError

from .acts import Direction, HostActs, WorldActs
from .hosts import GRACE
from .plan import Argument, Event, Plan, PlanError
from .server import NAME

#: The target of an event that happens to the server, its proxy or its store.
SERVER = NAME

_DAY = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Between:
    """A number between two bounds, with one digit after the point (two below 1)."""

    least: float
    most: float

    def draw(self, random: Random) -> Argument:
        """One value."""
        value = random.uniform(self.least, self.most)
        return round(value, 1 if value >= 1 else 2)

    def takes(self, value: object) -> bool:
        """Whether a plan may say this. It may go beyond the bounds."""
        return isinstance(value, int | float)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several values."""

    values: tuple[Argument, ...]

    def draw(self, random: Random) -> Argument:
        """One value."""
        return random.choice(self.values)

    def takes(self, value: object) -> bool:
        """Whether a plan may say this: one of the words, or any number."""
        return value in self.values or (isinstance(value, int | float) and not isinstance(self.values[0], str))


@dataclass(frozen=True, slots=True)
class EventKind:
    """One kind of event.

    `part` is the field of `Weather` that turns it off. It happens to one of the hosts or to the server (`place`). Its
    `arguments` are drawn; those named `lasts` and `seconds` are in seconds. `sentence` tells it, with the names
    `target`, `at`, `end` and those of the arguments.
    """

    part: str
    place: Literal["host", "server"]
    arguments: Mapping[str, Between | OneOf]
    sentence: str
    apply: Callable[[WorldActs, Event], None]

    def targets(self, hosts: Sequence[str]) -> Sequence[str]:
        """What an event of this kind may happen to: one of these hosts, or the server."""
        return hosts if self.place == "host" else (SERVER,)

    def takes(self, arguments: Mapping[str, object]) -> bool:
        """Whether a plan may give an event of this kind these arguments."""
        return arguments.keys() == self.arguments.keys() and all(
            self.arguments[key].takes(value) for key, value in arguments.items()
        )

    def draw(self, name: str, at: float, target: str, random: Random) -> Event:
        """An event of this kind."""
        return Event(at, name, target, {key: choice.draw(random) for key, choice in self.arguments.items()})


def describe(event: Event) -> str:
    """The event as a sentence without a full stop: `worker-2 stood still from 12.3 s to 74.0 s`."""
    return KINDS[event.kind].sentence.format(
        target=event.target, at=f"{event.at:.1f} s", end=f"{end_of(event):.1f} s", **event.arguments
    )


def end_of(event: Event) -> float:
    """When the event is over, in seconds since the start of the run. Many are over at once."""
    return event.at + float(event.arguments.get("lasts", 0))


def check_plan(plan: Plan, hosts: Mapping[str, object]) -> None:
    """Check that a plan names only kinds, hosts and arguments that exist. Raises PlanError."""
    for event in plan.events:
        kind = KINDS.get(event.kind)
        if kind is None:
            raise PlanError(f"the plan has an event of the kind {event.kind!r}; known are {', '.join(KINDS)}")
        if kind.place == "host" and event.target not in hosts:
            raise PlanError(f"the plan names the host {event.target!r}; this test has {', '.join(hosts) or 'none'}")
        if not kind.takes(event.arguments):
            needed = ", ".join(kind.arguments) or "nothing"
            raise PlanError(f"the plan has {event.kind} with {dict(event.arguments)}; it needs {needed}")


def _until_end(
    world: WorldActs, event: Event, *, end: Callable[[], object], again: Callable[[Event], object] | None = None
) -> None:
    """Arrange the end of an event that has begun.

    Events of one kind may overlap at one target. When one is over while others last, `again` is called with the latest
    of those. `end` is called when none lasts any more.
    """
    key = event.kind, event.target
    world.lasting.setdefault(key, []).append(event)

    def over() -> None:
        lasting = world.lasting[key]
        lasting.remove(event)
        if not lasting:
            end()
        elif again is not None and world.calm_since is None:
            again(lasting[-1])

    world.at(end_of(event), over)


def _begin_until_end(
    world: WorldActs, event: Event, begin: Callable[[Event], object], *, end: Callable[[], object]
) -> None:
    """Begin an event whose beginning also brings it back, and arrange its end."""
    begin(event)
    _until_end(world, event, end=end, again=begin)


# Hosts.


def _host(world: WorldActs, event: Event) -> HostActs:
    return world.hosts[event.target]


def _kill(world: WorldActs, event: Event, *, power: bool = False) -> None:
    host = _host(world, event)
    if host.is_up:  # a program that has ended by itself stays ended
        host.kill(power=power)
        world.at(end_of(event), host.restart)


def _stop(world: WorldActs, event: Event) -> None:
    host = _host(world, event)
    if host.is_up:
        host.stop()
        world.at(end_of(event), host.restart)


def _pause(world: WorldActs, event: Event) -> None:
    host = _host(world, event)
    host.pause()
    _until_end(world, event, end=host.resume)


def _skew(world: WorldActs, event: Event) -> None:
    _host(world, event).skew(float(event.arguments["seconds"]))


def _skew_for_good(world: WorldActs, event: Event) -> None:
    _skew(world, event)
    world.lasting.setdefault((event.kind, event.target), []).append(event)


def _jump(world: WorldActs, event: Event) -> None:
    def end() -> None:
        """Set the clock as it was, which may be wrong by an event that has no end."""
        skewed = world.lasting.get(("skew", event.target))
        _host(world, event).skew(float(skewed[-1].arguments["seconds"]) if skewed else 0)

    _begin_until_end(world, event, partial(_skew, world), end=end)


# The network between a host and the server.


def _delay(world: WorldActs, event: Event) -> None:
    delay = world.wire(event.target).delay
    _begin_until_end(world, event, lambda each: delay(float(each.arguments["seconds"])), end=partial(delay, 0))


def _trickle(world: WorldActs, event: Event) -> None:
    trickle = world.wire(event.target).trickle
    _begin_until_end(world, event, lambda each: trickle(int(each.arguments["rate"])), end=partial(trickle, 0))


_DIRECTIONS: Mapping[Argument, Direction] = {
    "both ways": "both",
    "to the server": "to_server",
    "from the server": "from_server",
}


def _cut(world: WorldActs, event: Event) -> None:
    def heal_others(_: Event) -> None:
        """Heal the ways that no other event cuts."""
        cut = {_DIRECTIONS[each.arguments["way"]] for each in world.lasting[event.kind, event.target]}
        if cut == {"from_server"}:
            wire.heal("to_server")
        elif cut == {"to_server"}:
            wire.heal("from_server")

    wire = world.wire(event.target)
    wire.cut(_DIRECTIONS[event.arguments["way"]])
    _until_end(world, event, end=wire.heal, again=heal_others)


def _reset(world: WorldActs, event: Event) -> None:
    world.wire(event.target).reset()


def _lose_request(world: WorldActs, event: Event) -> None:
    world.wire(event.target).lose_request()


def _lose_reply(world: WorldActs, event: Event) -> None:
    world.wire(event.target).lose_reply()


# The server, its proxy and its store.


def _proxy_error(world: WorldActs, event: Event) -> None:
    world.server.answer(int(event.arguments["status"]), host=event.target, times=int(event.arguments["times"]))


def _late_proxy_error(world: WorldActs, event: Event) -> None:
    status, times = int(event.arguments["status"]), int(event.arguments["times"])
    world.server.answer(status, host=event.target, times=times, is_late=True)


def _overload(world: WorldActs, event: Event) -> None:
    status, times = int(event.arguments["status"]), int(event.arguments["times"])
    world.server.answer(status, host=event.target, times=times, retry_after=int(event.arguments["seconds"]))


def _slow(world: WorldActs, event: Event) -> None:
    _inject(world, event, [faults.delay(float(event.arguments["seconds"]), worker=event.target)])


def _restart_server(world: WorldActs, event: Event) -> None:
    world.server.kill()
    _until_end(world, event, end=world.server.restart)


def _restart_store(world: WorldActs, event: Event) -> None:
    _inject(world, event, [faults.refuse(500)])


def _inject(world: WorldActs, event: Event, rules: Sequence[faults.Rule]) -> None:
    """Activate rules of the fake for as long as the event lasts."""
    for fault in world.faults.activate(rules):
        world.at(end_of(event), partial(world.faults.deactivate, fault.number))


def _load(world: WorldActs, event: Event) -> None:
    _inject(world, event, faults.observed_races(int(event.arguments["seed"])))


def _race(world: WorldActs, _: Event, *, rule: Callable[..., faults.Rule]) -> None:
    """Let a race happen at the next request at which it can; `weather.end` removes the rule if there was none."""
    world.faults.activate([rule(times=1)])


def _revoke_lease(world: WorldActs, event: Event) -> None:
    leased = [task.id for task in world.fake.tasks(status="IN_PROGRESS")]
    if leased:
        with suppress(ConflictError):  # the task is lost (Z2)
            world.fake.race("revoke_lease", leased[int(float(event.arguments["which"]) * len(leased))])


def _clean_up(world: WorldActs, event: Event) -> None:
    world.at(event.at, partial(_send_clean_up, world, float(event.arguments["seconds"])))


async def _send_clean_up(world: WorldActs, untouched: float) -> None:
    # The server deletes what has been untouched for a day at the moment `before` (M3).
    before = datetime.fromtimestamp(world.fake.time() + _DAY - untouched, UTC).isoformat()
    async with world.fake.async_client() as http:
        await http.post("/v1/codeq/admin/tasks/cleanup", json={"before": before})


def _race_kind(rule: Callable[..., faults.Rule], sentence: str) -> EventKind:
    return EventKind("races", "server", {}, sentence, partial(_race, rule=rule))


_NO_ARGUMENTS: Mapping[str, Between | OneOf] = {}

#: Kind of event -> what it is. The order decides nothing: each kind has draws by its name.
KINDS: Mapping[str, EventKind] = {
    "kill": EventKind(
        "kills", "host", {"lasts": Between(1, 40)}, "{target} was killed at {at} and started again at {end}", _kill
    ),
    "power_cut": EventKind(
        "power_cuts",
        "host",
        {"lasts": Between(5, 60)},
        "{target} lost its power at {at} and started again at {end}",
        partial(_kill, power=True),
    ),
    "stop": EventKind(
        "stops",
        "host",
        {"lasts": Between(GRACE + 1, GRACE + 20)},  # by then a process that did not end by itself is killed
        "{target} was told to stop at {at} (SIGTERM) and started again by {end}",
        _stop,
    ),
    "pause": EventKind("pauses", "host", {"lasts": Between(2, 90)}, "{target} stood still from {at} to {end}", _pause),
    "skew": EventKind(
        "clock_skew",
        "host",
        {"seconds": OneOf((-60, -20, -5, -2, 2, 5, 20, 60))},
        "the wall clock of {target} was wrong by {seconds:+} s from {at} on",
        _skew_for_good,
    ),
    "clock_jump": EventKind(
        "clock_skew",
        "host",
        {"seconds": OneOf((-3600, -60, -10, 10, 60, 3600)), "lasts": Between(2, 60)},
        "the wall clock of {target} jumped by {seconds:+} s at {at}, and back at {end}",
        _jump,
    ),
    "latency": EventKind(
        "latency",
        "host",
        {"seconds": Between(0.05, 8), "lasts": Between(5, 60)},
        "the network of {target} took {seconds} s longer each way from {at} to {end}",
        _delay,
    ),
    "partition": EventKind(
        "partitions",
        "host",
        {"way": OneOf(tuple(_DIRECTIONS)), "lasts": Between(3, 90)},
        "nothing went between {target} and the server from {at} to {end} ({way})",
        _cut,
    ),
    "reset": EventKind("resets", "host", _NO_ARGUMENTS, "the connections of {target} were reset at {at}", _reset),
    "lost_request": EventKind(
        "lost_requests", "host", _NO_ARGUMENTS, "the first request of {target} after {at} was lost", _lose_request
    ),
    "lost_reply": EventKind(
        "lost_replies",
        "host",
        _NO_ARGUMENTS,
        "the first request of {target} after {at} was carried out, and its reply was lost",
        _lose_reply,
    ),
    "proxy_error": EventKind(
        "proxy_errors",
        "host",
        {"status": OneOf((502, 503, 504, 429)), "times": OneOf((1, 2, 4, 8))},
        "a proxy answered {status} to the next requests of {target} after {at} ({times} of them)",
        _proxy_error,
    ),
    "late_proxy_error": EventKind(
        "proxy_errors",
        "host",
        {"status": OneOf((502, 504)), "times": OneOf((1, 2, 4))},
        "the next requests of {target} after {at} were carried out, and a proxy answered {status} ({times} of them)",
        _late_proxy_error,
    ),
    "overload": EventKind(
        "proxy_errors",
        "host",
        {"status": OneOf((503, 429)), "seconds": OneOf((1, 5, 20)), "times": OneOf((1, 2, 4))},
        "a proxy answered {status} with Retry-After: {seconds} to the next requests of {target} after {at}"
        " ({times} of them)",
        _overload,
    ),
    "slow_body": EventKind(
        "slow_bodies",
        "host",
        {"rate": OneOf((20, 50, 100, 300)), "lasts": Between(5, 40)},
        "the connections of {target} carried {rate} bytes a second from {at} to {end}",
        _trickle,
    ),
    "slow_reply": EventKind(
        "slow_replies",
        "host",
        {"seconds": Between(0.5, 20), "lasts": Between(5, 40)},
        "the server took {seconds} s longer for each request of {target} from {at} to {end}",
        _slow,
    ),
    "server_restart": EventKind(
        "server_restarts",
        "server",
        {"lasts": Between(0.5, 15)},
        "the server was down from {at} to {end}",
        _restart_server,
    ),
    "store_restart": EventKind(
        "store_restarts",
        "server",
        {"lasts": Between(0.5, 10)},
        "the store was down from {at} to {end}: each request was answered with 500",
        _restart_store,
    ),
    "revoked_lease": EventKind(
        "revoked_leases",
        "server",
        {"which": Between(0, 0.99)},
        "the server revoked a lease at {at} (Z3)",
        _revoke_lease,
    ),
    "redeliver_finished": _race_kind(
        faults.redeliver_finished, "a task that ended after {at} was delivered once more (Z1)"
    ),
    "lose_task": _race_kind(faults.lose_task, "a task that was claimed after {at} was lost to later claims (Z2)"),
    "revoke_lease": _race_kind(faults.revoke_lease, "the lease of a task that was claimed after {at} was revoked (Z3)"),
    "false_empty": _race_kind(faults.false_empty, "a claim after {at} found nothing although a task was ready (Z4)"),
    "accept_result_twice": _race_kind(
        faults.accept_result_twice, "of two results at the same moment after {at} both were accepted (Z5)"
    ),
    "double_create": _race_kind(
        faults.double_create, "of two creates with one key at the same moment after {at} each made a task (Z6)"
    ),
    "load": EventKind(
        "races",
        "server",
        {"seed": OneOf(tuple(range(100))), "lasts": Between(30, 150)},
        "the server had its races as often as under load from {at} to {end} (Z1 to Z6)",
        _load,
    ),
    "clean_up": EventKind(
        "clean_ups",
        "server",
        {"seconds": Between(30, 600)},
        "a clean-up at {at} deleted each task that was untouched for {seconds} s",
        _clean_up,
    ),
}
