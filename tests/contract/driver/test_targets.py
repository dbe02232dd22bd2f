"""Servers that the suite starts: few at once, since a start takes a processor from the cases that run meanwhile."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from codeq_contract.driver import Setup
from codeq_contract.driver.interface import Effort
from codeq_contract.driver.servers import NotRunError, Served
from codeq_contract.driver.targets import ServerTarget
from codeq_contract.driver.webhooks import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PROCESSORS = os.cpu_count() or 1


@dataclass
class NeverStarted:
    """A server whose starts all fail, but only when more start at once than there are processors, or after a while."""

    name: str = "never started"
    effort: Effort = field(default_factory=lambda: Effort(examples=1, steps=1, longest_wait=1))
    too_many: threading.Barrier = field(default_factory=lambda: threading.Barrier(PROCESSORS + 1, timeout=0.2))
    were_too_many: bool = False

    @contextmanager
    def receive(self, now: Callable[[], int], keys: Mapping[str, Any]) -> Iterator[tuple[Receiver, str]]:  # noqa: ARG002 - as Server
        yield Receiver(now), "http://127.0.0.1:1"

    def serve(self, setup: Setup) -> AbstractContextManager[Served]:  # noqa: ARG002 - as Server
        with suppress(threading.BrokenBarrierError):
            self.too_many.wait()
            self.were_too_many = True
        raise NotRunError


def test_no_more_servers_start_at_once_than_there_are_processors() -> None:
    server = NeverStarted()
    target = ServerTarget(server)

    def start(_: int) -> None:
        with suppress(NotRunError), target.start(Setup({})):
            pass

    with ThreadPoolExecutor(2 * PROCESSORS) as threads:
        list(threads.map(start, range(2 * PROCESSORS)))
    assert not server.were_too_many
