"""What waiting long polls cost a server on the real clock: CPU time, memory, and the latency of other calls."""

from __future__ import annotations

import resource
import time
from contextlib import contextmanager
from statistics import quantiles
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .driver import CLAIM, CREATE, Client, drive, once, post
from .rows import skipped, under
from .servers import fake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .effort import Effort
    from .rows import Row
    from .servers import Server

_POLLS = 1_000
_MANY_POLLS = 10_000
_SPARE_FILES = 100
_CREATES = 300
#: How long a server loads modules in the background, at most, how soon it is asked again (s), and how often.
_SETTLED, _AGAIN, _TRIES = 2, 0.1, 200
_KIB = 1024
_SHARE = f"{_POLLS:,} parked long polls, real clock"
_MEMORY = f"memory of each of {_MANY_POLLS:,} parked long polls"
_LATENCY = f"a create that wakes one of {_MANY_POLLS:,} parked long polls, 99th percentile"
_WAIT = post("/v1/codeq/tasks/claim", {"commands": ["BENCH"], "waitSeconds": 30})


def measure(effort: Effort) -> list[Row]:
    """The rows."""
    try:
        _allow_files(_POLLS + _SPARE_FILES)
        share = under(1 / 3, _SHARE, _cpu_share(effort.parked_seconds), " of a core")
    except OSError as error:
        share = skipped(_SHARE, "under 0.333 of a core", str(error))
    try:
        _allow_files(_MANY_POLLS + _SPARE_FILES)
        memory, latency = _memory_and_latency()
    except (OSError, ValueError) as error:
        return [share, skipped(_MEMORY, "under 20 KB", str(error)), skipped(_LATENCY, "under 5 ms", str(error))]
    return [share, under(20, _MEMORY, memory / _KIB, " KB"), under(5, _LATENCY, latency * 1000, " ms")]


def _cpu_share(seconds: float) -> float:
    with fake() as server, _parked(server, _POLLS):
        before, start = server.cpu_seconds(), time.perf_counter()
        time.sleep(seconds)
        return (server.cpu_seconds() - before) / (time.perf_counter() - start)


def _memory_and_latency() -> tuple[float, float]:
    """The bytes that each long poll adds, and the seconds in which 99 of 100 creates are answered."""
    with fake("--max-connections", str(_MANY_POLLS + _SPARE_FILES)) as server:
        for call in (CREATE, CLAIM):  # no poll finds this task
            drive(server.url, [once(call)])
        time.sleep(_SETTLED)
        before = server.resident_bytes()
        with _parked(server, _MANY_POLLS):
            memory = (server.resident_bytes() - before) / _MANY_POLLS
            return memory, quantiles((_create(server) for _ in range(_CREATES)), n=100)[-1]


def _create(server: Server) -> float:
    start = time.perf_counter()
    drive(server.url, [once(CREATE)])
    return time.perf_counter() - start


@contextmanager
def _parked(server: Server, count: int) -> Iterator[None]:
    """A context in which long polls wait."""
    parts = urlsplit(server.url)
    clients = [Client((parts.hostname or "", parts.port or 80), once(_WAIT)) for _ in range(count)]
    try:
        for client in clients:
            client.start()
        for _ in range(_TRIES):
            if server.parked() == count:
                break
            time.sleep(_AGAIN)
        else:
            raise ValueError(f"{server.parked():,} of {count:,} long polls wait")
        yield
    finally:
        for client in clients:
            client.socket.close()


def _allow_files(count: int) -> None:
    """Allow this process and the servers that it starts to open this many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
