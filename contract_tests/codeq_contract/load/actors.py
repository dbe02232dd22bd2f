"""The actors of a load: producers, and workers that settle, stall and crash.

An actor is a generator of turns. It yields how long it waits and the request that it then sends, and receives the
reply. So the same actors run in real time, side by side, and on a clock that stands still, one after another.
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


@dataclass(slots=True)  # not frozen, as a `Request`
class Turn:
    """Wait `pause` seconds, then send a request.

    If its reply `is_read`, one whose JSON cannot be read counts as lost. Without that, the actor has to see to it.
    """

    pause: float
    request: Request
    is_read: bool = True


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
SHORT, LONG = 0.05, 0.3

_A_TENTH, _A_FIFTH, _A_SIXTH, _A_HALF = 0.1, 0.2, 1 / 6, 0.5


@dataclass(slots=True)
class TaskLog:
    """What the actors of one tenant know together: the tasks created and ended, and those that have a result.

    The keys of `open` are the created tasks that may not have ended, the oldest first. The log is `complete` if every
    create was answered, so that no task is unknown.
    """

    created: dict[str, None] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    with_result: set[str] = field(default_factory=set)
    open: dict[str, None] = field(default_factory=dict)
    complete: bool = True

    def create(self, task: str) -> None:
        """Note a task that was created, or that a key found."""
        self.created[task] = None
        if task not in self.ended:
            self.open[task] = None

    def end(self, task: str, *, with_result: bool = False) -> None:
        """Note that a task has ended. Another actor may have created it, whose reply comes later."""
        self.ended.add(task)
        self.open.pop(task, None)
        if with_result:
            self.with_result.add(task)

    def add(self, other: TaskLog) -> None:
        """Add what other actors know."""
        for task in other.created:
            self.create(task)
        for task in other.ended:
            self.end(task, with_result=task in other.with_result)
        self.complete = self.complete and other.complete


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

    def create(self, body: object, *, pause: float = 0) -> Generator[Turn, Reply, None]:
        """Create a task, and note it."""
        reply = yield from self.post("", body, pause=pause)
        if reply.status == HTTPStatus.ACCEPTED:
            self.log.create(reply.json["id"])
        elif not reply.status:
            self.log.complete = False

    def claim(self, lease: int, *, pause: float) -> Generator[Turn, Reply, Reply]:
        """Claim one task of any command."""
        return self.post("/claim", {"commands": self.commands, "leaseSeconds": lease}, pause=pause)

    def read(self, task: str, *, pause: float = 0) -> Generator[Turn, Reply, Reply]:
        """Read a task, and note whether it has ended."""
        reply: Reply = yield Turn(pause, Request("GET", f"{TASKS}/{task}", self.identity))
        if reply.status == HTTPStatus.OK and reply.json["status"] in ("COMPLETED", "FAILED"):
            self.log.end(task)
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
            yield from context.create(body, pause=pause)


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
        reply = yield from context.post(path, body, pause=random.uniform(0, SHORT))
        tasks = claimed(reply)
        if not tasks:
            yield from _look_at_another(context)
        for task in tasks:
            yield from intrude(context, HeldTask(task, lease))
        if tasks and in_batch and random.random() < _A_HALF:
            yield from _end_all(context, tasks)
            continue
        for task in tasks:
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
            tasks = claimed(reply)
            for task in tasks:
                yield from end(context, HeldTask(task, LONGEST_LEASE), pause=0)
            if tasks:
                break
        else:
            if created.status == HTTPStatus.ACCEPTED:
                # That it still waits shows that the claims missed it.
                yield from context.read(created.json["id"])


def _look_at_another(context: ActorContext) -> Generator[Turn, Reply, None]:
    """Read a task that another worker may hold, or try to end it."""
    candidates = list(context.log.open)
    if not candidates:
        return
    task, pause = context.random.choice(candidates), context.random.uniform(0, LONG)
    if context.random.random() < _A_FIFTH:
        yield from end(context, HeldTask(task, 0), pause=pause)
    else:
        yield from context.read(task, pause=pause)


def intrude(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    """Try to keep, give back or end a task as workers that do not hold it. All of it is refused (H2, D2, N1, S1)."""
    for _ in range(_INTRUSIONS if context.others else 0):
        other = replace(context, identity=context.random.choice(context.others))
        yield from context.random.choice(_INTRUDING)(other, held)


def complete(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    """End a task after a short while."""
    yield from end(context, held, pause=context.random.uniform(0, SHORT))


def end(context: ActorContext, held: HeldTask, *, pause: float) -> Generator[Turn, Reply, None]:
    """Send the result of a task."""
    reply = yield from context.post(f"/{held.id}/result", _result(context, held.id), pause=pause)
    if reply.status == HTTPStatus.OK:
        context.log.end(held.id, with_result=True)


def _end_all(context: ActorContext, tasks: Sequence[str]) -> Generator[Turn, Reply, None]:
    """Send the results of tasks in one request, and that of a task that another worker may hold."""
    others = [task for task in context.log.open if task not in tasks]
    ended = [*tasks, *context.random.sample(others, min(1, len(others)))]
    results = {task: _result(context, task) for task in ended}
    yield from end_together(context, results, pause=context.random.uniform(0, SHORT))


def end_together(
    context: ActorContext, results: Mapping[str, Mapping[str, object]], *, pause: float = 0
) -> Generator[Turn, Reply, None]:
    """Send the results of several tasks in one request."""
    body = {"results": [{"taskId": task, **result} for task, result in results.items()]}
    reply = yield from context.post("/batch/results", body, pause=pause)
    if reply.status == HTTPStatus.OK:
        for answer in reply.json["results"]:
            if "error" not in answer:
                context.log.end(answer["taskId"], with_result=True)


def _result(context: ActorContext, task: str) -> dict[str, object]:
    """A drawn result. One that no other task has shows a mix-up."""
    fails = context.random.random() < _A_TENTH
    return {"status": "FAILED", "error": "as drawn"} if fails else {"status": "COMPLETED", "result": {"of": task}}


def _nack(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    body = {"delaySeconds": context.random.choice(DELAYS), "reason": "as drawn"}
    yield from context.post(f"/{held.id}/nack", body)


def _abandon(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    yield from context.post(f"/{held.id}/abandon")


def heartbeat(context: ActorContext, held: HeldTask, *, pause: float) -> Generator[Turn, Reply, Reply]:
    """Send a heartbeat, which renews the lease."""
    return context.post(f"/{held.id}/heartbeat", {"extendSeconds": held.lease}, pause=pause)


def _keep(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    """Outlive the first lease by a heartbeat in the middle."""
    yield from heartbeat(context, held, pause=held.lease / 2 - 1)
    yield from end(context, held, pause=held.lease / 2)


def _stall(context: ActorContext, held: HeldTask) -> Generator[Turn, Reply, None]:
    """Wake up after the lease: send a heartbeat, which has no effect, and end a task that another worker may hold."""
    yield from heartbeat(context, held, pause=held.lease + context.random.uniform(0, 1))
    yield from end(context, held, pause=0)


def _crash(_context: ActorContext, _held: HeldTask) -> Generator[Turn, Reply, None]:
    """Never call about the task again."""
    yield from ()


_INTRUDING: Sequence[Callable[[ActorContext, HeldTask], Generator[Turn, Reply, object]]] = (
    partial(heartbeat, pause=0),
    _abandon,
    _nack,
    partial(end, pause=0),
)

_ACTIONS: Mapping[str, Callable[[ActorContext, HeldTask], Generator[Turn, Reply, None]]] = {
    "complete": complete,
    "nack": _nack,
    "abandon": _abandon,
    "heartbeat": _keep,
    "stall": _stall,
    "crash": _crash,
}


def claimed(reply: Reply) -> list[str]:
    """The ids of the tasks that a claim got."""
    if reply.status != HTTPStatus.OK:
        return []
    return [task["id"] for task in reply.json.get("tasks", [reply.json])]
