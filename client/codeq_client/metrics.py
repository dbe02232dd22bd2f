"""Metrics for Prometheus: what a worker does, its slots, and how many tasks wait. Needs `prometheus-client`.

`Worker(..., hooks=[PrometheusHook()])` counts in the default registry. `WorkerMetrics` is for the health port.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from codeq_client._api.blocking_client import BlockingCodeQ
from codeq_client._api.clock import SystemClock
from codeq_client._task import Task
from codeq_client._worker.events import (
    ClaimFailed,
    Event,
    HandlerStuck,
    LeaseEnded,
    LoopBlocked,
    Polled,
    Renewed,
    TaskEnded,
    TaskStarted,
)
from codeq_client._worker.worker import Worker
from codeq_client.errors import CodeQError

_log = logging.getLogger("codeq_client.metrics")

#: The bounds of the histograms: of seconds from claim to end, and of seconds that are left of a lease.
_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_LEFT = (1, 2, 5, 10, 20, 30, 45, 60, 120, 300)

#: A task's id and attempts: another delivery of the task has more of them.
_Delivery: TypeAlias = tuple[str, int]


class PrometheusHook:
    """Counts the events of a worker. A registry takes only one hook, which all workers of a process share."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"codeq_worker_{name}", text, labels, registry=registry)

        self._polls = counter("polls", "Claims that were answered", "found")
        self._claim_errors = counter("claim_errors", "Claims that failed; orphan: one may have leased a task", "orphan")
        self._ended = counter("tasks", "Tasks that left the worker, by outcome", "command", "settled")
        self._losses = counter("losses", "Tasks that were lost, by reason", "command", "reason")
        self._wasted = counter("wasted_seconds", "Seconds that handlers worked without effect", "command")
        self._renewals = counter("renewals", "Renewals of leases, by outcome", "outcome")
        self._ends = counter("handlers_ended", "Handlers that were cancelled, by reason", "reason")
        self._blocked = counter("loop_blocked", "How often the event loop was blocked for long")
        self._started_at: dict[_Delivery, float] = {}
        self._stuck_tasks: set[_Delivery] = set()
        # Not the clock of a worker: a hook knows none, and several workers may share it.
        self._now = SystemClock().monotonic
        oldest = Gauge("codeq_worker_oldest_task_seconds", "Age of the oldest task in work", registry=registry)
        oldest.set_function(self._oldest)
        stuck = Gauge("codeq_worker_stuck_handlers", "Handlers that had to end and still run", registry=registry)
        stuck.set_function(lambda: len(self._stuck_tasks))
        self._running = Gauge("codeq_worker_running", "Tasks in work", ["command"], registry=registry)
        self._seconds = Histogram(
            "codeq_worker_task_seconds", "Seconds from claim to end", ["command"], buckets=_SECONDS, registry=registry
        )
        self._left = Histogram(
            "codeq_worker_lease_left_seconds",
            "Seconds left of a lease at its renewal",
            buckets=_LEFT,
            registry=registry,
        )

    def __call__(self, event: Event) -> None:
        """Count one event."""
        match event:
            case Polled(tasks=tasks):
                self._polls.labels(found="yes" if tasks else "no").inc()
            case ClaimFailed(orphan=orphan):
                self._claim_errors.labels(orphan="yes" if orphan else "no").inc()
            case TaskStarted(task=task):
                self._running.labels(command=task.command).inc()
                self._started_at[_delivery(task)] = self._now()
            case HandlerStuck(task=task):
                self._stuck_tasks.add(_delivery(task))
            case TaskEnded():
                self._count_end(event)
            case Renewed(outcome=outcome, remaining=left):
                self._renewals.labels(outcome=outcome).inc()
                self._left.observe(left)
            case LeaseEnded(end=end):
                self._ends.labels(reason=end.value).inc()
            case LoopBlocked():
                self._blocked.inc()
            case _:
                pass

    def _count_end(self, event: TaskEnded) -> None:
        """Count a task that has ended, and forget what is measured while one runs."""
        command = event.task.command
        self._ended.labels(command=command, settled=event.settled.value).inc()
        self._seconds.labels(command=command).observe(event.seconds)
        self._wasted.labels(command=command).inc(event.wasted)
        if event.loss:
            self._losses.labels(command=command, reason=event.loss.value).inc()
        if event.started:
            self._running.labels(command=command).dec()
            self._started_at.pop(_delivery(event.task), None)
            self._stuck_tasks.discard(_delivery(event.task))

    def _oldest(self) -> float:
        started_at = list(self._started_at.values())
        return self._now() - min(started_at) if started_at else 0.0


def _delivery(task: Task) -> _Delivery:
    return task.id, task.attempts


class _SlotCollector(Collector):
    """The slots of a worker, at the moment of the scrape."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the samples."""
        status = self._worker.status()
        yield GaugeMetricFamily("codeq_worker_slots", "Tasks that the worker does at once", status.slots)
        yield GaugeMetricFamily("codeq_worker_busy_slots", "Slots with a task", status.tasks)


class QueueCollector(Collector):
    """How many tasks of some commands are in each state, asked of the server at each scrape.

    `codeq` needs an administrator's token. The metric lacks a command for which the server does not answer.
    """

    def __init__(self, codeq: BlockingCodeQ, commands: Iterable[str]) -> None:
        self._codeq = codeq
        self._commands = tuple(commands)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Return the metric without samples: a registry asks for its name."""
        yield GaugeMetricFamily("codeq_queue_tasks", "Tasks at the server, by state", labels=["command", "state"])

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the samples."""
        for tasks in self.describe():
            for command in self._commands:
                self._add(tasks, command)
            yield tasks

    def _add(self, tasks: GaugeMetricFamily, command: str) -> None:
        try:
            stats = self._codeq.queue_stats(command)
        except CodeQError as error:
            _log.warning("the tasks of %s cannot be counted: %s", command, error)
            return
        tasks.add_metric([command, "ready"], stats.ready)
        tasks.add_metric([command, "delayed"], stats.delayed)
        tasks.add_metric([command, "in_progress"], stats.in_progress)
        tasks.add_metric([command, "dead"], stats.dead)


class WorkerMetrics:
    """What a health port serves at /metrics, in Prometheus's text format: `HealthServer(worker, metrics=...)`.

    It has the slots of the worker, what a `PrometheusHook` counts, the `collectors`, and the default registry. The hook
    is added to the worker, unless it has one.
    """

    def __init__(self, worker: Worker, *collectors: Collector) -> None:
        self._registry = CollectorRegistry()
        if not any(isinstance(hook, PrometheusHook) for hook in worker.hooks):
            worker.hooks.append(PrometheusHook(self._registry))
        for collector in (_SlotCollector(worker), *collectors):
            self._registry.register(collector)

    def __call__(self) -> bytes:
        """Return the text."""
        return generate_latest(REGISTRY) + generate_latest(self._registry)
