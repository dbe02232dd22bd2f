"""Runs actors one after another on a clock that stands still, and records what they do."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import count
from random import Random
from typing import TypeVar

from codeq_contract.driver import Driver, Reply, Request
from codeq_contract.recorder import Tape
from codeq_contract.recordings.format import WEBHOOK_ORIGIN, text_of
from codeq_contract.recordings.times import MILLISECOND, SECOND

from .actors import Turn

T = TypeVar("T")

_SCHEDULES = 2**16

#: The time between two calls on a clock that stands still, so that the later one is certainly later.
_STEP = 2 * MILLISECOND


@dataclass(frozen=True)
class Scheduler:
    """Runs actors and records what they do. `random` decides the order of simultaneous calls."""

    driver: Driver
    tape: Tape
    random: Random

    def goes_on(self) -> bool:
        """Whether the actors may go on. An interrupt ends all of them at once."""
        return True

    def run(self, actors: Sequence[Generator[Turn, Reply, T]]) -> list[T]:
        """Run all actors to their end. Returns their results in the same order.

        The requests of all actors that are due go out at once, in a random order. Then the clock moves a little.
        """
        clock, results = self.driver.clock, dict[int, T]()
        agenda: list[tuple[int, int, int, Turn]] = []
        numbers = count()

        def next_turn(place: int, reply: Reply | None) -> None:
            try:
                turn = actors[place].send(reply) if reply is not None else next(actors[place])
            except StopIteration as end:
                results[place] = end.value
            else:
                due = clock.now() + round(turn.pause * SECOND)
                heapq.heappush(agenda, (due, next(numbers), place, turn))

        for place in range(len(actors)):
            next_turn(place, None)
        while agenda:
            clock.until(max(agenda[0][0], clock.now() + _STEP))
            due = []
            while agenda and agenda[0][0] <= clock.now():
                due.append(heapq.heappop(agenda))
            schedule = 1 + self.random.randrange(_SCHEDULES)
            replies = self.exchange([turn.request for *_, turn in due], schedule=schedule)
            for (*_, place, _turn), reply in zip(due, replies, strict=True):
                next_turn(place, reply)
        return [results[place] for place in range(len(actors))]

    def exchange(self, requests: Sequence[Request], schedule: int = 0) -> list[Reply]:
        """Send the requests at once, and record them. A reply that cannot be read counts as lost for the actor."""
        numbers = [self._record_request(request) for request in requests]
        replies = self.driver.together(requests, schedule=schedule)
        for number, reply in zip(numbers, replies, strict=True):
            text = as_recorded(reply.body, self.driver.hooks_origin)
            self.tape.record_reply(number, reply.status, reply.headers, text, at=reply.returned)
        return [as_read(reply) for reply in replies]

    def _record_request(self, request: Request) -> int:
        body = None if request.body is None else as_recorded(request.body, self.driver.hooks_origin)
        return self.tape.record_request(request.method, request.path, body, identity=request.identity)


def as_recorded(body: bytes, hooks_origin: str) -> str:
    """A body with the webhook at the origin of recordings."""
    text = text_of(body)
    return text.replace(hooks_origin, WEBHOOK_ORIGIN) if hooks_origin else text


def as_read(reply: Reply) -> Reply:
    """A reply as its actor sees it: one that cannot be read counts as lost."""
    return reply if _is_readable(reply) else replace(reply, status=0)


def _is_readable(reply: Reply) -> bool:
    """Whether a successful reply is a JSON object, unless it needs no body (K3)."""
    if not reply.status or reply.status >= HTTPStatus.BAD_REQUEST or reply.status == HTTPStatus.NO_CONTENT:
        return True
    try:
        return isinstance(reply.json, dict)
    except ValueError:
        return False
