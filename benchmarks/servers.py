"""The servers under test, each in a separate process on a free loopback port, and the driver that loads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .driver import Load

if TYPE_CHECKING:
    from collections.abc import Iterator

_ECHO = (sys.executable, "-m", "benchmarks.echo")
_LAYER = (sys.executable, "-m", "benchmarks.layers", "--serve")
_FAKE = (str(Path(sys.executable).with_name("codeq-fake")), "serve", "--port", "0", "--json")
_DRIVER = (sys.executable, "-m", "benchmarks.driver")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. Its load posts to `path`, or consists of create, claim and complete when that is None."""

    url: str
    pid: int
    path: str | None = None

    def load(self, *, clients: int, seconds: float, in_batches: bool = False) -> Load:
        """Load it for some seconds, from a separate process."""
        options = ["--path", self.path] if self.path is not None else ["--batches"] if in_batches else []
        return _drive(self.url, "--clients", str(clients), "--seconds", str(seconds), *options)

    def cpu_seconds(self) -> float:
        """The CPU time that it has used so far. Raises OSError on a system without /proc."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")  # in ns; `stat` counts ticks of 10 ms
        return sum(int(thread.read_text(encoding="utf-8").split()[0]) for thread in threads) / 1e9

    def resident_bytes(self) -> int:
        """The memory that it takes now. Raises OSError on a system without /proc."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="utf-8").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def parked(self) -> int:
        """How many claims wait at a fake."""
        with closing(HTTPConnection(urlsplit(self.url).netloc)) as connection:
            connection.request("GET", "/_fake/queues")
            return int(json.load(connection.getresponse())["parkedClaims"])

    def fill(self, count: int) -> None:
        """Create tasks that wait."""
        _drive(self.url, "--fill", str(count))


@contextmanager
def echo() -> Iterator[Server]:
    """The yardstick."""
    with _started(_ECHO) as (url, pid):
        yield Server(url, pid, path="/echo")


@contextmanager
def layer(name: str, path: str, *options: str) -> Iterator[Server]:
    """A layer of `benchmarks.layers`, loaded at `path`."""
    with _started((*_LAYER, name, *options)) as (url, pid):
        yield Server(url, pid, path)


@contextmanager
def fake(*options: str) -> Iterator[Server]:
    """`codeq-fake serve` with these options, as installed beside this Python."""
    with _started((*_FAKE, *options)) as (url, pid):
        yield Server(url, pid)


@contextmanager
def _started(command: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Start a server that prints its URL in a line of JSON. Yields URL and process id."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())["url"], process.pid  # type: ignore[union-attr]  # it is a pipe
        finally:
            process.terminate()


def _drive(*arguments: str) -> Load:
    done = subprocess.run((*_DRIVER, *arguments), stdout=subprocess.PIPE, check=True)
    return Load(**json.loads(done.stdout))
