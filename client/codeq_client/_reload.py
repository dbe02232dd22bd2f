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

_log = logging.getLogger("codeq_client.worker")


def run_and_reload(arguments: Sequence[str]) -> int:
    """Run `codeq-worker` with these arguments, and return its exit code once it ends well or a signal ended it.

    One that ends with an error, as a file that is just being written makes it do, is started anew at the next change.
    """
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        child.terminate()

    command = [sys.executable, "-m", "codeq_client.cli", *arguments]
    while True:
        seen = _newest(Path.cwd())
        # In a session of its own, so that a Ctrl-C reaches it once: from us.
        child = subprocess.Popen(command, start_new_session=True)  # noqa: S603  # our own command
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        told = False
        while not stopping and _newest(Path.cwd()) == seen:
            SystemClock().sleep_blocking(_EVERY_SECONDS)
            code = child.poll()
            if code == 0:
                return code
            if code is not None and not told:
                told = True
                _log.warning("the worker ended with code %d; it is started anew when a file changes", code)
        if stopping:
            return child.wait()
        _log.warning("a file changed: the worker is started anew")
        child.terminate()
        child.wait()


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
