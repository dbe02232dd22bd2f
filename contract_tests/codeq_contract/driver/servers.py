"""Servers that the suite starts itself: the protocol, and fakes on ports."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, cast

from .interface import Effort
from .server_settings import Setup
from .webhooks import Receiver, local_webhook

_LOOPBACK = "127.0.0.1"


class NotRunError(Exception):
    """The target is not available: no engine, no image, no reply. The text gives the reason."""


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its URL, facts about it for the report, and the last lines of its logs by their source."""

    url: str
    about: Mapping[str, str] = field(default_factory=dict)
    logs: Callable[[], Mapping[str, str]] = dict


class Server(Protocol):
    """A way to start servers: a command, or containers."""

    @property
    def name(self) -> str:
        """The name of the target."""

    @property
    def profile(self) -> str:
        """The profile of its store (K8)."""

    @property
    def effort(self) -> Effort:
        """How much of the random plans it runs."""

    def receive(self, now: Callable[[], int], keys: Mapping[str, Any]) -> AbstractContextManager[tuple[Receiver, str]]:
        """A webhook that the server reaches, with the keys beside it, and its URL."""

    def serve(self, setup: Setup) -> AbstractContextManager[Served]:
        """Start a server with exactly this set-up, and stop it at the end."""


@dataclass(frozen=True, slots=True)
class FakeCommand:
    """Fakes on ports, started by `codeq-fake serve`."""

    command: str
    profile: str
    name: str = "http"
    effort: Effort = field(default_factory=lambda: Effort(examples=5, steps=15, longest_wait=2))

    def receive(self, now: Callable[[], int], keys: Mapping[str, Any]) -> AbstractContextManager[tuple[Receiver, str]]:
        """As `Server.receive`."""
        return local_webhook(now, keys, bind=_LOOPBACK, host=_LOOPBACK)

    @contextmanager
    def serve(self, setup: Setup) -> Iterator[Served]:
        """As `Server.serve`."""
        with tempfile.TemporaryDirectory() as folder:
            configuration = Path(folder, "codeq.yaml")
            configuration.write_text(setup.yaml, encoding="utf-8")
            environment = {
                **setup.environment,
                "CODEQ_CONFIG_PATH": str(configuration),
                "LOCAL_ARTIFACTS_DIR": str(Path(folder, "artifacts")),
            }
            arguments = ("serve", "--port", "0", "--profile", self.profile, "--no-control", "--json")
            with subprocess.Popen((self.command, *arguments), stdout=subprocess.PIPE, env=environment) as process:  # noqa: S603 - the fake's own command
                try:
                    url = json.loads(cast("IO[bytes]", process.stdout).readline())["url"]
                    yield Served(url, {"server": "codeq-fake on a port", "url": url})
                finally:
                    process.terminate()
