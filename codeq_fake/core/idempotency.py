"""Idempotency keys: which task a key made, for 24 hours from its first use (C8)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from .commands import is_blank
from .times import DAY_SECONDS

if TYPE_CHECKING:
    from .profiles import StoreProfile


class IdempotencyKeys:
    """All keys of a server, of every tenant and command; compared as sent."""

    def __init__(self, profile: StoreProfile) -> None:
        self._profile = profile
        #: key -> (task id, the instant from which the key is gone), oldest first.
        self.kept: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def find(self, key: str, *, now: int) -> str | None:
        """The id of the task that ``key`` made, if it still counts; a blank key is none."""
        while self.kept:
            oldest = next(iter(self.kept))
            if now < self.kept[oldest][1]:
                break
            del self.kept[oldest]
        known = self.kept.get(key)
        return known[0] if known is not None else None

    def keep(self, key: str, task_id: str, *, now: int) -> None:
        """Remember that ``key`` made the task; a blank key is none."""
        if key and not is_blank(key):
            self.kept.pop(key, None)
            self.kept[key] = (task_id, self._profile.expiry(DAY_SECONDS, now=now))
