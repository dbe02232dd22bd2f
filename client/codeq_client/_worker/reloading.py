"""Reloading: `codeq-worker run --reload` runs the worker in a child process, and restarts it when a file changes."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from codeq_client._api.clock import SystemClock

from .signals import HANG_UP, stop_signals

_WATCHED_ENDINGS = (".py",)
"""The files whose change restarts the worker, by the ends of their names."""
_IGNORED_FOLDERS = {"__pycache__", "node_modules", "site-packages"}
"""Folders that are not watched, besides those whose names begin with a full stop."""
_CHECK_INTERVAL_SECONDS = 0.5

_log = logging.getLogger("codeq_client.worker")


def run_and_reload(arguments: Sequence[str]) -> int:
    """Run `codeq-worker` with these arguments, restart it when a file changes, and return its exit code at the end.

    It ends when the worker ends without an error, or after a signal. A worker that ends with an error, as it does when
    a file is half written, is restarted at the next change.
    """
    signals = 0
    child: _Child | None = None

    def count(number: int, _: object) -> None:
        nonlocal signals
        signals = max(signals, 1) if number == HANG_UP else signals + 1  # a closed terminal may send several hang-ups
        if child:
            child.signal(signals)

    # The child has its own session, so the hang-up of a closed terminal reaches only this process.
    for number in stop_signals():
        signal.signal(number, count)
    command = [sys.executable, "-m", "codeq_worker", *arguments]
    while True:
        sources = _watched_state(Path.cwd())
        child = _Child(command)
        reported = False
        while not signals and _watched_state(Path.cwd()) == sources:
            SystemClock().sleep_blocking(_CHECK_INTERVAL_SECONDS)
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


def _watched_state(folder: Path) -> tuple[int, int]:
    """Return the number of watched files, and when the newest was changed."""
    times = [_changed(path) for path in _watched(folder)]
    return len(times), max(times, default=0)


def _watched(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _IGNORED_FOLDERS]
        yield from (Path(root, name) for name in files if name.endswith(_WATCHED_ENDINGS))


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # it was deleted between listing and reading
