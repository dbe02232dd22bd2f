"""Processes for handlers with `pool="process"`: one call at a time in each, used again, and killed when it must end."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import anyio
from anyio import to_thread

from codeq_client.errors import HandlerProcessError

from .cancellation import Caught
from .descendants import kill_descendants
from .handler_process import HandlerCall, serve

_SPAWN = multiprocessing.get_context("spawn")  # a forked process would share the worker's connections and threads
_REAP_SECONDS = 5.0


class ProcessPool:
    """The processes of one worker run; at the end of its `with` block they are killed."""

    def __init__(self) -> None:
        self._idle: list[_HandlerProcess] = []
        self._threads = anyio.CapacityLimiter(math.inf)  # each call waits for its process on a thread

    async def run(self, call: HandlerCall, progress: Callable[[], None]) -> Any:  # noqa: ANN401 - the user's
        """Return what the function returns, or raise what it raises. `progress` is called on a thread.

        If the caller is cancelled, the process is killed. Raises `HandlerProcessError` if the process dies.
        """
        data = pickle.dumps(call)
        process = self._idle.pop() if self._idle else await to_thread.run_sync(_HandlerProcess, limiter=self._threads)
        try:
            returned, error = await to_thread.run_sync(
                process.call, data, progress, abandon_on_cancel=True, limiter=self._threads
            )
        except BaseException:
            process.kill()
            raise
        self._idle.append(process)
        if error is not None:
            raise error
        return returned

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._idle:
            self._idle.pop().kill()


class _HandlerProcess:
    """One process and the connection to it."""

    def __init__(self) -> None:
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=serve, args=(theirs, logging.root.level), name="codeq-handler")
        self._process.start()
        theirs.close()

    def call(self, data: bytes, progress: Callable[[], None]) -> Caught:
        """Send a call, and return what it returned or raised. Blocks until then."""
        try:
            self._connection.send_bytes(data)
            while True:
                kind, value = pickle.loads(self._connection.recv_bytes())  # noqa: S301 - from our own process
                match kind:
                    case "progress":
                        progress()
                    case "log":
                        _log(value)
                    case "returned":
                        return value, None
                    case _:
                        return None, value
        except (EOFError, OSError):
            raise HandlerProcessError(f"the handler's process {self._end()}") from None

    def kill(self) -> None:
        """Kill the process, and all that its handler started."""
        with suppress(ProcessLookupError, PermissionError):  # it is not yet, or no longer, the leader of a group
            if hasattr(os, "killpg") and self._process.pid:
                os.kill(self._process.pid, signal.SIGSTOP)  # so that it starts nothing more
                kill_descendants(self._process.pid)
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def _end(self) -> str:
        """Return how the process ended."""
        self.kill()
        self._process.join(_REAP_SECONDS)
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with code {code}"


def _log(record: logging.LogRecord) -> None:
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
