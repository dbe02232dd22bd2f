"""Plays actors on a driver: a thread each where time is real, one after another on a clock that stands still."""

from __future__ import annotations

import heapq
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from codeq_contract.driver import Outcome
from codeq_contract.driver.hooks import ORIGIN
from codeq_contract.recordings.times import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from random import Random

    from codeq_contract.driver import Driver, Op, Reply
    from codeq_contract.load.actors import Turn
    from codeq_contract.recorder import Tape

T = TypeVar("T")

_SCHEDULES = 2**16

#: What passes between two calls on a clock that stands still, so that the later one surely came later.
_STEP = 2 * MILLISECOND


@dataclass(frozen=True)
class Stage:
    """Where actors play, and what takes down what they do. `chance` draws who comes first on a clock that stands."""

    driver: Driver
    tape: Tape
    chance: Random
    _over: threading.Event = field(default_factory=threading.Event)

    def goes_on(self) -> bool:
        """Whether nobody has called it off."""
        return not self._over.is_set()

    def call_off(self) -> None:
        """Let everybody stop at his next turn."""
        self._over.set()

    def play(self, actors: Sequence[Generator[Turn, Reply, T]]) -> list[T]:
        """Let them all play to their end; what each returns, in their order."""
        if self.driver.in_real_time:
            return self._play_side_by_side(actors)
        return self._play_in_turn(actors)

    def _play_side_by_side(self, actors: Sequence[Generator[Turn, Reply, T]]) -> list[T]:
        with ThreadPoolExecutor(len(actors), thread_name_prefix="actor") as threads:
            playing = [threads.submit(self._play, actor) for actor in actors]
            try:
                return [each.result() for each in playing]
            except BaseException:
                self.call_off()
                raise

    def _play(self, actor: Generator[Turn, Reply, T]) -> T:
        try:
            turn = next(actor)
            while True:
                self._over.wait(turn.pause)
                [reply] = self.exchange([turn.op])
                turn = actor.send(reply)
        except StopIteration as end:
            value: T = end.value
            return value

    def _play_in_turn(self, actors: Sequence[Generator[Turn, Reply, T]]) -> list[T]:
        """Those whose time has come ask at once, in a drawn order; then the clock goes on a little."""
        clock, ends = self.driver.clock, dict[int, T]()
        agenda: list[tuple[int, int, int, Turn]] = []
        numbers = count()

        def next_turn(place: int, reply: Reply | None) -> None:
            try:
                turn = actors[place].send(reply) if reply is not None else next(actors[place])
            except StopIteration as end:
                ends[place] = end.value
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
            replies = self.exchange([turn.op for *_, turn in due], schedule=1 + self.chance.randrange(_SCHEDULES))
            for (*_, place, _turn), reply in zip(due, replies, strict=True):
                next_turn(place, reply)
        return [ends[place] for place in range(len(actors))]

    def exchange(self, ops: Sequence[Op], schedule: int = 0) -> list[Reply]:
        """Send these at once, and take them down. What cannot be read is as good as no reply to who asked."""
        numbers = [self._sent(op) for op in ops]
        replies = self.driver.together(ops, schedule=schedule)
        for number, reply in zip(numbers, replies, strict=True):
            text = self._as_recorded(reply.text)
            self.tape.answered(number, reply.status, reply.headers, text, at=reply.returned)
        return [reply if _is_readable(reply) else replace(reply, status=0) for reply in replies]

    def _sent(self, op: Op) -> int:
        body = None if op.body is None else self._as_recorded(op.body.decode())
        return self.tape.sent(op.method, op.path, body, identity=op.identity)

    def _as_recorded(self, text: str) -> str:
        """With the webhook where recordings have it."""
        return text.replace(self.driver.hooks_origin, ORIGIN) if self.driver.hooks_origin else text


def _is_readable(reply: Reply) -> bool:
    """Whether a reply that tells of success tells of it in JSON, or need not tell anything (K3)."""
    if reply.outcome is not Outcome.OK or reply.status == HTTPStatus.NO_CONTENT:
        return True
    try:
        return isinstance(reply.json, dict)
    except ValueError:
        return False
