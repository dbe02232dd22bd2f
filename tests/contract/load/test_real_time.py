"""Actors in real time go on with each reply, and an error of one ends the load of all."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass

import pytest

from codeq_contract.driver import Reply, Request
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.plain_connection import Answered, Connection
from codeq_contract.load.actors import Turn
from codeq_contract.load.real_time import RealTimeScheduler
from codeq_contract.recorder import Tape

CLOCK = RealClock()


def fail() -> None:
    raise AttributeError("as a fault of the suite would")


@dataclass
class Server:
    """A connection to a server that answers all paths but `/never`. The answer to `/broken` cannot be handed over."""

    def send(self, request: Request, answered: Answered) -> None:
        if request.path == "/broken":
            asyncio.get_running_loop().call_soon(fail)
        elif request.path != "/never":
            reply = Reply(CLOCK.now(), CLOCK.now(), 200, {}, b"{}")
            asyncio.get_running_loop().call_soon(answered, reply)

    def close(self) -> None:
        pass


def calls(*paths: str, pause: float = 0) -> Generator[Turn, Reply, int]:
    """An actor that calls these paths. Returns how many were answered."""
    answered = 0
    for path in paths:
        reply = yield Turn(pause, Request("GET", path))
        answered += bool(reply.status)
    return answered


def failing() -> Generator[Turn, Reply, int]:
    yield Turn(0.01, Request("GET", "/x"))
    raise KeyError("id")


def scheduler() -> RealTimeScheduler:
    def connect() -> Connection:
        return Server()

    return RealTimeScheduler(connect, {}, Tape(CLOCK.now), "")


def test_actors_run_side_by_side_to_their_results() -> None:
    running = scheduler()
    assert running.run([calls("/a", "/b"), calls(), calls("/c", pause=0.01)]) == [2, 0, 1]
    assert sorted((call.path, call.status) for call in running.tape.calls) == [("/a", 200), ("/b", 200), ("/c", 200)]


def test_an_actor_that_fails_ends_all_and_a_request_under_way_stays_without_a_reply() -> None:
    running = scheduler()
    with pytest.raises(KeyError, match="id"):
        running.run([calls("/never"), calls("/a", pause=60), failing()])
    assert [(call.path, call.status) for call in running.tape.calls] == [("/x", 200), ("/never", 0)]


def test_an_error_outside_of_an_actor_ends_the_load_too() -> None:
    with pytest.raises(AttributeError):
        scheduler().run([calls("/never"), calls("/broken")])
