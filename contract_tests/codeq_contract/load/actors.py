"""Who makes up a load: producers, workers that settle, stall and crash, and in the end one who takes what is left.

An actor is a generator of turns: it says how long it waits and what it then asks, and is sent the reply. So the same
actors play in real time, a thread each, and on a clock that stands still, one after another.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from codeq_contract.driver import Op, Reply
from codeq_contract.suite.caller import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random


@dataclass(frozen=True, slots=True)
class Turn:
    """Wait so many seconds, then send a request."""

    pause: float
    op: Op


Actor: TypeAlias = Generator[Turn, Reply, None]

#: What workers do with a task, and how often in a hundred times.
MIX = {"complete": 42, "nack": 22, "abandon": 6, "heartbeat": 10, "stall": 10, "crash": 10}

#: Seconds. A lease under 3 s protects nothing on some stores (K8).
LEASES = (3, 4, 5)
DELAYS = (1, 2, 3)
LONGEST_LEASE = max(LEASES)

# Few attempts, lest a long backoff (N6) keep the drain waiting. NACKs go up by two: only an even number shows whether
# the last one makes a dead letter just in time (N2).
_MAX_ATTEMPTS = (2, 3, 4, 5)
_PRIORITIES = (0, 0, 0, 5, 9)
_MOST_OF_A_BATCH = 3
_SHORT, _LONG = 0.05, 0.3

#: Seconds after which a lease is surely over: stores round its end up by half a second (K8).
_SURELY = 1


@dataclass(slots=True)
class Ledger:
    """What the actors of one tenant know together: the tasks that were made, and which of them have ended."""

    made: dict[str, None] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    #: Whether every create was answered, so that all that was made is known.
    complete: bool = True

    @property
    def open(self) -> list[str]:
        """The tasks of which it is not known that they have ended, the oldest first."""
        return [task for task in list(self.made) if task not in self.ended]


@dataclass(frozen=True, slots=True)
class Stand:
    """Where an actor stands: its name, its tenant's commands and ledger, its chance, and whether to go on."""

    identity: str
    commands: Sequence[str]
    ledger: Ledger
    chance: Random
    goes_on: Callable[[], bool]

    def ask(self, path: str, body: object = None, *, pause: float = 0) -> Generator[Turn, Reply, Reply]:
        """A turn of this actor."""
        content = None if body is None else json.dumps(body).encode()
        reply: Reply = yield Turn(pause, Op("POST", TASKS + path, self.identity, content))
        return reply

    def look(self, task: str, *, pause: float = 0) -> Generator[Turn, Reply, Reply]:
        """Read a task, and note whether it has ended."""
        reply: Reply = yield Turn(pause, Op("GET", f"{TASKS}/{task}", self.identity))
        if reply.status == HTTPStatus.OK and reply.json["status"] in ("COMPLETED", "FAILED"):
            self.ledger.ended.add(task)
        return reply


@dataclass(frozen=True, slots=True)
class Held:
    """A task in a worker's hands, for `lease` seconds."""

    task: str
    lease: int

    @property
    def path(self) -> str:
        """Its path, below that of all tasks."""
        return f"/{self.task}"


def producer(stand: Stand, tasks: int, *, every: float, webhook: str) -> Actor:
    """Makes so many tasks, one every so many seconds on average, some of them for later, some of them twice."""
    chance = stand.chance
    for number in range(tasks):
        if not stand.goes_on():
            return
        body: dict[str, object] = {
            "command": chance.choice(stand.commands),
            "payload": {"by": stand.identity, "n": number},
            "priority": chance.choice(_PRIORITIES),
            "maxAttempts": chance.choice(_MAX_ATTEMPTS),
        }
        if webhook and chance.random() < 0.2:  # noqa: PLR2004 - a fifth
            body["webhook"] = webhook
        if chance.random() < 1 / 6:
            body["delaySeconds"] = chance.choice(DELAYS)
        again = chance.random() < 0.1  # noqa: PLR2004 - a tenth
        if again:
            body["idempotencyKey"] = f"{stand.commands[0]}-{stand.identity}-{number}"
        for pause in (chance.uniform(0, 2 * every), *[0.0] * again):
            reply = yield from stand.ask("", body, pause=pause)
            if reply.status == HTTPStatus.ACCEPTED:
                stand.ledger.made[reply.json["id"]] = None
            elif not reply.status:
                stand.ledger.complete = False


def worker(stand: Stand) -> Actor:
    """Claims as long as it goes on, and does with each task what the mix says."""
    chance = stand.chance
    while stand.goes_on():
        lease = chance.choice(LEASES)
        commands = chance.sample(stand.commands, chance.randint(1, len(stand.commands)))
        asked = {"commands": commands, "leaseSeconds": lease}
        in_batch = chance.random() < 0.1  # noqa: PLR2004 - a tenth
        asked |= (
            {"count": chance.randint(1, _MOST_OF_A_BATCH)} if in_batch else {"waitSeconds": chance.choice((0, 0, 0, 1))}
        )
        path = "/claim/batch" if in_batch else "/claim"
        reply = yield from stand.ask(path, asked, pause=chance.uniform(0, _SHORT))
        tasks = _tasks(reply)
        if not tasks:
            yield from _look_around(stand)
        for task in tasks:
            [what] = chance.choices([*MIX], [*MIX.values()])
            yield from _DEEDS[what](stand, Held(task, lease))


@dataclass(frozen=True, slots=True)
class Drain:
    """When there is nothing left: `quiet` nanoseconds of claims in vain say so; `deadline` is when to give up.

    After `settling` seconds, which are for callbacks, all tasks are read once more.
    """

    now: Callable[[], int]
    quiet: int
    deadline: int
    settling: float


def drainer(stand: Stand, drain: Drain) -> Generator[Turn, Reply, bool]:
    """Ends what is left, and reads every task in the end; returns whether nothing was left.

    The first two tasks it holds too long: nobody else claims now, so what that leads to is certain. It need not wait
    for quiet when it is known what was made, and all of that has ended.
    """
    busy_until = drain.now()
    pause, done, late = 0.0, False, [_beat_late, _end_late]
    while not done and drain.now() < drain.deadline and stand.goes_on():
        lease = min(LEASES) if late else LONGEST_LEASE
        reply = yield from stand.ask("/claim", {"commands": stand.commands, "leaseSeconds": lease}, pause=pause)
        tasks = _tasks(reply)
        for task in tasks:
            yield from (late.pop(0) if late else _complete)(stand, Held(task, lease))
        if tasks or not reply.status:
            pause, busy_until = 0.0 if tasks else _LONG, drain.now()
        else:
            all_ended = stand.ledger.complete and (yield from _all_ended(stand))
            pause, done = _LONG, all_ended or drain.now() - busy_until > drain.quiet
    for number, task in enumerate([*stand.ledger.made]):
        yield from stand.look(task, pause=0 if number else drain.settling)
    return done


def _all_ended(stand: Stand) -> Generator[Turn, Reply, bool]:
    """Whether all that was made has ended, asking no further than the first that has not."""
    for task in stand.ledger.open:
        yield from stand.look(task)
        if task not in stand.ledger.ended:
            return False
    return True


def _look_around(stand: Stand) -> Generator[Turn, Reply, None]:
    candidates = stand.ledger.open
    if not candidates:
        return
    task, pause = stand.chance.choice(candidates), stand.chance.uniform(0, _LONG)
    if stand.chance.random() < 0.2:  # noqa: PLR2004 - a fifth
        yield from _end(stand, Held(task, 0), pause=pause)  # it is somebody else's, or nobody's
    else:
        yield from stand.look(task, pause=pause)


# What a worker does with a task.


def _complete(stand: Stand, held: Held) -> Generator[Turn, Reply, None]:
    yield from _end(stand, held, pause=stand.chance.uniform(0, _SHORT))


def _end(stand: Stand, held: Held, *, pause: float) -> Generator[Turn, Reply, None]:
    failed = stand.chance.random() < 0.1  # noqa: PLR2004 - a tenth
    ends = {"status": "FAILED", "error": "as drawn"} if failed else {"status": "COMPLETED", "result": {"ok": True}}
    reply = yield from stand.ask(f"{held.path}/result", ends, pause=pause)
    if reply.status == HTTPStatus.OK:
        stand.ledger.ended.add(held.task)


def _nack(stand: Stand, held: Held) -> Generator[Turn, Reply, None]:
    yield from stand.ask(f"{held.path}/nack", {"delaySeconds": stand.chance.choice(DELAYS), "reason": "as drawn"})


def _abandon(stand: Stand, held: Held) -> Generator[Turn, Reply, None]:
    yield from stand.ask(f"{held.path}/abandon")


def _keep(stand: Stand, held: Held) -> Generator[Turn, Reply, None]:
    """Outlives its first lease by a heartbeat in the middle."""
    yield from stand.ask(f"{held.path}/heartbeat", {"extendSeconds": held.lease}, pause=held.lease / 2 - 1)
    yield from _end(stand, held, pause=held.lease / 2)


def _stall(stand: Stand, held: Held) -> Generator[Turn, Reply, None]:
    """Wakes up after its lease ran out, beats in vain, and ends what may be somebody else's by then."""
    late = held.lease + stand.chance.uniform(0, 1)
    yield from stand.ask(f"{held.path}/heartbeat", {"extendSeconds": held.lease}, pause=late)
    yield from _end(stand, held, pause=0)


def _beat_late(stand: Stand, held: Held) -> Generator[Turn, Reply, None]:
    """Beats after the lease, in vain (H3): the claim that follows takes the task away, and ending it comes too late."""
    late = held.lease + _SURELY
    yield from stand.ask(f"{held.path}/heartbeat", {"extendSeconds": held.lease}, pause=late)
    reply = yield from stand.ask("/claim", {"commands": stand.commands, "leaseSeconds": LONGEST_LEASE}, pause=_SHORT)
    yield from _end(stand, held, pause=_SHORT)
    for task in _tasks(reply):
        yield from _complete(stand, Held(task, LONGEST_LEASE))


def _end_late(stand: Stand, held: Held) -> Generator[Turn, Reply, None]:
    """Ends a task after the lease, which no claim has taken away meanwhile (S3)."""
    yield from _end(stand, held, pause=held.lease + _SURELY)


def _crash(_stand: Stand, _held: Held) -> Generator[Turn, Reply, None]:
    """Is gone, and another one takes its place."""
    yield from ()


_DEEDS: Mapping[str, Callable[[Stand, Held], Generator[Turn, Reply, None]]] = {
    "complete": _complete,
    "nack": _nack,
    "abandon": _abandon,
    "heartbeat": _keep,
    "stall": _stall,
    "crash": _crash,
}


def _tasks(reply: Reply) -> list[str]:
    """The ids of the tasks that a claim got."""
    if reply.status != HTTPStatus.OK:
        return []
    told: Any = reply.json
    return [task["id"] for task in told.get("tasks", [told])]
