"""One call that has been let in: what a handler gets, and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from codeq_fake.auth import Caller
    from codeq_fake.core import Broker

    from .reply import Reply


@dataclass(frozen=True, slots=True)
class Call:
    """A call with its caller, parameters and body, at the instant ``now`` (ns)."""

    broker: Broker
    zone: ZoneInfo
    caller: Caller
    params: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    body: bytes
    now: int

    def header(self, name: bytes) -> str:
        """A header's value, empty when it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")


@dataclass(frozen=True, slots=True)
class Wait:
    """An answer that may take time: try ``attempt`` (it gets the time) for ``seconds``, then answer 204 (K9)."""

    attempt: Callable[[int], Reply | None]
    seconds: int


class BadRequest(Exception):
    """What was sent breaks a limit of the route; ``args[0]`` is what to say."""
