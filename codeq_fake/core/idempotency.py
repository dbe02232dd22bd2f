"""Idempotency keys: the task that each key created, usually for 24 hours from its first use (C8)."""

from __future__ import annotations

from collections import OrderedDict

from .commands import is_blank
from .profiles import Store
from .times import DAY_SECONDS, NEVER


class IdempotencyKeys:
    """All keys of a server. They are shared by all tenants and commands, and compared as sent."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: key -> (task id, the instant (ns) from which the key is gone), oldest first.
        self.kept: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def find(self, key: str, *, now: int) -> str | None:
        """The id of the task that `key` created, if the key still counts. Also drops the keys that are over.

        All keys live equally long: those that are over come first.
        """
        while self.kept:
            oldest = next(iter(self.kept))
            if now < self.kept[oldest][1]:
                break
            del self.kept[oldest]
        known = self.kept.get(key)
        return known[0] if known is not None else None

    def keep(self, key: str, task_id: str, *, now: int) -> None:
        """Remember that `key` created the task. A blank key counts as no key, except on some stores (P11)."""
        if key and (self._store.takes_blank_keys or not is_blank(key)):
            self.kept.pop(key, None)
            expiry = self._store.key_expiry(DAY_SECONDS, now=now) if self._store.has_ttl else NEVER
            self.kept[key] = (task_id, expiry)
