"""R17: the server's metrics in the Prometheus text format (L2)."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from codeq_fake.core import BUILT_IN_COMMANDS, Broker
from codeq_fake.core.counters import LATENCY_BOUNDS

from .replies import Reply
from .request import Call

if TYPE_CHECKING:
    from prometheus_client import Metric

_CONTENT_TYPE = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8; escaping=values")
_GZIP = (b"content-encoding", b"gzip")

#: Where Go's text differs from Python's: whole numbers have no fraction, a histogram's bound comes before its labels.
_AS_GO = (
    (re.compile(rb"\.0$", re.MULTILINE), b""),
    (re.compile(rb'(le="[^"]*"),(status="[^"]*")}'), rb"\2,\1}"),
)


def metrics(call: Call) -> Reply:
    """R17: the `codeq_` families, compressed if the client accepts gzip."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - takes 60 ms, for this route only

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(call.broker, call.now))
    text = generate_latest(registry)
    for pattern, replacement in _AS_GO:
        text = pattern.sub(replacement, text)
    if "gzip" in (call.header(b"accept-encoding") or ""):
        return Reply(200, gzip.compress(text), (_CONTENT_TYPE, _GZIP))
    return Reply(200, text, (_CONTENT_TYPE,))


class _Collector:
    """The families in alphabetical order, without empty ones, as in Go."""

    def __init__(self, broker: Broker, now: int) -> None:
        self._broker = broker
        self._now = now

    def collect(self) -> list[Metric]:
        families = [*self._gauges(), *self._counters(), *self._histogram()]
        return sorted(families, key=lambda family: family.name)

    def _gauges(self) -> Iterator[Metric]:
        depths = {command: self._broker.queue_stats(command, tenant="") for command in sorted(BUILT_IN_COMMANDS)}
        yield from _family(
            "Gauge",
            "codeq_dlq_depth",
            "Current DLQ depth by command.",
            ["command"],
            {(command,): depth.dead for command, depth in depths.items()},
        )
        yield from _family(
            "Gauge",
            "codeq_queue_depth",
            "Current queue depth by command and queue state.",
            ["command", "queue"],
            {
                (command, queue): length
                for command, depth in depths.items()
                for queue, length in (
                    ("delayed", depth.delayed),
                    ("dlq", depth.dead),
                    ("in_progress", depth.in_progress),
                    ("ready", depth.ready),
                )
            },
        )
        yield from _family(
            "Gauge",
            "codeq_subscriptions_active",
            "Current active subscriptions by command (eventType).",
            ["command"],
            {
                (command,): self._broker.subscriptions.active_count(command, now=self._now)
                for command in sorted(BUILT_IN_COMMANDS)
            },
        )

    def _counters(self) -> Iterator[Metric]:
        counts = self._broker.counters
        for name, text, by_command in (
            (
                "lease_expired",
                "Total number of lease expirations detected during claim-time repair.",
                counts.lease_expired,
            ),
            ("task_claimed", "Total number of tasks claimed by workers.", counts.claimed),
            ("task_created", "Total number of tasks created (enqueued).", counts.created),
        ):
            values = {(command,): count for command, count in by_command.items()}
            yield from _family("Counter", f"codeq_{name}", text, ["command"], values)
        yield from _family(
            "Counter",
            "codeq_rate_limit_hits",
            "Total number of requests refused by a rate limit, by scope and operation.",
            ["operation", "scope"],
            {(operation, scope): count for (scope, operation), count in counts.rate_limited.items()},
        )
        yield from _family(
            "Counter",
            "codeq_task_completed",
            "Total number of tasks completed, labeled by final status.",
            ["command", "status"],
            counts.completed,
        )
        yield from _family(
            "Counter",
            "codeq_webhook_deliveries",
            "Total number of webhook deliveries, labeled by kind and outcome.",
            ["command", "kind", "outcome"],
            {(command, kind, outcome): count for (kind, command, outcome), count in counts.deliveries.items()},
        )

    def _histogram(self) -> Iterator[Metric]:
        from prometheus_client.core import HistogramMetricFamily  # noqa: PLC0415 - as in `metrics`

        family = HistogramMetricFamily(
            "codeq_task_processing_latency_seconds",
            "End-to-end latency from task creation to completion (seconds).",
            labels=["command", "status"],
        )
        bounds = [*map(str, LATENCY_BOUNDS), "+Inf"]
        for labels, histogram in sorted(self._broker.counters.latency.items()):
            buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
            family.add_metric(labels, buckets, histogram.total)
        if family.samples:
            yield family


def _family(kind: str, name: str, text: str, labels: list[str], values: Mapping[Any, int]) -> Iterator[Metric]:
    """A family of gauges or counters, unless it is empty. prometheus_client adds `_total` to a counter's name."""
    from prometheus_client import core  # noqa: PLC0415 - as in `metrics`

    family = getattr(core, f"{kind}MetricFamily")(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    if family.samples:
        yield family
