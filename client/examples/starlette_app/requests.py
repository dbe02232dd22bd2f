"""The request bodies of the API. A wrong body is answered with what each field must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")

HIGHEST = 9  # CodeQ's highest priority


class InvalidRequest(Exception):  # answered with 400
    """A body that does not fit the route; `problems` says for each wrong field what it must be."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(str(problems))
        self.problems = problems


@dataclass(frozen=True)
class NewMaster:
    """POST /api/tasks/master."""

    job_id: str
    priority: int

    @classmethod
    def read(cls, body: object) -> NewMaster:  # any JSON
        """Read `jobId` and `priority` (0 to 9, by default 5)."""
        fields = _Fields(body)
        job_id = fields.take("jobId", _text, "a text that is not empty")
        priority = fields.take("priority", _priority, "a whole number from 0 to 9, 9 first", 5)
        return fields.done(lambda: cls(job_id, priority))


@dataclass(frozen=True)
class NewWithWebhook:
    """POST /api/tasks/with-webhook."""

    command: str
    payload: dict[str, Any]
    webhook: str

    @classmethod
    def read(cls, body: object) -> NewWithWebhook:  # any JSON
        """Read `command`, `payload` and `webhook`."""
        fields = _Fields(body)
        command = fields.take("command", _text, "a text that is not empty")
        payload = fields.take("payload", _object, "an object")
        webhook = fields.take("webhook", _url, "an absolute http or https URL")
        return fields.done(lambda: cls(command, payload, webhook))


@dataclass(frozen=True)
class NewDelayed:
    """POST /api/tasks/delayed."""

    job_id: str
    delay_seconds: int

    @classmethod
    def read(cls, body: object) -> NewDelayed:  # any JSON
        """Read `jobId` and `delaySeconds`."""
        fields = _Fields(body)
        job_id = fields.take("jobId", _text, "a text that is not empty")
        delay = fields.take("delaySeconds", _seconds, "a whole number of seconds, 0 or more")
        return fields.done(lambda: cls(job_id, delay))


class _Fields:
    """Reads fields one by one, and collects the problems of all of them."""

    def __init__(self, body: object) -> None:  # any JSON
        if not isinstance(body, dict):
            raise InvalidRequest({"body": "must be a JSON object"})
        self._body = cast("dict[str, object]", body)
        self._problems: dict[str, str] = {}

    def take(self, name: str, fits: Callable[[object], bool], expected: str, default: object = None) -> Any:  # noqa: ANN401  # what `fits` checks
        value = self._body.get(name, default)
        if not fits(value):
            self._problems[name] = f"must be {expected}" if name in self._body else f"is missing; it must be {expected}"
        return value

    def done(self, make: Callable[[], T]) -> T:
        if self._problems:
            raise InvalidRequest(self._problems)
        return make()


def _text(value: object) -> bool:  # any JSON, here and below
    return isinstance(value, str) and bool(value.strip())


def _object(value: object) -> bool:
    return isinstance(value, dict)


def _url(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _priority(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= HIGHEST  # CodeQ's highest priority


def _seconds(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
