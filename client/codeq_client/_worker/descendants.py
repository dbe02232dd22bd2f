"""The processes that a process has started, by Linux's `/proc`: also those in separate sessions."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

_ROUNDS = 10  # what is killed may have started another process just before


def kill_descendants(pid: int) -> None:
    """Kill what a process has started, what that has started, and so on. On other systems than Linux, do nothing."""
    for _ in range(_ROUNDS):
        descendants = _descendants(pid)
        for descendant in descendants:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(descendant, signal.SIGKILL)
        if not descendants:
            return


def _descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have started."""
    children = defaultdict(list)
    for child, parent in _parents().items():
        children[parent].append(child)
    descendants: list[int] = []
    unvisited = [pid]
    while unvisited:
        of_one = children[unvisited.pop()]
        descendants += of_one
        unvisited += of_one
    return descendants


def _parents() -> dict[int, int]:
    """Return the parent of each process that has not ended."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):  # it has ended meanwhile
            # The name, in parentheses, may contain anything. After it come the state and the parent.
            state, parent, *_ = stat.read_text(errors="replace").rpartition(")")[2].split()
            if state != "Z":
                parents[int(stat.parent.name)] = int(parent)
    return parents
