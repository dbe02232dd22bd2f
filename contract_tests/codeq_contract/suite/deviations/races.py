"""The calls of a case that show a race of the real server (Z1 to Z6). Without them its failure has another cause."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Any

from codeq_contract.driver import TASKS, Exchange
from codeq_contract.driver.requests import ADMIN, tasks_in
from codeq_contract.recordings.times import SECOND

_CLAIM = f"{TASKS}/claim"
_OK, _ACCEPTED, _EMPTY = 200, 202, 204
#: The refusals of a worker that does not hold the task.
_NOT_HELD = frozenset({(403, "not-owner"), (409, "not-in-progress")})
#: The seconds of a lease whose length is not said (K5, H1), and of a delay.
_UNSAID = MappingProxyType({"leaseSeconds": 300, "extendSeconds": 300, "delaySeconds": 0})
#: The places of a queue that the sizes of it count (M2).
_SIZES = ("ready", "delayed", "inProgress", "dlq")

Calls = tuple[Exchange, ...]


class _Transcript:
    """The calls of a case, by what they did."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self.exchanges = exchanges
        self.creates = [each for each in exchanges if _is(each, TASKS, _ACCEPTED)]
        self.claims = [each for each in exchanges if _is(each, _CLAIM, _OK) or _is(each, _CLAIM, _EMPTY)]
        self.deliveries = defaultdict[str, list[Exchange]](list)
        for claim in self.claims:
            for task in _tasks(claim):
                self.deliveries[task["id"]].append(claim)
        #: The calls that change a task, by its id and their operation.
        self.operations = defaultdict[tuple[str, str], list[Exchange]](list)
        for each in exchanges:
            if each.request.method == "POST":
                self.operations[_task_and_operation(each)].append(each)

    def beside(self, claim: Exchange) -> list[Exchange]:
        """The other claims of its commands at the same time."""
        commands = set(_body(claim)["commands"])
        others = (other for other in self.claims if other is not claim and _overlap(claim, other))
        return [other for other in others if commands.intersection(_body(other)["commands"])]

    def movers(self, command: str, before: int) -> Calls:
        """The first two claims of a command at the same time, before a moment, that may both have moved a due task."""
        due = min(self._due(command), default=None)
        if due is None:
            return ()
        claims = [each for each in self.claims if command in _body(each)["commands"] and each.reply.called <= before]
        pairs = (pair for pair in combinations(claims, 2) if _overlap(*pair))
        return next((pair for pair in pairs if due <= min(each.reply.returned for each in pair)), ())

    def _due(self, command: str) -> Iterator[int]:
        """The earliest moments at which tasks of a command were due after a delay, or their leases were over."""
        tasks = {
            task["id"] for each in (*self.creates, *self.claims) for task in _tasks(each) if task["command"] == command
        }
        for create in self.creates:
            if _body(create)["command"] == command and _body(create).get("delaySeconds"):
                yield _ends(create, "delaySeconds") - SECOND
        for task_id in tasks:
            yield from (_ends(nack, "delaySeconds") - SECOND for nack in self.accepted(task_id, "nack"))
            yield from (_ends(claim, "leaseSeconds") for claim in self.deliveries[task_id])

    def accepted(self, task_id: str, *operations: str) -> list[Exchange]:
        """The accepted calls on a task with these operations."""
        calls = [each for operation in operations for each in self.operations[task_id, operation]]
        return [each for each in calls if each.reply.status == _OK]

    def leases_at(self, call: Exchange) -> dict[str, Exchange]:
        """The leases that are surely live during a call: the last claim of each task."""
        leases = {}
        for task_id, claims in self.deliveries.items():
            before = [each for each in claims if each is not call and each.reply.returned <= call.reply.called]
            if before and self._is_live(task_id, before[-1], call):
                leases[task_id] = before[-1]
        return leases

    def _is_live(self, task_id: str, claim: Exchange, call: Exchange) -> bool:
        """Whether the lease that began with `claim` is surely not over when `call` ends."""
        # A result ends a task for good, a NACK or an abandon only the lease in which it came.
        released = [
            *self.accepted(task_id, "result"),
            *(each for each in self.accepted(task_id, "nack", "abandon") if each.reply.called >= claim.reply.called),
        ]
        if any(each.reply.called < call.reply.returned for each in released if each is not call):
            return False
        renewed = [each for each in self.accepted(task_id, "heartbeat") if each.reply.called >= claim.reply.called]
        ends = [_ends(claim, "leaseSeconds"), *(_ends(each, "extendSeconds") for each in renewed)]
        return call.reply.returned < min(ends)


def calls_of(race: str, exchanges: Sequence[Exchange]) -> Calls:
    """The calls that show this race, the first ones if it happened more than once, or none."""
    sign = _SIGNS.get(race)
    calls = () if sign is None else next(sign(_Transcript(exchanges)), ())
    once = {id(each): each for each in calls}
    return tuple(sorted(once.values(), key=lambda each: each.reply.called))


def _copied(transcript: _Transcript) -> Iterator[Calls]:
    """Z1: two claims at the same time that move a due task twice, and a call that shows the second copy of its id."""
    yield from _redelivered(transcript)
    yield from _counted_twice(transcript)


def _redelivered(transcript: _Transcript) -> Iterator[Calls]:
    """A claim that got a task, its result or NACK, after which no claim may get it, and a claim that got it again."""
    for task_id, deliveries in transcript.deliveries.items():
        ends = transcript.accepted(task_id, "result", "nack")
        for first, again in combinations(deliveries, 2):
            between = [end for end in ends if first.reply.called <= end.reply.called and _is_away(end, again)]
            beside = [claim for claim in transcript.beside(first) if claim is not again]
            movers = (first, beside[0]) if beside else transcript.movers(_command_of(first), first.reply.returned)
            if between and movers:
                yield (*movers, first, between[0], again)


def _is_away(end: Exchange, claim: Exchange) -> bool:
    """Whether the task of an accepted result or NACK is ended, or surely not yet due, when a claim ends."""
    if end.reply.called > claim.reply.returned:
        return False
    is_nack = _task_and_operation(end)[1] == "nack"
    if not is_nack or end.reply.json["status"] == "dlq":
        return True
    return claim.reply.returned < _ends(end, "delaySeconds") - SECOND


def _counted_twice(transcript: _Transcript) -> Iterator[Calls]:
    """A count of more tasks than there are."""
    for count in transcript.exchanges:
        if count.request.path.startswith(f"{ADMIN}/queues/") and count.reply.status == _OK:
            sizes = count.reply.json
            made = [each.reply.json["id"] for each in transcript.creates if _body(each)["command"] == sizes["command"]]
            ends = {task: transcript.accepted(task, "result") for task in made}
            left = [task for task in made if not any(end.reply.returned <= count.reply.called for end in ends[task])]
            movers = transcript.movers(sizes["command"], count.reply.called)
            if movers and sum(sizes.get(name, 0) for name in _SIZES) > len(set(left)):
                yield (*movers, count)


def _revoked(transcript: _Transcript) -> Iterator[Calls]:
    """Z3: two claims at the same time, one with a task, and a call within the lease that shows it gone."""
    for call in transcript.exchanges:
        leases = transcript.leases_at(call)
        ids, gone = _leases_gone(call, leases)
        shown = [(leases[task_id], beside) for task_id in ids for beside in transcript.beside(leases[task_id])[:1]]
        if len(shown) >= gone:  # else something else took a lease, too
            yield from ((claim, beside, call) for claim, beside in shown)


def _leases_gone(call: Exchange, leases: Mapping[str, Exchange]) -> tuple[list[str], int]:
    """The tasks of live leases that a call may show without their lease, and how many of them it shows so.

    `leases` has the claim that began each live lease, by the task's id. A later claim gets such a task, a read does not
    show its lease, or a call of its holder is refused. A count shows how many are gone, but not which.
    """
    if _is(call, _CLAIM, _OK):
        return _claimed_again(call, leases)
    if call.request.path.startswith(f"{ADMIN}/queues/") and call.reply.status == _OK:
        return _not_counted(call, leases)
    task_id, operation = _task_and_operation(call)
    if task_id not in leases:
        return [], 0
    if call.request.method == "POST":
        is_its_own = leases[task_id].request.identity == call.request.identity
        is_gone = is_its_own and call.reply.refusal in _NOT_HELD
    else:
        is_read = not operation  # of the task, not of its result
        is_gone = is_read and call.reply.status == _OK and call.reply.json["status"] != "IN_PROGRESS"
    return ([task_id], 1) if is_gone else ([], 0)


def _claimed_again(claim: Exchange, leases: Mapping[str, Exchange]) -> tuple[list[str], int]:
    """As `_leases_gone`. A claim at the same time as the first may itself have got the task first."""
    ids = [task["id"] for task in _tasks(claim) if task["id"] in leases]
    again = [task_id for task_id in ids if leases[task_id].reply.returned < claim.reply.called]
    return again, len(again)


def _not_counted(count: Exchange, leases: Mapping[str, Exchange]) -> tuple[list[str], int]:
    """As `_leases_gone`. The count is that of one queue."""
    held = [task_id for task_id, claim in leases.items() if _command_of(claim) == count.reply.json["command"]]
    gone = len(held) - count.reply.json["inProgress"]
    return (held, gone) if gone > 0 else ([], 0)


def _passed_over(transcript: _Transcript) -> Iterator[Calls]:
    """Z4: two claims at the same time, and one then or later that leaves a task which comes first."""
    for claim in transcript.claims:
        claimed_ids = {
            task["id"]
            for other in transcript.claims
            if other.reply.called < claim.reply.returned
            for task in _tasks(other)
        }
        unclaimed = [each for each in transcript.creates if each.reply.json["id"] not in claimed_ids]
        passed_over = [each for each in unclaimed if _comes_first(each, claim)]
        if passed_over:
            beside = transcript.beside(claim)[:1] if claim.reply.status == _EMPTY else ()
            others = beside or transcript.movers(_body(passed_over[0])["command"], claim.reply.called)
            if others:
                yield (passed_over[0], *others, claim)


def _comes_first(create: Exchange, claim: Exchange) -> bool:
    """Whether a task was due before a claim was sent, and is of a queue before that of the task that the claim got."""
    commands: list[str] = _body(claim)["commands"]
    if _body(create)["command"] not in commands or not _is_ready(create, claim):
        return False
    places = [(commands.index(task["command"]), -task.get("priority", 0)) for task in (*_tasks(create), *_tasks(claim))]
    return len(places) == 1 or places[0] < places[1]


def _accepted_twice(transcript: _Transcript) -> Iterator[Calls]:
    """Z5: results for one task at the same time, of which more than one was accepted."""
    for task_id, operation in [*transcript.operations]:
        if operation == "result":
            accepted = transcript.accepted(task_id, "result")
            yield from ((one, other) for one, other in combinations(accepted, 2) if _overlap(one, other))


def _made_twice(transcript: _Transcript) -> Iterator[Calls]:
    """Z6: creates with one key at the same time that made different tasks."""
    with_key = [each for each in transcript.creates if _body(each).get("idempotencyKey")]
    for one, other in combinations(with_key, 2):
        is_same = _key(one) == _key(other) and one.reply.json["id"] != other.reply.json["id"]
        if is_same and _overlap(one, other):
            yield (one, other)


_SIGNS: Mapping[str, Callable[[_Transcript], Iterator[Calls]]] = MappingProxyType(
    {
        "Z1": _copied,
        "Z3": _revoked,
        "Z4": _passed_over,
        "Z5": _accepted_twice,
        "Z6": _made_twice,
    }
)


def _is(exchange: Exchange, path: str, status: int) -> bool:
    return (exchange.request.path, exchange.reply.status) == (path, status)


def _body(exchange: Exchange) -> Any:  # noqa: ANN401 - JSON of any shape
    return json.loads(exchange.request.body or b"{}")


def _tasks(call: Exchange) -> list[dict[str, Any]]:
    return tasks_in(call.reply.json) if call.reply.status in (_OK, _ACCEPTED) else []


def _task_and_operation(exchange: Exchange) -> tuple[str, str]:
    """The id in a path below that of tasks, and what follows it."""
    task_id, _, operation = exchange.request.path.removeprefix(f"{TASKS}/").partition("/")
    return task_id, operation


def _key(create: Exchange) -> tuple[str | None, Any]:
    return create.request.identity, _body(create)["idempotencyKey"]


def _overlap(one: Exchange, other: Exchange) -> bool:
    """Whether two calls were under way at the same time."""
    return one.reply.called <= other.reply.returned and other.reply.called <= one.reply.returned


def _ends(call: Exchange, seconds: str) -> int:
    """The earliest end of a lease or delay that begins with a call, which has its length in the field `seconds`."""
    length: int = _body(call).get(seconds, _UNSAID[seconds])
    return call.reply.called + length * SECOND


def _command_of(claim: Exchange) -> str:
    """The command of the first task that a claim got."""
    command: str = _tasks(claim)[0]["command"]
    return command


def _is_ready(create: Exchange, claim: Exchange) -> bool:
    """Whether the created task was due before the claim was sent."""
    delay: int = _body(create).get("delaySeconds", 0) * SECOND
    return create.reply.returned + delay <= claim.reply.called
