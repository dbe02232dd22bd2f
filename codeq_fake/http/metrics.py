"""R17: the server's metrics in the Prometheus text format (L2), made in slices: each command has its own lines."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from codeq_fake.core import BUILT_IN_COMMANDS, Broker
from codeq_fake.core.counters import LATENCY_BOUNDS, Counters
from codeq_fake.core.slices import Slices, batches, in_order

from .replies import Reply
from .request import Call

if TYPE_CHECKING:
    from prometheus_client import Metric

_CONTENT_TYPE = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8; escaping=values")
_GZIP = (b"content-encoding", b"gzip")
#: What zlib calls the format of gzip.
_GZIP_FORMAT = 31

#: How many rows of a family are written between two pauses. A row of the histogram has 17 lines.
_ROWS = 100
#: The lines about a family before its rows, which prometheus_client writes before each batch of them.
_HEAD_LINES = 2

#: Where Python's text differs from Go's: whole numbers have a fraction, a histogram's bound comes before other labels,
#: its count before its sum.
_AS_GO = (
    (re.compile(rb"\.0$", re.MULTILINE), b""),
    (re.compile(rb'(le="[^"]*"),(status="[^"]*")}'), rb"\2,\1}"),
    (re.compile(rb"^(\w+_count\{.*\n)(\w+_sum\{.*\n)", re.MULTILINE), rb"\2\1"),
)


class _Family(NamedTuple):
    """One family: the class in prometheus_client, name, description, and the values by label values: one or a tuple."""

    kind: str
    name: str
    text: str
    labels: tuple[str, ...]
    values: Mapping[Any, Any]


def metrics(call: Call) -> Slices[Reply]:
    """R17: the `codeq_` families in alphabetical order, without empty ones, compressed if the client accepts gzip."""
    parts: list[bytes] = []
    families = [*_counters(call.broker.counters)]
    if not call.broker.profile.store.lists_all_queues:  # P12
        families += _gauges(call.broker, call.now)
    for family in sorted(families, key=attrgetter("name")):
        rows = yield from in_order(list(family.values.items()))
        for batch in batches(rows, _ROWS):
            text = _as_go(family, batch)
            parts.append(text if batch[0] is rows[0] else text.split(b"\n", _HEAD_LINES)[_HEAD_LINES])
            yield
    if "gzip" not in call.header(b"accept-encoding"):
        return Reply(200, b"".join(parts), (_CONTENT_TYPE,))
    compressor = zlib.compressobj(wbits=_GZIP_FORMAT)
    compressed: list[bytes] = []
    for part in parts:
        compressed.append(compressor.compress(part))
        yield
    return Reply(200, b"".join((*compressed, compressor.flush())), (_CONTENT_TYPE, _GZIP))


def _as_go(family: _Family, rows: Iterable[tuple[Any, Any]]) -> bytes:
    """The text of some rows of a family, after two lines about the family."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - takes 60 ms, for this route only

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(family, rows))
    text = generate_latest(registry)
    for pattern, replacement in _AS_GO:
        text = pattern.sub(replacement, text)
    return text


class _Collector:
    """Some rows of a family as prometheus_client writes them. It adds `_total` to a counter's name."""

    def __init__(self, family: _Family, rows: Iterable[tuple[Any, Any]]) -> None:
        self._family = family
        self._rows = rows

    def collect(self) -> list[Metric]:
        from prometheus_client import core  # noqa: PLC0415 - as in `_as_go`

        kind, name, text, labels, _ = self._family
        metric = getattr(core, f"{kind}MetricFamily")(name, text, labels=labels)
        for key, value in self._rows:
            label_values = key if isinstance(key, tuple) else (key,)
            if kind == "Histogram":
                buckets = list(zip(_BOUNDS, accumulate(value.counts), strict=True))
                metric.add_metric(label_values, buckets, value.total)
            else:
                metric.add_metric(label_values, value)
        return [metric]


_BOUNDS = (*map(str, LATENCY_BOUNDS), "+Inf")


def _gauges(broker: Broker, now: int) -> Iterator[_Family]:
    """The gauges: the depths of the built-in commands' queues without tenant, and live subscriptions (L2)."""
    depths = {command: broker.queue_stats(command, tenant="") for command in BUILT_IN_COMMANDS}
    yield _Family(
        "Gauge",
        "codeq_dlq_depth",
        "Current DLQ depth by command.",
        ("command",),
        {command: depth.dead for command, depth in depths.items()},
    )
    yield _Family(
        "Gauge",
        "codeq_queue_depth",
        "Current queue depth by command and queue state.",
        ("command", "queue"),
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
    yield _Family(
        "Gauge",
        "codeq_subscriptions_active",
        "Current active subscriptions by command (eventType).",
        ("command",),
        {command: broker.subscriptions.active_count(command, now=now) for command in BUILT_IN_COMMANDS},
    )


def _counters(counts: Counters) -> Iterator[_Family]:
    """The counters and the histogram of what the server has done so far, in the server's order (L2)."""
    for name, text, by_command in (
        ("lease_expired", "Total number of lease expirations detected during claim-time repair.", counts.lease_expired),
        ("task_claimed", "Total number of tasks claimed by workers.", counts.claimed),
        ("task_created", "Total number of tasks created (enqueued).", counts.created),
    ):
        yield _Family("Counter", f"codeq_{name}", text, ("command",), by_command)
    yield _Family(
        "Counter",
        "codeq_rate_limit_hits",
        "Total number of rate limit rejections, labeled by scope and operation.",
        ("operation", "scope"),
        {(operation, scope): count for (scope, operation), count in counts.rate_limited.items()},
    )
    yield _Family(
        "Counter",
        "codeq_task_completed",
        "Total number of tasks completed, labeled by final status.",
        ("command", "status"),
        counts.completed,
    )
    yield _Family(
        "Counter",
        "codeq_webhook_deliveries",
        "Total number of webhook deliveries, labeled by kind and outcome.",
        ("command", "kind", "outcome"),
        {(command, kind, outcome): count for (kind, command, outcome), count in counts.deliveries.items()},
    )
    yield _Family(
        "Histogram",
        "codeq_task_processing_latency_seconds",
        "End-to-end latency from task creation to completion (seconds).",
        ("command", "status"),
        counts.latency,
    )
