"""What a thousand parked long polls cost a server on the real clock."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .driver import Client, once, post
from .rows import skipped, under
from .servers import fake

if TYPE_CHECKING:
    from .effort import Effort
    from .rows import Row

_POLLS = 1_000
_SPARE_FILES = 100
_WHAT = f"{_POLLS:,} parked long polls, real clock"
_WAIT = post("/v1/codeq/tasks/claim", {"commands": ["BENCH"], "waitSeconds": 30})


def measure(effort: Effort) -> list[Row]:
    """The row."""
    try:
        _allow_files(_POLLS + _SPARE_FILES)
        share = _cpu_share(effort.parked_seconds)
    except OSError as error:
        return [skipped(_WHAT, "under 0.333 of a core", str(error))]
    return [under(1 / 3, _WHAT, share, " of a core")]


def _cpu_share(seconds: float) -> float:
    with fake() as server:
        parts = urlsplit(server.url)
        clients = [Client((parts.hostname or "", parts.port or 80), once(_WAIT)) for _ in range(_POLLS)]
        for client in clients:
            client.start()
        time.sleep(1)  # until all are parked
        before, start = _cpu_seconds(server.pid), time.perf_counter()
        time.sleep(seconds)
        share = (_cpu_seconds(server.pid) - before) / (time.perf_counter() - start)
        for client in clients:
            client.socket.close()
        return share


def _cpu_seconds(pid: int) -> float:
    """The CPU time that another process has taken so far. Raises OSError where there is no /proc to read it from."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def _allow_files(count: int) -> None:
    """Let this process, and the servers that it starts, open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
