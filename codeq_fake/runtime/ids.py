"""Ids and jitter for the core: random, or queued by a test."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Container, Sequence

_ID_BYTES = 16
_VARIANT = "89ab"


#: The most ids, and the most delays, that are queued at once.
MOST_QUEUED = 100_000


class QueueFullError(ValueError):
    """Too many ids or delays would be queued."""


class TakenIdError(ValueError):
    """The id already belongs to a task or subscription, or was queued twice. `str()` is the id."""


class RandomSource:
    """Makes ids and jitter. `seed` makes both repeatable."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the ids of a fake are different, not secret
        self._ids: deque[str] = deque()
        self._delays: deque[int] = deque()
        self._known: tuple[Container[str], ...] = ()

    def avoid(self, *known: Container[str]) -> None:
        """Never make an id that one of these contains. With a seed, a restored state may contain the next ids."""
        self._known = known

    def queue(self, *, ids: Sequence[str] = (), delays: Sequence[int] = ()) -> None:
        """Queue the next task or subscription ids, and the next jittered backoff delays (seconds).

        Raises TakenIdError or QueueFullError, and then has queued nothing.
        """
        if len(self._ids) + len(ids) > MOST_QUEUED or len(self._delays) + len(delays) > MOST_QUEUED:
            raise QueueFullError
        queued = set(self._ids)
        for one in ids:
            if one in queued or self._is_known(one):
                raise TakenIdError(one)
            queued.add(one)
        self._ids.extend(ids)
        self._delays.extend(delays)

    def task_id(self) -> str:
        """The next queued id, or a new UUIDv4."""
        if self._ids:
            return self._ids.popleft()
        new_id = self._uuid4()
        while self._is_known(new_id):
            new_id = self._uuid4()
        return new_id

    subscription_id = task_id

    def trace_id(self) -> str:
        """A new trace id: 32 hex digits."""
        return _hex(self._random.getrandbits(8 * _ID_BYTES) or 1)

    def span_id(self) -> str:
        """A new span id: 16 hex digits."""
        return f"{self._random.getrandbits(64) or 1:016x}"

    def request_id(self) -> str:
        """A new request id: 32 hex digits (R20)."""
        return _hex(self._random.getrandbits(8 * _ID_BYTES))

    def between(self, low: int, high: int) -> int:
        """The next queued delay, or a random whole number from `low` to `high`."""
        return self._delays.popleft() if self._delays else self._random.randint(low, high)

    def _is_known(self, new_id: str) -> bool:
        return any(new_id in known for known in self._known)

    def _uuid4(self) -> str:
        bits = self._random.getrandbits(8 * _ID_BYTES)
        text = _hex(bits)
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANT[bits & 3]}{text[17:20]}-{text[20:]}"


def _hex(bits: int) -> str:
    """The 32 hex digits of a number, in half the time of a format string."""
    return bits.to_bytes(_ID_BYTES).hex()
