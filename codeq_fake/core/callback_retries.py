"""Result callbacks on their way: what is being tried, what is tried again when, and when it is given up (W3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from .times import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .effects import CallbackDue
    from .rate_limits import Limiter
    from .rules import Rules


@dataclass(slots=True, eq=False)
class Delivery:
    """One callback between its first try and its end: the try it is at, and when that is due (0: being tried)."""

    callback: CallbackDue
    due_at: int = 0


class Outbox:
    """The callbacks that are not delivered yet."""

    def __init__(self, *, rules: Rules, limiter: Limiter) -> None:
        self._rules = rules
        self._limiter = limiter
        self.deliveries: dict[int, Delivery] = {}
        self.next_id = 1
        self._waiting: list[tuple[int, int]] = []

    def post(self, callback: CallbackDue, *, now: int) -> CallbackDue | None:
        """Take a new callback in; returns its first try, or None when the webhook's rate limit delays it (L1)."""
        self.next_id = max(self.next_id, callback.delivery_id + 1)
        self.deliveries[callback.delivery_id] = delivery = Delivery(callback)
        return self._try(delivery, now=now)

    def answered(self, delivery_id: int, *, delivered: bool, final: bool, now: int) -> CallbackDue | None:
        """The try that was under way ended. Returns the callback when it is over for good: delivered or given up.

        A try that failed, unless it was the ``final`` one, is followed by another after base * 2^(n-1) seconds, capped,
        until the tries are used up (W3).
        """
        delivery = self.deliveries.get(delivery_id)
        if delivery is None:
            return None
        callback = delivery.callback
        if delivered or final or callback.attempt >= self._rules.callback_attempts:
            del self.deliveries[delivery_id]
            return callback
        wait = min(self._rules.callback_max, self._rules.callback_base << min(callback.attempt - 1, 62))
        delivery.callback = replace(callback, attempt=callback.attempt + 1)
        self.wait_until(delivery, now + seconds(wait))
        return None

    def wait_until(self, delivery: Delivery, due_at: int) -> None:
        """Let the delivery's next try be due at ``due_at`` (ns)."""
        delivery.due_at = due_at
        heappush(self._waiting, (due_at, delivery.callback.delivery_id))

    def next_due(self) -> int | None:
        """When the next try is due (ns), if one is waiting."""
        return self._waiting[0][0] if self._waiting else None

    def due(self, *, now: int) -> Iterator[CallbackDue]:
        """The tries that are due, in due order."""
        while self._waiting and self._waiting[0][0] <= now:
            _, delivery_id = heappop(self._waiting)
            callback = self._try(self.deliveries[delivery_id], now=now)
            if callback is not None:
                yield callback

    def _try(self, delivery: Delivery, *, now: int) -> CallbackDue | None:
        wait = self._limiter.admit("webhook", delivery.callback.url, now=now)
        if wait:
            self.wait_until(delivery, now + seconds(wait))
            return None
        delivery.due_at = 0
        return delivery.callback
