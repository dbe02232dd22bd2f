"""Requests, answers and outcomes of deliveries."""

from __future__ import annotations

from dataclasses import dataclass


class BlockedError(Exception):
    """A request was not sent, because its host may be public. The user can allow the host."""


class DeliveryError(Exception):
    """A request could not be sent, or got no answer. The text says why."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request, without the headers that HTTP/1.1 itself adds (`Host`, `Content-Length`)."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of an answer, and the absolute URL of its redirect, or "" without one."""

    status: int
    location: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of a try. `status` is None if there was no answer, or if the request was blocked."""

    method: str
    url: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a try: the requests, and an `error` if the last got no answer; `blocked` if it was not allowed."""

    hops: tuple[Hop, ...]
    error: str | None = None
    blocked: bool = False

    @property
    def status(self) -> int | None:
        """The status of the last answer, or None if there was none."""
        return self.hops[-1].status

    @property
    def delivered(self) -> bool:
        """Whether the receiver accepted it with a 2xx (W3)."""
        return self.status in range(200, 300)
