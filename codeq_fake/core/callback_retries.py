"""Result callbacks and their retries: when each try is due, and when a callback is given up (W3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count

from .effects import CallbackDue
from .rate_limits import RateLimiter
from .settings import CoreSettings
from .times import seconds


@dataclass(slots=True, eq=False)
class Delivery:
    """A callback that is not over: its current try, and when that is due (ns; 0: it is being sent)."""

    callback: CallbackDue
    due_at: int = 0


class CallbackRetries:
    """All callbacks that are not delivered yet."""

    def __init__(self, *, settings: CoreSettings, rate_limiter: RateLimiter) -> None:
        self._settings = settings
        self._rate_limiter = rate_limiter
        self.deliveries: dict[int, Delivery] = {}
        self.next_id = 1
        self._waiting: list[tuple[int, int]] = []

    def start(self, callback: CallbackDue, *, now: int) -> CallbackDue | None:
        """Add a callback. Returns its first try, or None if the rate limit of the webhook delays it (L1)."""
        self.next_id = max(self.next_id, callback.delivery_id + 1)
        self.deliveries[callback.delivery_id] = delivery = Delivery(callback)
        return self._try(delivery, now=now)

    def end_try(self, delivery_id: int, *, delivered: bool, final: bool, now: int) -> CallbackDue | None:
        """Note the outcome of a try. Returns the callback if it is over: delivered or given up.

        A failed try that is not `final` is followed by another after base * 2^(n-1) seconds, capped, up to the maximum
        number of tries (W3).
        """
        delivery = self.deliveries.get(delivery_id)
        if delivery is None:
            return None
        callback, settings = delivery.callback, self._settings
        if delivered or final or callback.attempt >= settings.result_webhook_max_attempts:
            del self.deliveries[delivery_id]
            return callback
        backoff = settings.result_webhook_base_backoff_seconds << min(callback.attempt - 1, 62)
        delivery.callback = replace(callback, attempt=callback.attempt + 1)
        self.schedule(delivery, now + seconds(min(settings.result_webhook_max_backoff_seconds, backoff)))
        return None

    def schedule(self, delivery: Delivery, due_at: int) -> None:
        """Set when the next try is due (ns)."""
        delivery.due_at = due_at
        heappush(self._waiting, (due_at, delivery.callback.delivery_id))

    def next_due(self) -> int | None:
        """When the next try is due (ns), or None if none is waiting."""
        return self._waiting[0][0] if self._waiting else None

    def pop_due(self, *, now: int, most: int | None = None) -> Iterator[CallbackDue]:
        """The tries that are due, in the order of their due times, but `most` of them."""
        for _ in count() if most is None else range(most):
            if not self._waiting or self._waiting[0][0] > now:
                return
            _, delivery_id = heappop(self._waiting)
            callback = self._try(self.deliveries[delivery_id], now=now)
            if callback is not None:
                yield callback

    def _try(self, delivery: Delivery, *, now: int) -> CallbackDue | None:
        """The callback if it may be sent now, else None: then its try is due again when the rate limit allows it."""
        wait = self._rate_limiter.admit("webhook", delivery.callback.url, now=now)
        if wait:
            self.schedule(delivery, now + seconds(wait))
            return None
        delivery.due_at = 0
        return delivery.callback
