"""Journals of one fake: the latest requests with their replies, and the callbacks with every try."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice, takewhile
from typing import Generic, NamedTuple, TypeVar

from codeq_fake.core import State, Task
from codeq_fake.core.slices import Slices, batches
from codeq_fake.payloads import CallbackKind, FaultKind

DEFAULT_SIZE = 10_000
#: The most bytes of the entries of one journal.
DEFAULT_BYTES = 64 * 1024 * 1024

#: About how many bytes an entry takes besides its texts, for each task that it names, each header and each try.
_PART = 200

#: Headers whose values are secrets, by a part of their name, and the schemes of authentication that may be shown.
_SECRET = re.compile(r"auth|cookie|token|secret|password|signature|api-?key")
_SCHEMES = ("bearer", "basic", "digest")


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
    """A request of the contract and its reply. `headers` are as sent; to show them, take `masked_headers`.

    `arrived`, `at` and `answered` are the instants (ns) at which it came in, was carried out, and had its reply.

    `status` is 0 where a fault left the request without a reply. `operation` is empty for a path without a route.
    `tasks` are the tasks that the request created, claimed or named, `error` is the text of a refusal and `reason` says
    the same to a person, `faults` are the kinds of the faults that came on it. `tenant` is the caller's.
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
    faults: tuple[FaultKind, ...] = ()
    reason: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()
    arrived: int = 0
    answered: int = 0
    tenant: str = ""

    @property
    def created(self) -> tuple[TouchedTask, ...]:
        """The tasks of a create: those that it made, or found by their idempotency keys."""
        return self.tasks if self.operation in ("create", "create_batch") else ()

    def masked_headers(self) -> dict[str, str]:
        """The headers by name, secrets as `***`. Values of a repeated header are joined, as HTTP allows."""
        values: dict[str, list[str]] = {}
        for name, value in self.headers:
            values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        return {name: _masked(name, ", ".join(texts)) for name, texts in values.items()}

    @property
    def took(self) -> int:
        """The time (ns) from its arrival to its reply, by the fake's clock."""
        return self.answered - self.arrived

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""
        weight = len(self.body) + len(self.reply) + len(self.path) + _PART * len(self.tasks)
        for _, value in self.headers:  # in half the time of a `sum`: each request is weighed
            weight += _PART + len(value)
        return weight


def _masked(header: str, value: str) -> str:
    if not _SECRET.search(header):
        return value
    scheme, blank, _ = value.partition(" ")
    return f"{scheme} ***" if blank and scheme.lower() in _SCHEMES else "***"


class Try(NamedTuple):
    """One try of a callback: when it was sent (ns), and the status or the error that came back.

    `faults` are the kinds of the faults that came on it.
    """

    at: int
    status: int | None = None
    error: str | None = None
    faults: tuple[FaultKind, ...] = ()


@dataclass(slots=True)
class Callback:
    """A result callback or queue-ready notice. `state` is pending, delivered, failed or blocked.

    `first_try` is the number of the first of `tries`: a callback whose entry was dropped has the others in a new one.
    """

    n: int
    kind: CallbackKind
    url: str
    command: str
    task_id: str = ""
    subscription_id: str = ""
    state: str = "pending"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    tries: list[Try] = field(default_factory=list)
    first_try: int = 1

    @property
    def last_try(self) -> int:
        """The number of the last of `tries`."""
        return self.first_try + len(self.tries) - 1

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""
        return len(self.url) + len(self.body) + _PART * len(self.tries)


EntryT = TypeVar("EntryT", Request, Callback)
T = TypeVar("T")


class Journal(Generic[EntryT]):
    """The last entries, oldest first: at most `size`, and at most `most_bytes` in all, but always the latest one.

    Their numbers count from 1 since the fake was made or reset.
    """

    def __init__(self, size: int = DEFAULT_SIZE, most_bytes: int = DEFAULT_BYTES) -> None:
        self.entries: deque[EntryT] = deque()
        #: How many entries there were so far: the number of the latest.
        self.count = 0
        #: About how many bytes the entries take.
        self.weight = 0
        #: The weight of each entry: to weigh it again when it is dropped would take as long as noting it.
        self._weights: deque[int] = deque()
        self._size = size
        self._most_bytes = most_bytes

    def append(self, entry: EntryT) -> EntryT:
        """Add an entry, which has the number `count` + 1. Returns the entry."""
        self.count = entry.n
        if self._size:
            self.entries.append(entry)
            weight = entry.weight
            self._weights.append(weight)
            self.weight += weight
            if self.weight > self._most_bytes or len(self.entries) > self._size:
                self._drop_oldest()
        return entry

    def note_growth(self, entry: EntryT, by: int) -> None:
        """Note that an entry has grown by so many bytes since it was added. Nothing happens if it was dropped."""
        if self.entries and entry.n >= self.entries[0].n:
            self._weights[entry.n - self.dropped() - 1] += by
            self.weight += by
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        entries = self.entries
        while len(entries) > 1 and (self.weight > self._most_bytes or len(entries) > self._size):
            entries.popleft()
            self.weight -= self._weights.popleft()

    def dropped(self, since: int = 0) -> int:
        """The number of entries after number `since` that are no longer kept."""
        return max(0, self.count - len(self.entries) - since)

    def since(self, n: int) -> list[EntryT]:
        """The entries after number `n` that are still kept."""
        return list(takewhile(lambda entry: entry.n > n, reversed(self.entries)))[::-1]

    def first_since(self, n: int, most: int) -> list[EntryT]:
        """The first `most` of the entries that `since` returns, without a look at all of them."""
        skipped = max(0, n - self.dropped())
        return list(islice(self.entries, skipped, skipped + most))

    def find(self, n: int) -> EntryT | None:
        """The entry with number `n`, if it is still kept."""
        dropped = self.dropped()
        return self.entries[n - dropped - 1] if dropped < n <= self.count else None


def requests_about(journal: Journal[Request], task_id: str) -> Slices[list[Request]]:
    """The requests that created, claimed or named a task, the earliest first."""
    about: list[Request] = []
    for entries in batches(list(journal.entries)):
        about += [entry for entry in entries if any(task.id == task_id for task in entry.tasks)]
        yield
    return about


def callbacks_about(journal: Journal[Callback], task_id: str) -> list[Callback]:
    """The callbacks with the result of a task, the earliest first."""
    return [entry for entry in journal.entries if entry.task_id == task_id]


def runs(entries: Iterable[T], alike: Callable[[T], object]) -> Iterator[tuple[T, list[T]]]:
    """Each run of entries in a row that are alike, as its first one and the others: what a person reads as one line."""
    for _, run in groupby(entries, alike):
        first, *others = run
        yield first, others
