"""Hosts: where a user's program runs as a process that can be killed, stopped, paused and started again."""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from .incarnation import CURRENT, End, Incarnation
from .log import Entry, LostError
from .loop import SimulatedLoop
from .network import Network

if TYPE_CHECKING:
    import httpx

#: How long a process may take to end after SIGTERM, before it is killed (s), as with Kubernetes.
GRACE = 30.0
#: How long a supervisor waits before it starts a process again that has ended (s): at least, at most.
_RESTART = (0.5, 10.0)

Program = Callable[["Host"], Awaitable[object]]


@dataclass(slots=True)
class Surroundings:
    """What all hosts of a world share."""

    loop: SimulatedLoop
    network: Network
    random: Callable[[str], Random]
    log: list[Entry] = field(default_factory=list)
    errors: list[LostError] = field(default_factory=list)
    #: All processes so far, dead ones, too.
    incarnations: list[Incarnation] = field(default_factory=list)
    #: Whether the run is over: then no process starts.
    is_over: bool = False
    #: In which processes start.
    context: Context = field(default_factory=copy_context)


class Host:
    """A host with one process. Its program gets the host.

    `codeq_url`, `worker_token`, `producer_token` and `admin_token` lead its program to the server. All three tokens
    are those of the host, so the history of the server says which one has called.
    """

    def __init__(
        self, name: str, program: Program, around: Surroundings, *, restarts: bool, codeq_url: str = ""
    ) -> None:
        self.name = name
        self.codeq_url = codeq_url
        self.worker_token = name
        self.producer_token = f"{name}-producer"
        self.admin_token = f"{name}-admin"
        #: By how much the wall clock is wrong (s).
        self.wrong_by = 0.0
        #: Whether a supervisor starts the process again when it ends.
        self.restarts = restarts
        #: The traceback of the last error with which the program ended.
        self.traceback = ""
        self._program = program
        self._around = around
        self._incarnation: Incarnation | None = None
        self._context = around.context
        self._starts = 0
        self._is_stopping = False
        around.network.add_host(name)

    def __repr__(self) -> str:
        return f"<host {self.name}, {self.state}>"

    @property
    def is_up(self) -> bool:
        """Whether its process runs. It may stand still."""
        return self._incarnation is not None and self._incarnation.is_alive

    @property
    def state(self) -> str:
        """Up, standing still or down."""
        if self._incarnation is None or not self._incarnation.is_alive:
            return "down"
        return "up" if self._incarnation.runs else "standing still"

    @property
    def tasks(self) -> Sequence[asyncio.Task[object]]:
        """The tasks of its process that are not over."""
        return self._around.loop.live_tasks(self._incarnation) if self.is_up else ()

    def transport(self) -> httpx.AsyncBaseTransport:
        """A transport for httpx, with less work than httpx's: `httpx.AsyncClient(transport=host.transport())`.

        `codeq_client.CodeQ` takes it, too. Its requests meet the same network and the same faults.
        """
        from .light_client import LightTransport  # noqa: PLC0415 - httpx takes a quarter of a second to import

        return LightTransport()

    # Acts.

    def start(self) -> None:
        """Start the process, if it is not up."""
        if self.is_up or self._around.is_over:
            return
        self._starts += 1
        self._is_stopping = False
        self._around.network.power_on(self.name)
        incarnation = self._incarnation = Incarnation(self, self._around.loop)
        self._around.incarnations.append(incarnation)
        context = self._context = self._around.context.copy()
        context.run(CURRENT.set, incarnation)
        self._note("started" if self._starts == 1 else "started again")
        _ = self._around.loop.create_task(self._live(incarnation), name=self.name, context=context)

    def restart(self) -> None:
        """Start the process now, if it is not up and may be started again."""
        if self.restarts:
            self.start()

    def kill(self, *, power: bool = False) -> None:
        """End the process at once. Its peers see resets after what is in flight; with `power` they see silence."""
        if self.is_up:
            self._note("lost its power" if power else "was killed")
            self.end(End.POWER_CUT if power else End.KILL)

    def stop(self) -> None:
        """Ask the process to end by SIGTERM, and kill it if it is up after 30 s."""
        incarnation = self._incarnation
        if incarnation is None or not incarnation.is_alive:
            return
        self._note("was told to stop (SIGTERM)")
        self._is_stopping = True
        self._around.loop.call_later(GRACE, self._kill_if_up, incarnation, context=Context())
        self.signal(signal.SIGTERM)

    def pause(self) -> None:
        """Let the process stand still. Bytes that arrive wait."""
        if self._incarnation is not None and self.state == "up" and not self._around.is_over:
            self._note("stands still")
            self._incarnation.pause()

    def resume(self) -> None:
        """Let it go on."""
        if self._incarnation is not None and self.state == "standing still":
            self._note("goes on")
            self._incarnation.resume()

    def skew(self, seconds: float) -> None:
        """Let its wall clock be wrong by so many seconds from now on."""
        self._note(f"has a clock that is wrong by {seconds:g} s")
        self.wrong_by = seconds

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        incarnation = self._incarnation
        if incarnation is None or not incarnation.is_alive:
            return
        handler = incarnation.signal_handlers.get(number, signal.SIG_DFL)
        if callable(handler):
            self._around.loop.call_soon(handler, number, None, context=self._context)
        elif handler != signal.SIG_IGN:
            self._note(f"ended by {signal.Signals(number).name}")
            self.end(End.KILL)

    # Ends.

    def end(self, how: End) -> None:
        """End the process. After the run this does nothing: then all processes run, so that they can be cancelled."""
        incarnation = self._incarnation
        if incarnation is not None and incarnation.is_alive and not self._around.is_over:
            incarnation.finish(how)
            self._around.network.end_process(incarnation, how)

    def exited(self, reason: SystemExit) -> None:
        """The program has called `sys.exit`."""
        if self.is_up:
            self._note(f"exited with {reason.code!r}")
            self.end(End.EXIT)
            self._restart_later()

    async def _live(self, incarnation: Incarnation) -> None:
        """Run the program to its end, as `asyncio.run` does."""
        text = "ended"
        try:
            await self._program(self)
        except Exception as error:  # noqa: BLE001 - whatever the program raises ends its process
            text = f"ended with {type(error).__name__}: {error}"
            self.traceback = traceback.format_exc()
            self._around.errors.append(LostError(self._around.loop.time(), self.name, error))
        self._note(text)
        left = [task for task in self.tasks if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if incarnation.is_alive:
            self.end(End.EXIT)
            self._restart_later()

    def _restart_later(self) -> None:
        """Let the supervisor start the process again, unless it was told to stop."""
        if self.restarts and not self._is_stopping:
            seconds = self._around.random(f"restart {self._starts} of {self.name}").uniform(*_RESTART)
            self._around.loop.call_later(seconds, self.start, context=Context())

    def _kill_if_up(self, incarnation: Incarnation) -> None:
        if incarnation.is_alive:
            self._note("was killed, because it has not stopped")
            self.end(End.KILL)

    def _note(self, text: str) -> None:
        if not self._around.is_over:
            self._around.log.append(Entry(self._around.loop.time(), self.name, text))
