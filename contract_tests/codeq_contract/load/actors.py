"""The actors of a load: producers, workers that settle, stall and crash, and finally one that drains the queues.

An actor is a generator of turns. It yields how long it waits and the request that it then sends, and receives the
reply. So the same actors run in real time, each in a thread, and on a clock that stands still, one after another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from random import Random
from typing import TypeAlias

from codeq_contract.driver import TASKS, Reply, Request


@dataclass(frozen=True, slots=True)
class Turn:
    """Wait `pause` seconds, then send a request."""

    pause: float
    request: Request


Actor: TypeAlias = Generator[Turn, Reply, None]

#: What workers do with a task, in percent.
MIX = {"complete": 42, "nack": 22, "abandon": 6, "heartbeat": 10, "stall": 10, "crash": 10}

#: Seconds. A lease under 3 s protects nothing on some stores (K8).
LEASES = (3, 4, 5)
DELAYS = (1, 2, 3)
LONGEST_LEASE = max(LEASES)

# Few attempts, so that no long backoff (N6) delays the drain. Attempts rise by two with each NACK and the next claim:
# only an even maximum shows whether the last NACK makes a dead letter in time (N2).
_MAX_ATTEMPTS = (2, 3, 4, 5)
_PRIORITIES = (0, 0, 0, 5, 9)
_MAX_BATCH = 3
#: So many that a load of the usual size meets an operation that takes every hundredth of them.
_INTRUSIONS = 2
#: Seconds of a long poll for a task that is due in one.
_POLL = 3
_SHORT, _LONG = 0.05, 0.3

_A_TENTH, _A_FIFTH, _A_SIXTH = 0.1, 0.2, 1 / 6

#: Seconds after which a lease is certainly over. Some stores round its end up by half a second (K8).
_CERTAINLY = 1


@dataclass(slots=True)
class TaskLog:
    """What the actors of one tenant know together: the tasks created, and those that have ended, some `with_result`.

    It is `complete` if every create was answered, so that no task is unknown.
    """

    created: dict[str, None] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    with_result: set[str] = field(default_factory=set)
    complete: bool = True

    @property
    def open(self) -> list[str]:
        """The tasks that may not have ended, the oldest first."""
        return [task for task in list(self.created) if task not in self.ended]


@dataclass(frozen=True, slots=True)
class ActorContext:
    """What an actor works with: its name, its tenant's commands and log, random numbers, and whether to go on.

    `others` are the names of the other workers of its tenant.
    """

    identity: str
    commands: Sequence[str]
    log: TaskLog
    random: Random
    goes_on: Callable[[], bool]
    others: Sequence[str] = ()

    def post(self, path: str, body: object = None, *, pause: float = 0) -> Generator[Turn, Reply, Reply]:
        """Send a POST below the path of tasks."""
        content = None if body is None else json.dumps(body).encode()
        reply: Reply = yield Turn(pause, Request("POST", TASKS + path, self.identity, content))
        return reply

    def claim(self, lease: int, *, pause: float) -> Generator[Turn, Reply, Reply]:
        """Claim one task of any command."""
        return self.post("/claim", {"commands": self.commands, "leaseSeconds": lease}, pause=pause)

    def read(self, task: str, *, pause: float = 0) -> Generator[Turn, Reply, Reply]:
        """Read a task, and note whether it has ended."""
        reply: Reply = yield Turn(pause, Request("GET", f"{TASKS}/{task}", self.identity))
        if reply.status == HTTPStatus.OK and reply.json["status"] in ("COMPLETED", "FAILED"):
            self.log.ended.add(task)
        return reply


@dataclass(frozen=True, slots=True)
class HeldTask:
    """A task that a worker holds for `lease` seconds."""

    id: str
    lease: int


def producer(context: ActorContext, tasks: int, *, every: float, webhook: str) -> Actor:
    """Create the given number of tasks, one every `every` seconds on average. Some are delayed, some are sent twice."""
    random = context.random
    for number in range(tasks):
        if not context.goes_on():
            return
        body: dict[str, object] = {
            "command": random.choice(context.commands),
            "payload": {"by": context.identity, "n": number},
            "priority": random.choice(_PRIORITIES),
            "maxAttempts": random.choice(_MAX_ATTEMPTS),
        }
        if webhook and random.random() < _A_FIFTH:
            body["webhook"] = webhook
        if random.random() < _A_SIXTH:
            body["delaySeconds"] = random.choice(DELAYS)
        is_repeated = random.random() < _A_TENTH
        if is_repeated:
            body["idempotencyKey"] = f"{context.commands[0]}-{context.identity}-{number}"
        for pause in (random.uniform(0, 2 * every), *[0.0] * is_repeated):
            reply = yield from context.post("", body, pause=pause)
            if reply.status == HTTPStatus.ACCEPTED:
                context.log.created[reply.json["id"]] = None
            elif not reply.status:
                context.log.complete = False


def worker(context: ActorContext) -> Actor:
    """Claim as long as the load goes on, and do with each task what MIX says."""
    random = context.random
    while context.goes_on():
        lease = random.choice(LEASES)
        commands = random.sample(context.commands, random.randint(1, len(context.commands)))
        body: dict[str, object] = {"commands": commands, "leaseSeconds": lease}
        in_batch = random.random() < _A_TENTH
        if in_batch:
            body["count"] = random.randint(1, _MAX_BATCH)
        else:
            body["waitSeconds"] = random.choice((0, 0, 0, 1))
        path = "/claim/batch" if in_batch else "/claim"
        reply = yield from context.post(path, body, pause=random.uniform(0, _SHORT))
        tasks = _claimed(reply)
        if not tasks:
            yield from _look_at_another(context)
        for task in tasks:
            yield from _intrude(context, HeldTask(task, lease))
            [action] = random.choices([*MIX], [*MIX.values()])
            yield from _ACTIONS[action](context, HeldTask(task, lease))


def poller(context: ActorContext, producer_name: str, rounds: int) -> Actor:
    """Wait for delayed tasks by long polls. Only this actor uses its command, so each poll must get its task (K9)."""
    by_producer = replace(context, identity=producer_name)
    [command] = context.commands
    body = {"command": command, "payload": {"of": command}, "delaySeconds": 1}
    for _ in range(rounds):
        if not context.goes_on():
            return
        created = yield from by_producer.post("", body)
        for wait in (_POLL, _POLL, 0):
            asked = {"commands": context.commands, "leaseSeconds": LONGEST_LEASE, "waitSeconds": wait}
            reply = yield from context.post("/claim", asked)
            tasks = _claimed(reply)
            for task in tasks:
                yield from _end(context, HeldTask(task, LONGEST_LEASE), pause=0)
            if tasks:
                break
        else:
            if created.status == HTTPStatus.ACCEPTED:
                # That it still waits shows that the claims missed it.
                yield from context.read(created.json["id"])


@dataclass(frozen=True, slots=True)
class Drain:
    """When a drain ends: after `quiet` nanoseconds of claims without a task, or at `deadline`.

    After `settling` seconds, which are for callbacks, all tasks are read once more.
    """

    now: Callable[[], int]
    quiet: int
    deadline: int
    settling: float


def drainer(context: ActorContext, drain: Drain) -> Generator[Turn, Reply, bool]:
    """End all remaining tasks, and read every task at the end. Returns whether none remained.

    It holds the first two tasks too long. No other worker claims now, so the outcome is certain. It does not wait for
    quiet if all creates are known and all their tasks have ended.
    """
    busy_until = drain.now()
    pause, done, late = 0.0, False, [_heartbeat_late, _end_late]
    while not done and drain.now() < drain.deadline and context.goes_on():
        lease = min(LEASES) if late else LONGEST_LEASE
        reply = yield from context.claim(lease, pause=pause)
        tasks = _claimed(reply)
        for task in tasks:
            yield from _intrude(context, HeldTask(task, lease))
            yield from (late.pop(0) if late else _complete)(context, HeldTask(task, lease))
        if tasks or not reply.status:
            pause, busy_until = 0.0 if tasks else _LONG, drain.now()
        else:
            all_ended = context.log.complete and (yield from _all_ended(context))
            pause, done = _LONG, all_ended or drain.now() - busy_until > drain.quiet
    for number, task in enumerate([*context.log.created]):
        yield from context.read(task, pause=0 if number else drain.settling)
        if task in context.log.with_result:
            yield Turn(0, Request("GET", f"{TASKS}/{task}/result", context.identity))
    return done


def _all_ended(context: ActorContext) -> Generator[Turn, Reply, bool]:
    """Whether all created tasks have ended. Stops at the first that has not."""
    for task in context.log.open:
        yield from context.read(task)
        if task not in context.log.ended:
            return False
    return True


def _look_at_another(context: ActorContext) -> Generator[Turn, Reply, None]:
    """Read a task that another worker may hold, or try to end it."""
    candidates = context.log.open
    if not candidates:
        return
    task, pause = context.random.choice(candidates), context.random.uniform(0, _LONG)
    if context.random.random() < _A_FIFTH:
        yield from _end(context, HeldTask(task, 0), pause=pause)
    else:
        yield from context.read(task, pause=pause)


def _intrude(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    """Try to keep, give back or end a task as workers that do not hold it. All of it is refused (H2, D2, N1, S1)."""
    for _ in range(_INTRUSIONS if context.others else 0):
        other = replace(context, identity=context.random.choice(context.others))
        yield from context.random.choice(_INTRUDING)(other, held)


def _complete(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    yield from _end(context, held, pause=context.random.uniform(0, _SHORT))


def _end(context: ActorContext, held: HeldTask, *, pause: float) -> Generator[Turn, Reply, None]:
    # A result that no other task has shows a mix-up.
    fails = context.random.random() < _A_TENTH
    result = {"status": "FAILED", "error": "as drawn"} if fails else {"status": "COMPLETED", "result": {"of": held.id}}
    reply = yield from context.post(f"/{held.id}/result", result, pause=pause)
    if reply.status == HTTPStatus.OK:
        context.log.ended.add(held.id)
        context.log.with_result.add(held.id)


def _nack(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    body = {"delaySeconds": context.random.choice(DELAYS), "reason": "as drawn"}
    yield from context.post(f"/{held.id}/nack", body)


def _abandon(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    yield from context.post(f"/{held.id}/abandon")


def _heartbeat(context: ActorContext, held: HeldTask, *, pause: float) -> Generator[Turn, Reply, Reply]:
    return context.post(f"/{held.id}/heartbeat", {"extendSeconds": held.lease}, pause=pause)


def _keep(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    """Outlive the first lease by a heartbeat in the middle."""
    yield from _heartbeat(context, held, pause=held.lease / 2 - 1)
    yield from _end(context, held, pause=held.lease / 2)


def _stall(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    """Wake up after the lease: send a heartbeat, which has no effect, and end a task that another worker may hold."""
    yield from _heartbeat(context, held, pause=held.lease + context.random.uniform(0, 1))
    yield from _end(context, held, pause=0)


def _heartbeat_late(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    """Send a heartbeat after the lease, which has no effect (H3): the next claim requeues the task."""
    yield from _heartbeat(context, held, pause=held.lease + _CERTAINLY)
    reply = yield from context.claim(LONGEST_LEASE, pause=_SHORT)
    yield from _end(context, held, pause=_SHORT)
    for task in _claimed(reply):
        yield from _complete(context, HeldTask(task, LONGEST_LEASE))


def _end_late(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    """End a task after its lease, before any claim takes it away (S3)."""
    yield from _end(context, held, pause=held.lease + _CERTAINLY)


def _crash(_context: ActorContext, _held: HeldTask) -> Generator[Turn, Reply, None]:
    """Never call about the task again."""
    yield from ()


_INTRUDING: Sequence[Callable[[ActorContext, HeldTask], Generator[Turn, Reply, object]]] = (
    partial(_heartbeat, pause=0),
    _abandon,
    _nack,
    partial(_end, pause=0),
)

_ACTIONS: Mapping[str, Callable[[ActorContext, HeldTask], Generator[Turn, Reply, None]]] = {
    "complete": _complete,
    "nack": _nack,
    "abandon": _abandon,
    "heartbeat": _keep,
    "stall": _stall,
    "crash": _crash,
}


def _claimed(reply: Reply) -> list[str]:
    """The ids of the tasks that a claim got."""
    if reply.status != HTTPStatus.OK:
        return []
    return [task["id"] for task in reply.json.get("tasks", [reply.json])]
