"""Runs actors on a driver: one thread each in real time, one after another on a clock that stands still."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
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
    """Runs actors and records what they do. `random` decides the order of simultaneous calls on a standing clock."""

    driver: Driver
    tape: Tape
    random: Random
    _is_cancelled: threading.Event = field(default_factory=threading.Event)

    def goes_on(self) -> bool:
        """Whether the actors may go on."""
        return not self._is_cancelled.is_set()

    def run(self, actors: Sequence[Generator[Turn, Reply, T]]) -> list[T]:
        """Run all actors to their end. Returns their results in the same order."""
        if self.driver.in_real_time:
            return self._run_in_threads(actors)
        return self._run_in_turn(actors)

    def _run_in_threads(self, actors: Sequence[Generator[Turn, Reply, T]]) -> list[T]:
        with ThreadPoolExecutor(len(actors), thread_name_prefix="actor") as threads:
            running = [threads.submit(self._run, actor) for actor in actors]
            try:
                return [each.result() for each in running]
            except BaseException:
                self._is_cancelled.set()  # every actor stops at its next turn
                raise

    def _run(self, actor: Generator[Turn, Reply, T]) -> T:
        try:
            turn = next(actor)
            while True:
                self._is_cancelled.wait(turn.pause)
                [reply] = self.exchange([turn.request])
                turn = actor.send(reply)
        except StopIteration as end:
            value: T = end.value
            return value

    def _run_in_turn(self, actors: Sequence[Generator[Turn, Reply, T]]) -> list[T]:
        """Send the requests of all actors that are due at once, in a random order. Then move the clock a little."""
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
            text = self._as_recorded(text_of(reply.body))
            self.tape.answered(number, reply.status, reply.headers, text, at=reply.returned)
        return [reply if _is_readable(reply) else replace(reply, status=0) for reply in replies]

    def _record_request(self, request: Request) -> int:
        body = None if request.body is None else self._as_recorded(text_of(request.body))
        return self.tape.sent(request.method, request.path, body, identity=request.identity)

    def _as_recorded(self, text: str) -> str:
        """A body with the webhook at the origin of recordings."""
        return text.replace(self.driver.hooks_origin, WEBHOOK_ORIGIN) if self.driver.hooks_origin else text


def _is_readable(reply: Reply) -> bool:
    """Whether a successful reply is a JSON object, unless it needs no body (K3)."""
    if not reply.status or reply.status >= HTTPStatus.BAD_REQUEST or reply.status == HTTPStatus.NO_CONTENT:
        return True
    try:
        return isinstance(reply.json, dict)
    except ValueError:
        return False
