"""An incarnation: one life of a process on a host, from its start to its end. `hosts` starts and ends it.

A context variable says for which incarnation code runs. It holds the incarnation and not the host: after a restart,
nothing of the process before may run on, not even a `finally`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar
from enum import Enum, auto
from typing import Any, Protocol

from codeq_fake.compat.asyncio_handles import OwnedLoop, is_step

#: The incarnation that runs, None for the test itself and for the world.
CURRENT: ContextVar[Incarnation | None] = ContextVar("codeq_fake_incarnation", default=None)


class End(Enum):
    """How a process ended, as its peers see it."""

    EXIT = auto()
    """It ended itself: connections are closed."""
    KILL = auto()
    """It was killed: connections are reset after what is in flight."""
    POWER_CUT = auto()
    """Its host lost power: peers see nothing."""


class ProcessHost(Protocol):
    """What an incarnation needs to know of its host."""

    name: str
    #: By how much the wall clock is wrong (s).
    wrong_by: float

    def exited(self, reason: SystemExit) -> None:
        """Called when the process has called `sys.exit`."""

    def signal(self, number: int) -> None:
        """Send a signal to the process."""

    def end(self, how: End) -> None:
        """End the process."""


class Incarnation:
    """One life of a process."""

    def __init__(self, host: ProcessHost, loop: OwnedLoop) -> None:
        self.host = host
        #: How it ended, None while it is alive.
        self.end: End | None = None
        #: Whether it is alive, and neither paused nor blocked by its own code. The loop reads it for each callback.
        self.runs = True
        #: Handlers by the number of their signal.
        self.signal_handlers: dict[int, Any] = {}
        #: For how long code has blocked the event loop in the callback that runs (s).
        self.blocked_for = 0.0
        self._loop = loop
        self._is_paused = False
        self._is_blocked = False
        self._kept: list[asyncio.Handle] = []

    def __repr__(self) -> str:
        return f"<process of {self.host.name}>"

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended. It may be paused."""
        return self.end is None

    # What the loop asks.

    def keep(self, handle: asyncio.Handle) -> None:
        """Keep a callback until the process runs again.

        Of a dead process only the steps of its tasks are kept, so that they can be cancelled after `revive`.
        """
        if self.end is None or is_step(handle):
            self._kept.append(handle)

    def stand_still_while_blocked(self) -> None:
        """Run nothing for as long as the callback that has just run has blocked the loop, as `time.sleep` does."""
        seconds, self.blocked_for = self.blocked_for, 0.0
        self._is_blocked = True
        self.runs = False
        self._loop.call_later(seconds, self._unblock, context=Context())

    def exit(self, reason: SystemExit) -> None:
        """`sys.exit` was called in a callback."""
        self.host.exited(reason)

    # What is done to it.

    def run(self, context: Context, function: Callable[..., object], *args: Any) -> None:
        """Call a function as a callback of this process, which must be one that `runs`."""
        try:
            context.run(function, *args)
        except SystemExit as reason:
            self.exit(reason)
        if self.blocked_for:
            self.stand_still_while_blocked()

    def finish(self, how: End) -> None:
        """Mark the process as ended: from now on nothing of it runs."""
        self.end = how
        self.runs = False

    def pause(self) -> None:
        """Run nothing until `resume`."""
        self._is_paused = True
        self.runs = False

    def resume(self) -> None:
        """End a pause, and run all that came meanwhile."""
        self._is_paused = False
        self._go_on()

    def revive(self) -> None:
        """At the end of a run: let callbacks run again, also of a dead process, so that its tasks can be cancelled."""
        self.end = None
        self._is_paused = self._is_blocked = False
        self._go_on()

    def _unblock(self) -> None:
        self._is_blocked = False
        self._go_on()

    def _go_on(self) -> None:
        """Run what was kept, unless the process is dead, still paused or still blocked."""
        self.runs = self.end is None and not (self._is_paused or self._is_blocked)
        if self.runs:
            kept, self._kept = self._kept, []
            self._loop.run_again(kept)
