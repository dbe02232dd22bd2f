"""One call that has been let in: what a handler gets, and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codeq_fake.auth import Caller

from . import replies
from .replies import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from codeq_fake.core import Broker


#: The largest request body: the real server has no limit, we bound our memory and say so in the ledger.
LARGEST_BODY = 64 * 1024 * 1024

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
    #: The kinds of the faults that came on it.
    faults: tuple[str, ...] = ()

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


class Rejected(Exception):
    """The surface itself says no, before the core is asked; ``reply`` is the answer."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(answer)
        self.reply = answer


class BadRequest(Rejected):
    """What was sent breaks a limit of the route; ``text`` is what to say."""

    def __init__(self, text: str) -> None:
        super().__init__(replies.error(400, text))


class BodyTooLarge(Rejected):
    """The request body exceeds :data:`LARGEST_BODY`."""

    def __init__(self) -> None:
        super().__init__(replies.error(413, f"body exceeds {LARGEST_BODY} bytes"))


class RateLimited(Rejected):
    """The caller's bucket of ``scope`` is empty; a token comes in ``wait`` seconds (L1)."""

    def __init__(self, scope: str, operation: str, wait: int) -> None:
        error = "rate limit exceeded"
        text = f'{{"error":"{error}","operation":"{operation}","retryAfterSeconds":{wait},"scope":"{scope}"}}'
        headers = (*replies.JSON, (b"retry-after", b"%d" % wait))
        super().__init__(Reply(429, text.encode(), headers, error=error))
