"""Refuses what would leave a simulated world, such as a real socket, a thread or a subprocess, with the remedy."""

from __future__ import annotations

import sys
from inspect import currentframe
from threading import get_ident
from typing import Any

#: A thread and what to do. Python 3.11 has no audit event for its start.
THREAD = ("a thread", "call blocking code by asyncio.to_thread or anyio.to_thread.run_sync")
#: The audit events of Python by which something leaves -> what it is, and what to do.
_ESCAPES = {
    "socket.connect": ("a real socket", "use an async HTTP client, such as httpx.AsyncClient or aiohttp"),
    "socket.bind": ("a real socket", "let the event loop listen, by host and port"),
    "socket.sendto": ("a real socket", "use TCP over the event loop"),
    "socket.getaddrinfo": (
        "a look-up of a real host",
        "use an async HTTP client, such as httpx.AsyncClient or aiohttp",
    ),
    "socket.gethostbyname": ("a look-up of a real host", "use the event loop's getaddrinfo"),
    "_thread.start_new_thread": THREAD,
    "_thread.start_joinable_thread": THREAD,
    "subprocess.Popen": ("a subprocess", "start a process of the world: world.process(...)"),
    "os.system": ("a subprocess", "start a process of the world: world.process(...)"),
    "os.posix_spawn": ("a subprocess", "start a process of the world: world.process(...)"),
    "os.fork": ("a subprocess", "start a process of the world: world.process(...)"),
    "os.forkpty": ("a subprocess", "start a process of the world: world.process(...)"),
    "os.exec": ("another program", "start a process of the world: world.process(...)"),
}

#: The file of the code that loads modules, as Python names it.
_IMPORT = "<frozen importlib._bootstrap>"


class EscapedError(RuntimeError):
    """Code in a simulated world uses something that would leave it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} is outside of the simulated world, where nothing can be repeated: {remedy}")


class Sentry:
    """Raises EscapedError as long as it stands guard, in the thread that has put it there.

    It hears of escapes by Python's audit events, so it also sees those of libraries. An audit hook cannot be removed:
    there is one for the whole process, and it does nothing while no world runs.
    """

    def __init__(self) -> None:
        self._thread: int | None = None
        self._is_installed = False

    def stand_guard(self) -> None:
        """Refuse from now on."""
        if not self._is_installed:
            sys.addaudithook(self._hear)
            self._is_installed = True
        self._thread = get_ident()

    def stand_down(self) -> None:
        """Let everything pass."""
        self._thread = None

    def _hear(self, event: str, _arguments: tuple[Any, ...]) -> None:
        # First what is true most of the time, also at the exit of Python, when the names of modules are gone.
        if self._thread is None:
            return
        if event in _ESCAPES and self._thread == get_ident() and not _is_importing():
            raise EscapedError(*_ESCAPES[event])


def _is_importing() -> bool:
    """Whether a module is being loaded. That may use the machine, since it happens only once in a process."""
    frame = currentframe()
    while frame is not None and frame.f_code.co_filename != _IMPORT:
        frame = frame.f_back
    return frame is not None


SENTRY = Sentry()
