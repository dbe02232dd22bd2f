"""How a handler ends a task: by returning a value or an outcome, by raising an outcome, or by any other exception."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from codeq_client._api.calls import whole_seconds
from codeq_client._api.models import Artifact
from codeq_client._task import Task

_log = logging.getLogger("codeq_client.worker")


@dataclass(frozen=True, slots=True)
class Complete:
    """The task is completed; the same as returning `result`, with artifacts."""

    result: Any = None
    artifacts: Sequence[Artifact] = ()


class Outcome(Exception):  # raised to end a task, not to report an error
    """Base class of what ends a task other than its result. Raise or return one of the subclasses."""


class Retry(Outcome):
    """Try again after `delay`, or after the server's backoff (a NACK, which uses up an attempt: N2).

    Raises `ConfigurationError` for a delay that is negative or not finite.
    """

    def __init__(self, delay: float | timedelta = 0, reason: str = "") -> None:
        super().__init__(reason)
        whole_seconds(delay, "delay")
        self.delay = delay
        self.reason = reason


class Fail(Outcome):
    """The task is FAILED, permanently, with `error` (S4)."""

    def __init__(self, error: str, artifacts: Sequence[Artifact] = ()) -> None:
        super().__init__(error)
        self.error = error
        self.artifacts = artifacts


class Abandon(Outcome):
    """Give the task back at once, to any worker, without using up an attempt (D1)."""


def outcome_of_error(
    error: BaseException,
    task: Task,
    permanent: type[Exception] | tuple[type[Exception], ...],
    backoff: Callable[[Task], float] | None,
) -> Fail | Retry:
    """Return what an exception of a handler means: `permanent` ones fail the task, others retry it.

    The retry comes after `backoff(task)` seconds, or after the server's backoff if that is None or fails.
    """
    text = f"{type(error).__name__}: {error}".strip(": ")
    if isinstance(error, permanent):
        return Fail(text)
    try:
        return Retry(backoff(task) if backoff else 0, text)
    except Exception:  # noqa: BLE001 - the user's function
        _log.exception("the backoff function of %s failed; the server's backoff is used", task.command)
        return Retry(0, text)
