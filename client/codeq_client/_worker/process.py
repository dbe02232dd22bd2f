"""The worker's process: signals that stop it, and a parent process that restarts it when a file changes."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from codeq_client._api.clock import SystemClock
from codeq_client._compat.asyncio_runner import is_of_runner

_HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
_RELOAD_INTERVAL_SECONDS = 0.5
_NOT_OURS = {"__pycache__", "node_modules", "site-packages"}

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
    stopping = _Stopping(stop)
    previous = {number: signal.signal(number, stopping.handle) or signal.SIG_DFL for number in _stop_signals()}
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


class _Stopping:
    """The signal handler of `stop_on_signals`, and the handlers that were there before."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self.previous: Mapping[signal.Signals, Any] = {}
        self._stop = stop
        self._process = os.getpid()
        self._received = 0

    def handle(self, number: int, frame: FrameType | None) -> None:
        previous = self.previous.get(signal.Signals(number), signal.SIG_DFL)
        if is_of_runner(previous):
            previous = signal.default_int_handler
        if os.getpid() != self._process:
            _handle_as_before(number, previous)
            return
        application = previous if callable(previous) and previous is not signal.default_int_handler else None
        if self._received and number != _HANG_UP and application is None:
            os._exit(128 + number)
        self._received += 1
        self._stop()
        if application is not None:
            application(number, frame)


def _stop_signals() -> list[signal.Signals]:
    """Return the signals that stop a worker. Under `nohup` a hang-up is ignored."""
    if _HANG_UP is None or signal.getsignal(_HANG_UP) is signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, _HANG_UP]


def run_and_reload(arguments: Sequence[str]) -> int:
    """Run `codeq-worker` with these arguments, restart it when a file changes, and return its exit code at the end.

    It ends when the worker ends without an error, or after a signal. A worker that ends with an error, as it does when
    a file is half written, is restarted at the next change.
    """
    signals = 0
    child: _Child | None = None

    def count(number: int, _: object) -> None:
        nonlocal signals
        signals = max(signals, 1) if number == _HANG_UP else signals + 1
        if child:
            child.signal(signals)

    # The child has its own session, so the hang-up of a closed terminal reaches only this process.
    for number in _stop_signals():
        signal.signal(number, count)
    command = [sys.executable, "-m", "codeq_worker", *arguments]
    while True:
        sources = _newest(Path.cwd())
        child = _Child(command)
        reported = False
        while not signals and _newest(Path.cwd()) == sources:
            SystemClock().sleep_blocking(_RELOAD_INTERVAL_SECONDS)
            code = child.poll()
            if code == 0:
                return code
            if code is not None and not reported:
                reported = True
                _log.warning("the worker ended with code %d; it is restarted when a file changes", code)
        if not signals:
            _log.warning("a file changed: the worker is restarted")
        code = child.end(signals)
        if signals:
            return code


class _Child:
    """A worker process. Its first signal drains it and its second ends it at once, so they are counted.

    A child that is draining because a file changed is not signalled again by the first signal that arrives here.
    """

    def __init__(self, command: Sequence[str]) -> None:
        # In its own session, so that a Ctrl-C reaches it only once: from this process.
        self._process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own command
        self._signalled = 0

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._process.poll()

    def signal(self, times: int) -> None:
        """Make sure that this number of signals was sent in total."""
        while self._signalled < times:
            self._signalled += 1
            self._process.terminate()

    def end(self, signals: int) -> int:
        """Let the process end, and return its exit code as a shell shows it."""
        self.signal(max(1, signals))
        code = self._process.wait()
        return code if code >= 0 else 128 - code


def _newest(folder: Path) -> tuple[int, int]:
    """Return the number of Python files, and when the newest was changed."""
    times = [_changed(path) for path in _sources(folder)]
    return len(times), max(times, default=0)


def _sources(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _NOT_OURS]
        yield from (Path(root, name) for name in files if name.endswith(".py"))


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # it was deleted between listing and reading
