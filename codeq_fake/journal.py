"""Journals of one fake: the latest requests with their replies, and the callbacks with every try."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Generic, NamedTuple, TypeVar

from codeq_fake.core import State, Task

DEFAULT_SIZE = 10_000


class TouchedTask(NamedTuple):
    """A task that a request touched, as the request left it. `lease_until` is in ns, 0 without a lease."""

    id: str
    command: str
    state: State
    lease_until: int
    max_attempts: int
    has_webhook: bool

    @classmethod
    def of(cls, task: Task) -> TouchedTask:
        """The task as it is now."""
        return cls(task.id, task.command, task.state, task.lease_until, task.max_attempts, task.webhook != "")


class Request(NamedTuple):
    """A request of the contract and its reply. `at` is in ns. No header is kept, so no token is.

    `status` is 0 where a fault left the request without a reply. `operation` is empty for a path without a route.
    `tasks` are the tasks that the request created, claimed or named, `error` is the text of a refusal, `faults` are the
    kinds of the faults that came on it.
    """

    n: int
    at: int
    method: str
    path: str
    caller: str
    body: bytes
    status: int
    reply: bytes
    operation: str = ""
    tasks: tuple[TouchedTask, ...] = ()
    error: str = ""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a callback: when it was sent (ns), and the status or the error that came back.

    `faults` are the kinds of the faults that came on it.
    """

    at: int
    status: int | None = None
    error: str | None = None
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class Callback:
    """A result callback or queue-ready notice. `state` is pending, delivered, failed or blocked."""

    n: int
    kind: str
    url: str
    command: str
    task_id: str = ""
    subscription_id: str = ""
    state: str = "pending"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    tries: list[Try] = field(default_factory=list)


EntryT = TypeVar("EntryT", Request, Callback)


class Journal(Generic[EntryT]):
    """The last `size` entries, oldest first. Their numbers count from 1 since the fake was made or reset."""

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        self.entries: deque[EntryT] = deque(maxlen=size)
        self.count = 0

    def append(self, entry: EntryT) -> EntryT:
        """Add an entry, which has the number `count` + 1. Returns the entry."""
        self.entries.append(entry)
        self.count = entry.n
        return entry

    def since(self, n: int) -> list[EntryT]:
        """The entries after number `n` that are still kept."""
        return list(takewhile(lambda entry: entry.n > n, reversed(self.entries)))[::-1]

    def find(self, n: int) -> EntryT | None:
        """The entry with number `n`, if it is still kept."""
        return next((entry for entry in self.entries if entry.n == n), None)
