"""Names that nobody else uses: commands, keys, webhook paths and tenants. No case needs an empty server."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Namespace:
    """One case's own names, all of them beginning with `prefix`."""

    prefix: str = field(default_factory=lambda: f"cq-{uuid4().hex[:12]}")
    commands: list[str] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    def command(self) -> str:
        """A command of its own, in upper case as usual."""
        command = self._name("cmd").upper()
        self.commands.append(command)
        return command

    def key(self) -> str:
        """An idempotency key."""
        return self._name("key")

    def path(self) -> str:
        """The path of a webhook."""
        return f"/{self._name('hook')}"

    def tenant(self) -> str:
        """A tenant."""
        return self._name("tenant")

    def caller(self, kind: str) -> str:
        """What to call a further caller of that kind."""
        return f"{kind} {next(self._numbers)} of {self.prefix}"

    def _name(self, kind: str) -> str:
        return f"{self.prefix}-{kind}-{next(self._numbers)}"
