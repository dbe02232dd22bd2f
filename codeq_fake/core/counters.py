"""The counters of `/metrics` as plain numbers (L2)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from .times import SECOND

#: Upper bounds, in seconds, of the processing latency histogram.
LATENCY_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Histogram:
    """Latencies counted by bound, the last count being above all bounds, and their sum in seconds.

    `generation` is the number of readings (`Counters.frozen_latencies`) before this object was made: a reader of a
    later one may still need it as it is.
    """

    __slots__ = ("counts", "generation", "total")

    def __init__(self, counts: list[int] | None = None, total: float = 0.0, generation: int = 0) -> None:
        self.counts = counts or [0] * (len(LATENCY_BOUNDS) + 1)
        self.total = total
        self.generation = generation

    def observe(self, nanoseconds: int) -> None:
        """Count one latency."""
        value = nanoseconds / SECOND
        self.counts[bisect_left(LATENCY_BOUNDS, value)] += 1
        self.total += value


class Counters:
    """The server's counters. The labels are the keys; commands are written as created."""

    def __init__(self) -> None:
        self.created: Counter[str] = Counter()
        self.claimed: Counter[str] = Counter()
        self.completed: Counter[tuple[str, str]] = Counter()
        self.latency: dict[tuple[str, str], Histogram] = {}
        self.lease_expired: Counter[str] = Counter()
        self.deliveries: Counter[tuple[str, str, str]] = Counter()
        self.rate_limited: Counter[tuple[str, str]] = Counter()
        self._generation = 0

    def count_end(self, command: str, status: str, *, latency: int | None) -> None:
        """Count a task that ended with `status`, and its `latency` (ns since its creation) unless that is None."""
        self.completed[command, status] += 1
        if latency is None:
            return
        histogram = self.latency.get((command, status))
        if histogram is None:
            histogram = self.latency[command, status] = Histogram(generation=self._generation)
        elif histogram.generation != self._generation:
            histogram = self.latency[command, status] = Histogram(
                histogram.counts.copy(), histogram.total, self._generation
            )
        histogram.observe(latency)

    def frozen_latencies(self) -> Iterable[tuple[tuple[str, str], Histogram]]:
        """The histograms as they are now, to be read later: a latency that comes later is counted in a copy."""
        self._generation += 1
        keys, values = list(self.latency), list(self.latency.values())
        return zip(keys, values, strict=True)

    def count_delivery(self, kind: str, command: str, *, success: bool) -> None:
        """Count a callback (`task_result`) or notice (`queue_ready`) that was delivered or given up."""
        self.deliveries[kind, command, "success" if success else "failure"] += 1
