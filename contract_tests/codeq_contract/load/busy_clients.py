"""The clients that keep a server busy, in this process or in others."""

from __future__ import annotations

import multiprocessing
import random
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from ctypes import c_longlong
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.plain_connection import PlainConnection
from codeq_contract.recorder import Tape
from codeq_contract.recordings.format import Call

from .actors import Actor, ActorContext, TaskLog
from .cycles import batch_cycles, cycles
from .real_time import RealTimeScheduler


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
    """A process of busy clients that call the server at `url`. Its clock is that of this process, for one order."""

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
