"""The CPU time that a thousand waiting long polls cost a server on the real clock."""

from __future__ import annotations

import resource
import time
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
        before, start = server.cpu_seconds(), time.perf_counter()
        time.sleep(seconds)
        share = (server.cpu_seconds() - before) / (time.perf_counter() - start)
        for client in clients:
            client.socket.close()
        return share


def _allow_files(count: int) -> None:
    """Allow this process and the servers that it starts to open this many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
