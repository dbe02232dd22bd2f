"""The counters of `/metrics` (L2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codeq_fake.core.counters import LATENCY_BOUNDS, Histogram
from codeq_fake.core.times import MILLISECOND
from tests.core.support import DONE, FAILED, HOOK, START, Server

if TYPE_CHECKING:
    from codeq_fake.core import Submission


def test_l2_creates_and_claims_are_counted_by_command_as_created() -> None:
    server = Server()
    for command in ("Pack", "PACK", "PACK"):
        server.create(command)
    server.leased("pack")
    assert server.broker.counters.created == {"Pack": 1, "PACK": 2}
    assert server.broker.counters.claimed == {"Pack": 1}


def test_l2_what_a_batch_claims_is_counted() -> None:
    server = Server()
    for _ in range(3):
        server.create()
    server.broker.claim_batch(("A",), 10, worker="w-1", event_types=("*",), tenant="acme", now=START)
    assert server.broker.counters.claimed == {"A": 3}


@pytest.mark.parametrize(("submission", "status"), [(DONE, "COMPLETED"), (FAILED, "FAILED")])
def test_l2_results_are_counted_with_the_time_from_create_to_end(submission: Submission, status: str) -> None:
    server = Server()
    task = server.create()
    server.wait(0.3)
    server.leased()
    server.wait(0.4)
    server.submit(task, submission)
    assert server.broker.counters.completed == {("A", status): 1}
    latencies = server.broker.counters.latency["A", status]
    assert latencies.total == pytest.approx(0.7)
    assert latencies.counts[LATENCY_BOUNDS.index(1)] == 1


def test_l2_a_dead_letter_counts_as_failed() -> None:
    server = Server()
    for _ in range(2):
        server.create(max_attempts=1)
    nacked = server.leased()
    server.broker.nack(nacked.id, worker="w-1", now=server.now)
    server.leased(lease_seconds=10)
    server.wait(20)
    server.claim()
    assert server.broker.counters.completed == {("A", "FAILED"): 2}
    assert server.broker.counters.latency["A", "FAILED"].total == pytest.approx(20)


def test_l2_a_nack_that_is_not_the_last_counts_nothing() -> None:
    server = Server()
    task = server.create()
    server.leased()
    server.broker.nack(task.id, worker="w-1", now=server.now)
    assert server.broker.counters.completed == {}


def test_l2_the_batch_path_of_results_counts_nothing() -> None:
    server = Server()
    task = server.create()
    server.leased()
    server.broker.submit_batch([(task.id, DONE)], worker="w-1", now=server.now)
    assert (server.broker.counters.completed, server.broker.counters.latency) == ({}, {})


@pytest.mark.parametrize(("delivered", "outcome"), [(True, "success"), (False, "failure")])
def test_l2_a_callback_is_counted_once_not_per_try(outcome: str, *, delivered: bool) -> None:
    server = Server(result_webhook_max_attempts=2)
    task = server.create(webhook=HOOK)
    server.leased()
    server.submit(task)
    (first,) = server.tries()
    assert not server.broker.callback_answered(first.delivery_id, delivered=False, now=server.now)
    assert server.broker.counters.deliveries == {}
    server.wait(2)
    (second,) = server.tries()
    assert server.broker.callback_answered(second.delivery_id, delivered=delivered, now=server.now)
    assert server.broker.counters.deliveries == {("task_result", "A", outcome): 1}


@pytest.mark.parametrize(("delivered", "outcome"), [(True, "success"), (False, "failure")])
def test_l2_each_notice_is_counted(outcome: str, *, delivered: bool) -> None:
    server = Server()
    server.broker.notice_answered("A", delivered=delivered)
    assert server.broker.counters.deliveries == {("queue_ready", "A", outcome): 1}


def test_l2_the_bounds_of_the_latencies_are_these() -> None:
    assert LATENCY_BOUNDS == (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


@pytest.mark.parametrize("bound", LATENCY_BOUNDS)
def test_l2_a_latency_that_is_a_bound_falls_below_it(bound: float) -> None:
    latencies = Histogram()
    nanoseconds = round(bound * 1000) * MILLISECOND
    latencies.observe(nanoseconds)
    latencies.observe(nanoseconds + 1_000_000)
    place = LATENCY_BOUNDS.index(bound)
    assert latencies.counts[place : place + 2] == [1, 1]
    assert sum(latencies.counts) == 2


def test_l2_active_subscriptions_are_counted_by_command() -> None:
    server = Server()
    for event_types in (("A", "B"), ("b",)):
        server.subscribe(event_types=event_types, ttl_seconds=10)
    subscriptions = server.broker.subscriptions
    assert [subscriptions.active_count(command, now=server.now) for command in ("A", "B", "C")] == [1, 2, 0]
    server.wait(11)
    assert subscriptions.active_count("B", now=server.now) == 0
