"""Runs a worker as a child process, and anew whenever a Python file changes: for development."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from codeq_client import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_EVERY_SECONDS = 0.5
_NOT_OURS = {"__pycache__", "node_modules", "site-packages"}
# The child has a session of its own, so a terminal that is closed tells us alone.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_log = logging.getLogger("codeq_client.worker")


def run_and_reload(arguments: Sequence[str]) -> int:
    """Run `codeq-worker` with these arguments, and return its exit code once it ends well or a signal ended it.

    One that ends with an error, as a file that is just being written makes it do, is started anew at the next change.
    """
    asked = 0
    child: _Child | None = None

    def ask(*_: object) -> None:
        nonlocal asked
        asked += 1
        if child:
            child.tell(asked)

    for number in _SIGNALS:
        signal.signal(number, ask)
    command = [sys.executable, "-m", "codeq_client.cli", *arguments]
    while True:
        seen = _newest(Path.cwd())
        child = _Child(command)
        told = False
        while not asked and _newest(Path.cwd()) == seen:
            SystemClock().sleep_blocking(_EVERY_SECONDS)
            code = child.poll()
            if code == 0:
                return code
            if code is not None and not told:
                told = True
                _log.warning("the worker ended with code %d; it is started anew when a file changes", code)
        if not asked:
            _log.warning("a file changed: the worker is started anew")
        code = child.end(asked)
        if asked:
            return code


class _Child:
    """A worker process. It drains at its first signal and ends at once at its second, so those are counted.

    One that drains already, for a file changed, is not told again by the first signal that we get.
    """

    def __init__(self, command: Sequence[str]) -> None:
        # In a session of its own, so that a Ctrl-C reaches it once: from us.
        self._process = subprocess.Popen(command, start_new_session=True)  # noqa: S603  # our own command
        self._told = 0

    def poll(self) -> int | None:
        """Return the exit code of one that has ended."""
        return self._process.poll()

    def tell(self, times: int) -> None:
        """Let it have been sent so many signals in all."""
        while self._told < times:
            self._told += 1
            self._process.terminate()

    def end(self, asked: int) -> int:
        """Let it end, and return its exit code, as a shell has it."""
        self.tell(max(1, asked))
        code = self._process.wait()
        return code if code >= 0 else 128 - code


def _newest(folder: Path) -> tuple[int, int]:
    """Return how many Python files there are and when the newest was changed."""
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
        return 0  # it went away between listing and looking
