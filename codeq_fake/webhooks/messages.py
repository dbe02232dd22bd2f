"""What is sent, what is answered, and how a try ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it leaves, but for what HTTP/1.1 itself adds (``Host``, ``Content-Length``)."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said: its status, and the absolute URL it redirects to, "" if it does not."""

    status: int
    location: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of a try; ``status`` is None if it was not answered, or not sent because it was blocked."""

    method: str
    url: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try ended: with the last answer's ``status``, or with an ``error``; ``blocked`` if a guard stopped it."""

    hops: tuple[Hop, ...]
    error: str | None = None
    blocked: bool = False

    @property
    def status(self) -> int | None:
        """The status of the last request's answer; None if there was none."""
        return self.hops[-1].status

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it: 2xx (W3)."""
        return self.status in range(200, 300)
