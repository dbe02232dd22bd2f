"""What the core asks of the world outside: ids and chance, so that a test can say what comes next."""

from __future__ import annotations

from typing import Protocol


class Ids(Protocol):
    """Where new ids come from."""

    def task_id(self) -> str:
        """A new task id (UUIDv4 on the real server)."""
        ...

    def subscription_id(self) -> str:
        """A new subscription id (UUIDv4 on the real server)."""
        ...

    def trace_id(self) -> str:
        """A new W3C trace id: 32 hex digits (X1)."""
        ...

    def span_id(self) -> str:
        """A new W3C span id: 16 hex digits (X1)."""
        ...


class Chance(Protocol):
    """Where jitter comes from (N6)."""

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        ...
