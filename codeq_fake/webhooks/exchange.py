"""The exchange with a receiver: requests, answers and outcomes, as `composer`, `transport` and `sender` pass them."""

from __future__ import annotations

from typing import NamedTuple


class BlockedError(Exception):
    """A request was not sent, because its host may be public. The user can allow the host."""


class DeliveryError(Exception):
    """A request could not be sent, or got no answer. The text says why."""


class Outgoing(NamedTuple):
    """A request, without the headers that HTTP/1.1 itself adds (`Host`, `Content-Length`)."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"


class Answer(NamedTuple):
    """The status of an answer, and the absolute URL of its redirect, or "" without one."""

    status: int
    location: str = ""


class Hop(NamedTuple):
    """One request of a try: the first, or one that follows a redirect.

    `status` is None if the request got no answer, or if it was blocked and not sent.
    """

    method: str
    url: str
    status: int | None = None


class Outcome(NamedTuple):
    """The outcome of a try: its requests in order, of which there is at least one.

    `error` says why there is no final answer: the last request got no answer, was `blocked`, or was answered with one
    redirect too many.
    """

    hops: tuple[Hop, ...]
    error: str | None = None
    blocked: bool = False

    @property
    def status(self) -> int | None:
        """The status of the last request: None if it got no answer, although a redirect before it did."""
        return self.hops[-1].status

    @property
    def delivered(self) -> bool:
        """Whether the last request was answered with a 2xx (W3)."""
        return self.status in range(200, 300)
