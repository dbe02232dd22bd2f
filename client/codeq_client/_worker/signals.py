"""Signals that stop, pause and resume a worker, without taking them from the application around it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from codeq_client._compat.asyncio_runner import is_of_runner

HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none

_log = logging.getLogger("codeq_client.worker")


@contextmanager
def stop_on_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` on the first SIGINT, SIGTERM or SIGHUP; a second SIGINT or SIGTERM ends the process at once.

    An application's own handlers, such as those of a web server whose lifespan runs the worker, are called too, and
    then it is theirs to end the process. A second SIGHUP does not: a terminal that is closed may send several. `stop`
    must be safe to call at any moment. Only the main thread can handle signals; on another one this logs a warning. It
    uses plain signal handlers, not the event loop's: the second signal must end a process with a blocked loop.
    """
    if threading.current_thread() is not threading.main_thread():
        _log.warning("signals do not stop this worker, because it is not in the main thread: use signals=False")
        yield
        return
    stopping = _StopHandler(stop)
    previous = {number: signal.signal(number, stopping.handle) or signal.SIG_DFL for number in stop_signals()}
    stopping.previous = previous
    try:
        yield
    finally:
        for number, handler in previous.items():
            if signal.getsignal(number) == stopping.handle:
                signal.signal(number, handler)


@contextmanager
def pause_on_signals(pause: Callable[[], None], resume: Callable[[], None]) -> Iterator[None]:
    """Call `pause` on SIGUSR1 and `resume` on SIGUSR2, where the system has them."""
    actions = {"SIGUSR1": pause, "SIGUSR2": resume}
    numbers = {getattr(signal, name): action for name, action in actions.items() if hasattr(signal, name)}
    previous = {number: signal.getsignal(number) or signal.SIG_DFL for number in numbers}
    for number, action in numbers.items():
        signal.signal(number, _Action(action, previous[number]).handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Action:
    """A signal handler that calls one function, and the handler that was there before."""

    def __init__(self, function: Callable[[], None], previous: Any) -> None:  # noqa: ANN401 - what `signal.getsignal` returns
        self._function = function
        self._previous = previous
        self._process = os.getpid()

    def handle(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() == self._process:
            self._function()
        else:
            _handle_as_before(number, self._previous)


def _handle_as_before(number: int, previous: Any) -> None:  # noqa: ANN401 - as above
    """Give a signal to the handler that was there before: this is a child process that a worker's handler forked."""
    signal.signal(number, previous)
    os.kill(os.getpid(), number)


class _StopHandler:
    """The signal handler of `stop_on_signals`, and the handlers that were there before."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self.previous: Mapping[signal.Signals, Any] = {}
        self._stop = stop
        self._process = os.getpid()
        self._received = 0

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Stop the worker. A further signal ends the process, unless the application has a handler for that."""
        previous = self.previous.get(signal.Signals(number), signal.SIG_DFL)
        if is_of_runner(previous):  # it only ends the main task, so it stands for no handler of the application
            previous = signal.default_int_handler
        if os.getpid() != self._process:
            _handle_as_before(number, previous)
            return
        application = previous if callable(previous) and previous is not signal.default_int_handler else None
        if self._received and number != HANG_UP and application is None:
            os._exit(128 + number)
        self._received += 1
        self._stop()
        if application is not None:
            application(number, frame)


def stop_signals() -> list[signal.Signals]:
    """Return the signals that stop a worker. Under `nohup` a hang-up is ignored."""
    if HANG_UP is None or signal.getsignal(HANG_UP) is signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, HANG_UP]
