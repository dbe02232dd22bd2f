"""One call that has been let in: what a handler gets, and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codeq_fake.auth import Caller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from codeq_fake.core import Broker

    from .reply import Reply


#: Who calls where anyone may.
ANYONE = Caller(subject="", tenant="", scopes=frozenset(), event_types=(), claims={}, token="")


@dataclass(slots=True, eq=False)
class Call:
    """One call at the instant ``now`` (ns). Its caller and body are filled in as the checks let it pass (B3)."""

    broker: Broker
    zone: ZoneInfo
    params: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    now: int
    caller: Caller = ANYONE
    body: bytes = b""

    def header(self, name: bytes) -> str:
        """A header's value, empty when it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")

    def header_or_none(self, name: bytes) -> str | None:
        """A header's value, None when it was not sent."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value is not None else None


@dataclass(frozen=True, slots=True)
class Wait:
    """An answer that may take time: try ``attempt`` (it gets the time) for ``seconds``, then answer 204 (K9)."""

    attempt: Callable[[int], Reply | None]
    seconds: int


class BadRequest(Exception):
    """What was sent breaks a limit of the route; ``args[0]`` is what to say."""
