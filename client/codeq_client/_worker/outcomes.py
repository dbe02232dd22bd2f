"""How a handler ends a task: by returning a value or an outcome, or by raising an outcome.

`handlers.Handler` says which outcome another exception has: that depends on the handler's policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from codeq_client._api.arguments import whole_seconds
from codeq_client._api.models import Artifact


@dataclass(frozen=True, slots=True)
class Complete:
    """The task is completed; the same as returning `result`, with artifacts."""

    result: Any = None
    artifacts: Sequence[Artifact] = ()


class Outcome(Exception):  # raised to end a task, not to report an error
    """Base class of what ends a task other than its result. Raise or return one of the subclasses."""


class Retry(Outcome):
    """Try again after `delay`, or after the server's backoff (a NACK, which uses up an attempt: N2).

    Raises `ConfigurationError` for a delay that is negative or longer than 100 years.
    """

    def __init__(self, delay: float | timedelta = 0, reason: str = "") -> None:
        super().__init__(reason)
        whole_seconds(delay, "delay")
        self.delay = delay
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle take it to another process, with both arguments."""
        return type(self), (self.delay, self.reason)


class Fail(Outcome):
    """The task is FAILED, permanently, with `error` (S4)."""

    def __init__(self, error: str, artifacts: Sequence[Artifact] = ()) -> None:
        super().__init__(error)
        self.error = error
        self.artifacts = artifacts


class Abandon(Outcome):
    """Give the task back at once, to any worker. It uses up no attempt beyond that of the claim (K5, D1)."""
