"""The composer: writes the request that an effect of the core asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import bodies, signing
from .messages import Outgoing

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from codeq_fake.core.effects import CallbackDue, NoticeDue

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Composer:
    """Writes each try of a callback and each notice, signed if there is a secret.

    ``now`` is in nanoseconds since the epoch, by the fake's clock.
    """

    zone: ZoneInfo
    """The server's time zone: that of ``completedAt``."""
    secret: str = field(default="", repr=False)
    """Key of the signatures (``WEBHOOK_HMAC_SECRET``); "" leaves requests unsigned (W2)."""

    def callback(self, due: CallbackDue, *, now: int) -> Outgoing:
        """Write one try of a result callback (W1, W2)."""
        return self._sealed(due.url, bodies.callback(due, self.zone), now=now, trace_parent=due.trace_parent)

    def notice(self, due: NoticeDue, *, now: int) -> Outgoing:
        """Write a queue-ready notice (U4)."""
        return self._sealed(due.url, bodies.notice(due, now), now=now)

    def _sealed(self, url: str, body: bytes, *, now: int, trace_parent: str = "") -> Outgoing:
        headers = signing.headers(body, secret=self.secret, timestamp=now // _SECOND, trace_parent=trace_parent)
        return Outgoing(url=url, headers=headers, body=body)
