"""Unique names: commands, keys, webhook paths and tenants. With them no case needs an empty server."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Namespace:
    """The names of one case. All begin with `prefix`."""

    prefix: str = field(default_factory=lambda: f"cq-{uuid4().hex[:12]}")
    _numbers: count[int] = field(default_factory=count)

    def command(self) -> str:
        """A command, in upper case as usual."""
        return self._name("cmd").upper()

    def key(self) -> str:
        """An idempotency key."""
        return self._name("key")

    def path(self) -> str:
        """The path of a webhook."""
        return f"/{self._name('hook')}"

    def tenant(self) -> str:
        """A tenant."""
        return self._name("tenant")

    def topic(self) -> str:
        """A topic, which must be a DNS label."""
        return self._name("topic")

    def caller(self, kind: str) -> str:
        """The name of an additional caller of that kind."""
        return f"{kind} {next(self._numbers)} of {self.prefix}"

    def _name(self, kind: str) -> str:
        return f"{self.prefix}-{kind}-{next(self._numbers)}"
