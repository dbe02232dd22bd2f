"""Clients that keep a server busy, in this process or in others: each creates, claims and completes without a pause."""

from __future__ import annotations

import json
import multiprocessing
import random
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from ctypes import c_longlong
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

from codeq_contract.driver import TASKS, Reply, Request
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.plain_connection import PlainConnection
from codeq_contract.recorder import Tape
from codeq_contract.recordings.format import Call

from .actors import LONG, LONGEST_LEASE, Actor, ActorContext, TaskLog, Turn, claimed, end_together
from .real_time import RealTimeScheduler

#: The most tasks that one claim gets (K10).
_MOST_CLAIMED = 10

#: The priority of all tasks. For each higher one a claim of the real server asks its store once more (K4).
_PRIORITY = 5

#: What stands in a body for the number or the id of a task.
_BLANK = "#"

#: The beginning of a task's JSON.
_FIRST_ID = re.compile(rb'\{"id":"([\w-]+)"')

#: The statuses of a create after which there may be a task that is not known: no reply, and one that cannot be read.
_UNKNOWN = (0, HTTPStatus.ACCEPTED)


@dataclass(frozen=True, slots=True)
class BusyClients:
    """Clients of one command: each is a producer and a worker, by their names. Each call has `batch` tasks."""

    command: str
    pairs: Sequence[tuple[str, str]]
    batch: int

    def actors(self, log: TaskLog, goes_on: Callable[[], bool]) -> Iterator[Actor]:
        """An actor for each client."""
        for names in self.pairs:
            chance = random.Random()  # noqa: S311 - it decides nothing here
            producer, worker = (ActorContext(name, [self.command], log, chance, goes_on) for name in names)
            yield cycles(producer, worker) if self.batch == 1 else batch_cycles(producer, worker, self.batch)

    def split(self, parts: int) -> list[BusyClients]:
        """The clients in `parts` parts of about the same size. Some are empty if there are fewer clients."""
        return [replace(self, pairs=self.pairs[place::parts]) for place in range(parts)]


class LostProcessError(Exception):
    """A process of busy clients is gone with its record. Without that, what the server did makes no sense."""

    def __str__(self) -> str:
        return "a process of busy clients was ended (short of memory?); without its calls no history is kept"


class BusyProcess:
    """A process of busy clients that call the server at `url`. Both processes read one clock, for one order."""

    def __init__(self, clients: BusyClients, url: str, tokens: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._is_stopped = context.Event()
        self._calls: Any = context.Value(c_longlong, lock=False)
        self._pipe, other_end = context.Pipe()
        server = (url, dict(tokens))
        arguments = (clients, server, self._is_stopped, self._calls, other_end)
        self._process = context.Process(target=_run, args=arguments, daemon=True)
        self._process.start()
        other_end.close()

    def wait_until_ready(self) -> None:
        """Wait until it can begin, which takes a second or more. Raises EOFError if it broke."""
        self._pipe.recv()

    def begin(self, until: int) -> None:
        """Let its clients call until a moment in nanoseconds since 1970."""
        self._pipe.send(until)

    @property
    def calls(self) -> int:
        """How many calls it has made so far."""
        return int(self._calls.value)

    def stop(self) -> None:
        """Let its clients end early, each after the call under way."""
        self._is_stopped.set()

    def result(self) -> tuple[Sequence[Call], TaskLog]:
        """What it has recorded and what its clients know, when they are done. Raises LostProcessError."""
        try:
            found: tuple[Sequence[Call], TaskLog] = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise LostProcessError from error
        self._process.join()
        return found


def _run(
    clients: BusyClients,
    server: tuple[str, Mapping[str, str]],
    is_stopped: Event,
    calls: Any,  # noqa: ANN401 - of ctypes
    pipe: Connection[Any, Any],
) -> None:
    """Do the work of a process, on a server by its URL and tokens. The parent sees the number of `calls`."""
    # A terminal sends its signals to all processes. The parent says when to stop.
    for number in [signal.SIGINT] if sys.platform == "win32" else [signal.SIGINT, signal.SIGHUP]:
        signal.signal(number, signal.SIG_IGN)
    (url, tokens), clock, log = server, RealClock(), TaskLog()
    tape = Tape(clock.now)
    scheduler = RealTimeScheduler(partial(PlainConnection, url, clock.now), tokens, tape, "")
    pipe.send("ready")
    until = pipe.recv()

    def goes_on() -> bool:
        calls.value = len(tape)
        return clock.now() < until and not is_stopped.is_set()

    scheduler.run([*clients.actors(log, goes_on)])
    pipe.send((tape.calls, log))


def cycles(producer: ActorContext, worker: ActorContext) -> Actor:
    """Create a task, claim one and complete it, until the load is over.

    No JSON is written or read, which would be a third of a cycle: all bodies are made from three templates.
    """
    task, result = json.dumps(_task(producer, _BLANK)), json.dumps(_result(_BLANK))
    claiming = replace(next(worker.claim(LONGEST_LEASE, pause=0)), is_read=False)
    pause = 0.0
    for number in count():
        if not producer.goes_on():
            return
        reply = yield _post("", producer, task.replace(f'"{_BLANK}"', str(number)), pause=pause)
        pause = _pause_after(reply)
        created = _id_in(reply, HTTPStatus.ACCEPTED)
        if created:
            producer.log.create(created)
        elif reply.status in _UNKNOWN:
            producer.log.complete = False
        reply = yield claiming
        held = _id_in(reply, HTTPStatus.OK)
        if held:
            reply = yield _post(f"/{held}/result", worker, result.replace(_BLANK, held))
            if reply.status == HTTPStatus.OK:
                worker.log.end(held, with_result=True)


def _pause_after(reply: Reply) -> float:
    """Seconds until the next create. A server that is gone refuses thousands of calls a second, all to be recorded."""
    return 0 if reply.status else LONG


def _post(path: str, context: ActorContext, body: str, *, pause: float = 0) -> Turn:
    return Turn(pause, Request("POST", TASKS + path, context.identity, body.encode()), is_read=False)


def _id_in(reply: Reply, status: int) -> str:
    """The id of the task in a reply with this status. Empty if it has another, or cannot be read."""
    if reply.status != status:
        return ""
    first = _FIRST_ID.match(reply.body)
    if first:
        return first[1].decode()
    try:
        return str(reply.json["id"])
    except (LookupError, TypeError, ValueError):
        return ""


def batch_cycles(producer: ActorContext, worker: ActorContext, batch: int) -> Actor:
    """As `cycles`, with `batch` tasks in each call. A larger batch takes several claims, of at most 10 tasks (K10)."""
    pause = 0.0
    for number in count(step=batch):
        if not producer.goes_on():
            return
        body = {"tasks": [_task(producer, number + place) for place in range(batch)]}
        reply = yield from producer.post("/batch", body, pause=pause)
        pause = _pause_after(reply)
        if reply.status == HTTPStatus.OK:
            for answer in reply.json["results"]:
                if "task" in answer:
                    producer.log.create(answer["task"]["id"])
        elif not reply.status:
            producer.log.complete = False
        held: list[str] = []
        while len(held) < batch:
            asked = {"commands": worker.commands, "leaseSeconds": LONGEST_LEASE}
            reply = yield from worker.post("/claim/batch", {**asked, "count": min(batch - len(held), _MOST_CLAIMED)})
            tasks = claimed(reply)
            if not tasks:
                break
            held += tasks
        if held:
            yield from end_together(worker, {task: _result(task) for task in held})


def _task(producer: ActorContext, number: int | str) -> dict[str, Any]:
    payload = {"by": producer.identity, "n": number}
    return {"command": producer.commands[0], "payload": payload, "priority": _PRIORITY}


def _result(task: str) -> dict[str, Any]:
    return {"status": "COMPLETED", "result": {"of": task}}
