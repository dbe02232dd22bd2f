"""The calls of a case that show a race of the real server (Z1 to Z6). Without them its failure has another cause."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Any

from codeq_contract.driver import TASKS, Exchange
from codeq_contract.driver.requests import tasks_in
from codeq_contract.recordings.times import SECOND

_CLAIM = f"{TASKS}/claim"
_OK, _ACCEPTED, _EMPTY = 200, 202, 204
#: The refusals of a worker that does not hold the task.
_NOT_HELD = frozenset({(403, "not-owner"), (409, "not-in-progress")})
#: The seconds of a lease that a claim does not name (K5).
_LEASE = 300

Calls = tuple[Exchange, ...]


class _Transcript:
    """The calls of a case, by what they did."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self.creates = [each for each in exchanges if _is(each, TASKS, _ACCEPTED)]
        self.claims = [each for each in exchanges if _is(each, _CLAIM, _OK) or _is(each, _CLAIM, _EMPTY)]
        self.deliveries = defaultdict[str, list[Exchange]](list)
        for claim in self.claims:
            for task in _tasks(claim):
                self.deliveries[task["id"]].append(claim)
        self.results = defaultdict[str, list[Exchange]](list)
        for each in exchanges:
            task_id, _, operation = each.request.path.removeprefix(f"{TASKS}/").partition("/")
            if operation == "result":
                self.results[task_id].append(each)

    def beside(self, claim: Exchange) -> list[Exchange]:
        """The other claims of its commands at the same time."""
        commands = set(_body(claim)["commands"])
        others = (other for other in self.claims if other is not claim and _overlap(claim, other))
        return [other for other in others if commands.intersection(_body(other)["commands"])]


def calls_of(race: str, exchanges: Sequence[Exchange]) -> Calls:
    """The calls that show this race, the first ones if it happened more than once, or none."""
    sign = _SIGNS.get(race)
    calls = () if sign is None else next(sign(_Transcript(exchanges)), ())
    return tuple(sorted(calls, key=lambda each: each.reply.called))


def _redelivered(transcript: _Transcript) -> Iterator[Calls]:
    """Z1: two claims at the same time, one with a task, a result that ends it, and a later claim with it."""
    for task_id, deliveries in transcript.deliveries.items():
        accepted = [end for end in transcript.results[task_id] if end.reply.status == _OK]
        for first, again in combinations(deliveries, 2):
            ends = [end for end in accepted if first.reply.called <= end.reply.called <= again.reply.returned]
            movers = [claim for claim in transcript.beside(first) if claim is not again]
            if ends and movers:
                yield (first, movers[0], ends[0], again)


def _revoked(transcript: _Transcript) -> Iterator[Calls]:
    """Z3: two claims at the same time, one with a task, and a result of its holder that is refused within the lease."""
    for task_id, deliveries in transcript.deliveries.items():
        ends = transcript.results[task_id]
        for refused in (end for end in ends if end.reply.refusal in _NOT_HELD):
            held = [claim for claim in deliveries if _holds(claim, refused)]
            others = [end for end in ends if end.reply.status == _OK and end.reply.called < refused.reply.returned]
            for claim in held[-1:]:
                if not others and transcript.beside(claim):
                    yield (claim, transcript.beside(claim)[0], refused)


def _passed_over(transcript: _Transcript) -> Iterator[Calls]:
    """Z4: two claims at the same time, one of them empty, and more tasks created before than all claims have got."""
    for empty in (claim for claim in transcript.claims if claim.reply.status == _EMPTY):
        commands = _body(empty)["commands"]
        made = [each for each in transcript.creates if _body(each)["command"] in commands and _is_ready(each, empty)]
        got = {
            task["id"]
            for claim in transcript.claims
            if claim.reply.called < empty.reply.returned
            for task in _tasks(claim)
        }
        left = [each for each in made if each.reply.json["id"] not in got]
        if left and transcript.beside(empty):
            yield (left[0], empty, transcript.beside(empty)[0])


def _accepted_twice(transcript: _Transcript) -> Iterator[Calls]:
    """Z5: results for one task at the same time, of which more than one was accepted."""
    for results in transcript.results.values():
        accepted = [end for end in results if end.reply.status == _OK]
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
        "Z1": _redelivered,
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


def _tasks(claim: Exchange) -> list[dict[str, Any]]:
    return tasks_in(claim.reply.json) if claim.reply.status == _OK else []


def _key(create: Exchange) -> tuple[str | None, Any]:
    return create.request.identity, _body(create)["idempotencyKey"]


def _overlap(one: Exchange, other: Exchange) -> bool:
    """Whether two calls were under way at the same time."""
    return one.reply.called <= other.reply.returned and other.reply.called <= one.reply.returned


def _holds(claim: Exchange, operation: Exchange) -> bool:
    """Whether the claim's worker makes this call, within its lease."""
    ends = claim.reply.called + _body(claim).get("leaseSeconds", _LEASE) * SECOND
    is_its_own = claim.request.identity == operation.request.identity
    return is_its_own and claim.reply.returned <= operation.reply.called and operation.reply.returned < ends


def _is_ready(create: Exchange, claim: Exchange) -> bool:
    """Whether the created task was due before the claim was sent."""
    delay: int = _body(create).get("delaySeconds", 0) * SECOND
    return create.reply.returned + delay <= claim.reply.called
