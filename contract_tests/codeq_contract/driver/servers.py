"""Servers that the suite starts itself, in one of two ways: `commands` or `containers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from .interface import Effort
from .server_settings import Setup
from .webhooks import Receiver


class NotRunError(Exception):
    """The target is not available: no engine, no image, no reply. The text gives the reason."""


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its URL, the profile of its store (K8), facts about it, and the ends of its logs by source.

    If it `shares_store`, there may be tasks of others in its store.
    """

    url: str
    profile: str
    about: Mapping[str, str] = field(default_factory=dict)
    logs: Callable[[], Mapping[str, str]] = dict
    shares_store: bool = False


class Server(Protocol):
    """A way to start servers: a command, or containers."""

    @property
    def name(self) -> str:
        """The name of the target."""

    @property
    def effort(self) -> Effort:
        """How much of the random plans it runs."""

    def receive(self, now: Callable[[], int], keys: Mapping[str, Any]) -> AbstractContextManager[tuple[Receiver, str]]:
        """A webhook that the server reaches, with the keys beside it, and its URL."""

    def serve(self, setup: Setup) -> AbstractContextManager[Served]:
        """Start a server with exactly this set-up, and stop it at the end."""
