"""The values that the naive model keeps, and its inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Refusal(Exception):
    """The model refuses; `kind` is the name of the core's error for it."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Ids(Protocol):
    def task_id(self) -> str: ...

    def subscription_id(self) -> str: ...


class Jitter(Protocol):
    def between(self, low: int, high: int) -> int: ...


class Upload(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str: ...

    @property
    def content_base64(self) -> str: ...


class HandedIn(Protocol):
    @property
    def status(self) -> str: ...

    @property
    def result(self) -> str | None: ...

    @property
    def error(self) -> str: ...

    @property
    def artifacts(self) -> Sequence[Upload]: ...


@dataclass(frozen=True)
class Settings:
    max_attempts_default: int = 5
    backoff_policy: str = "exp_full_jitter"
    backoff_base_seconds: int = 5
    backoff_max_seconds: int = 900
    default_lease_seconds: int = 300
    requeue_inspect_limit: int = 200
    result_webhook_max_attempts: int = 5
    result_webhook_base_backoff_seconds: int = 2
    result_webhook_max_backoff_seconds: int = 60
    subscription_cleanup_interval_seconds: int = 60
    rate_limit: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # scope: requests a minute, burst


@dataclass
class Task:
    id: str
    command: str
    payload: str
    priority: int
    webhook: str
    max_attempts: int
    tenant: str
    created_at: int
    updated_at: int
    status: str = "PENDING"
    location: str = "PENDING_LIST"
    worker: str = ""
    lease_until: int = 0
    attempts: int = 0
    error: str = ""
    has_result: bool = False
    visible_at: int = 0
    lease_gone_at: int = 0  # K8's E, in milliseconds
    place: int = 0  # in line, while in the pending list


@dataclass
class Record:
    task_id: str
    status: str
    result: str | None
    error: str
    artifacts: list[tuple[str, str]]  # name and URL; no URL where the server names a file
    completed_at: int


#: When a callback is due that is being tried.
UNDER_WAY = 1 << 64


@dataclass
class Callback:
    record: Record
    url: str
    command: str
    due: int  # or UNDER_WAY
    tries: int = 0
