"""What a fake has seen and sent: the latest requests with their replies, and callbacks with every try."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

DEFAULT_SIZE = 10_000


class Request(NamedTuple):
    """One request of the contract's surface and its reply. ``at`` is ns; no header is kept, so no token is.

    ``status`` is 0 where a fault left the request without a reply; ``faults`` are the kinds of those that came on it.
    """

    n: int
    at: int
    method: str
    path: str
    caller: str
    body: bytes
    status: int
    reply: bytes
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a callback: when (ns) it was sent, and the status or the error that came of it.

    ``faults`` are the kinds of those that came on it.
    """

    at: int
    status: int | None = None
    error: str | None = None
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class Callback:
    """One result callback or queue-ready notice. ``state``: pending, delivered, failed or blocked."""

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


class Numbered(Protocol):
    """An entry that has a number, counted from 1 since the fake was made or reset."""

    @property
    def n(self) -> int:
        """The entry's number."""
        ...


EntryT = TypeVar("EntryT", bound=Numbered)


class Journal(Generic[EntryT]):
    """The last ``size`` entries, oldest first."""

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        self.entries: deque[EntryT] = deque(maxlen=size)
        self.count = 0

    def number(self) -> int:
        """The next entry's number."""
        self.count += 1
        return self.count

    def since(self, n: int) -> list[EntryT]:
        """The entries after number ``n`` that are still kept."""
        return [entry for entry in self.entries if entry.n > n]

    def find(self, n: int) -> EntryT | None:
        """The entry with number ``n``, if it is still kept."""
        return next((entry for entry in self.entries if entry.n == n), None)
