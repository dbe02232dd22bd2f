"""The fake on a port: the first server as the program that users start, the others in this process.

A program takes half a second of CPU to start, and cases with other settings want some eighty servers.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from codeq_contract.stores import fake_profile

from .commands import Command
from .interface import Effort
from .server_settings import Setup
from .servers import Served
from .webhooks import Receiver


@dataclass(frozen=True, slots=True)
class ServedFakes:
    """Fakes on ports of this machine. `command` starts the first one."""

    command: Command
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def name(self) -> str:
        """As `Server.name`."""
        return self.command.name

    @property
    def effort(self) -> Effort:
        """As `Server.effort`."""
        return self.command.effort

    def receive(self, now: Callable[[], int], keys: Mapping[str, Any]) -> AbstractContextManager[tuple[Receiver, str]]:
        """As `Server.receive`."""
        return self.command.receive(now, keys)

    def serve(self, setup: Setup) -> AbstractContextManager[Served]:
        """As `Server.serve`."""
        is_first = next(self._numbers) == 0
        return self.command.serve(setup) if is_first else self._in_this_process(setup)

    @contextmanager
    def _in_this_process(self, setup: Setup) -> Iterator[Served]:
        """A fake on a port, served by a thread of this process."""
        # Other targets do without the fake and its dependencies.
        from codeq_fake.testing import FakeCodeQ, Profile  # noqa: PLC0415 - as above

        with tempfile.TemporaryDirectory() as folder:
            fake = FakeCodeQ(
                profile=cast("Profile", fake_profile(self.command.version, self.command.profile)),
                clock="real",
                settings={"LOCAL_ARTIFACTS_DIR": folder, **setup.environment},
                yaml=setup.yaml or None,
            )
            with fake.serve():
                yield Served(fake.url, self.command.profile, {"server": "codeq-fake in this process"})
