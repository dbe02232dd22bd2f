"""Metrics, line by line (L2), held against those that the real server wrote."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from codeq_contract.recordings.shipped import FOLDER
from tests.http.support import CLAIM, HOOK, ORIGIN, SUBSCRIPTIONS, TASKS, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from codeq_fake.testing import FakeCodeQ


def pages(profile: str) -> Iterator[str]:
    """Each page of metrics in a profile's recordings."""
    with gzip.open(FOLDER / "v0.3.3" / profile / "metrics.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            if line.get("path") == "/metrics":
                yield line["reply"]


def ours(page: str) -> list[str]:
    """The lines of the families that are CodeQ's own."""
    return [line for line in page.splitlines() if line.removeprefix("# HELP ").removeprefix("# TYPE ")[:6] == "codeq_"]


def comments(page: str) -> list[str]:
    return [line for line in ours(page) if line.startswith("#")]


def play(codeq: FakeCodeQ, producer: httpx.Client, worker: httpx.Client) -> None:
    """What the recording did: tasks, a result, a callback, an expired lease, a dead letter, a subscription."""
    master = {"command": "GENERATE_MASTER", "payload": {"n": 1}, "webhook": HOOK}
    for _ in range(4):
        producer.post(TASKS, json=master)
    producer.post(TASKS, json={"command": "Cmd", "payload": {"n": 1}})
    claim = {"commands": ["GENERATE_MASTER"], "leaseSeconds": 30}
    worker.post(CLAIM, json=claim)
    worker.post(CLAIM, json=claim | {"leaseSeconds": 1})
    third = worker.post(CLAIM, json=claim).json()["id"]
    worker.post(f"{TASKS}/{third}/result", json={"status": "COMPLETED", "result": {"ok": True}})
    codeq.advance(seconds=2.5)
    worker.post(CLAIM, json=claim)
    producer.post(TASKS, json={"command": "GENERATE_CREATIVE", "payload": {"n": 1}, "maxAttempts": 1})
    doomed = worker.post(CLAIM, json={"commands": ["GENERATE_CREATIVE"], "leaseSeconds": 30}).json()["id"]
    worker.post(f"{TASKS}/{doomed}/nack", json={"reason": "x"})
    worker.post(SUBSCRIPTIONS, json={"callbackUrl": f"{ORIGIN}/ready"})


@pytest.mark.codeq(webhooks={ORIGIN: Receiver()})
@pytest.mark.parametrize("profile", ["redis", "kvrocks-2.8"])
def test_l2_the_pages_are_those_of_the_real_server(
    codeq: FakeCodeQ, producer: httpx.Client, worker: httpx.Client, profile: str
) -> None:
    before = producer.get("/metrics").text
    play(codeq, producer, worker)
    after = producer.get("/metrics").text
    for page, recorded in zip((before, after), pages(profile), strict=True):
        timeless = [line for line in ours(recorded) if "seconds_sum" not in line]
        assert [line for line in page.splitlines() if "seconds_sum" not in line] == timeless


def test_r17_anyone_may_read_them(codeq: FakeCodeQ) -> None:
    with codeq.client(headers={"authorization": ""}) as anonymous:
        reply = anonymous.get("/metrics", headers={"accept-encoding": "identity"})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=values"
    assert "content-encoding" not in reply.headers


def test_r17_they_are_compressed_for_who_accepts_that(producer: httpx.Client) -> None:
    plain = producer.get("/metrics", headers={"accept-encoding": "identity"})
    packed = producer.get("/metrics", headers={"accept-encoding": "deflate, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text


def test_l2_latencies_are_summed_and_put_in_buckets(
    codeq: FakeCodeQ, producer: httpx.Client, worker: httpx.Client
) -> None:
    for seconds in (0.25, 0.75):
        task = codeq.enqueue("A", tenant="acme")
        codeq.advance(seconds=seconds)
        worker.post(CLAIM, json={"commands": ["A"]})
        worker.post(f"{TASKS}/{task.id}/result", json={"status": "FAILED", "error": "torn"})
    latencies = dict(
        line.removeprefix("codeq_task_processing_latency_seconds").rsplit(" ", 1)
        for line in producer.get("/metrics").text.splitlines()
        if line.startswith("codeq_task_processing_latency_seconds")
    )
    labels = 'command="A",status="FAILED"'
    buckets = [latencies[f'_bucket{{{labels},le="{bound}"}}'] for bound in ("0.1", "0.25", "0.5", "1", "3600", "+Inf")]
    assert buckets == ["0", "1", "1", "2", "2", "2"]
    assert (latencies[f"_sum{{{labels}}}"], latencies[f"_count{{{labels}}}"]) == ("1", "2")


@pytest.mark.codeq(yaml="rateLimit: {producer: {requestsPerMinute: 60, burstSize: 1}}")
def test_l2_refusals_by_a_rate_limit_are_counted(producer: httpx.Client) -> None:
    for _ in range(3):
        producer.post(TASKS, json={"command": "A", "payload": 1})
    page = producer.get("/metrics").text
    assert 'codeq_rate_limit_hits_total{operation="create_task",scope="producer"} 2' in page.splitlines()


def test_l2_a_command_is_escaped_as_a_label(producer: httpx.Client) -> None:
    producer.post(TASKS, json={"command": 'a"\\\nb', "payload": 1})
    assert r'codeq_task_created_total{command="a\"\\\nb"} 1' in producer.get("/metrics").text.splitlines()


def test_l2_every_family_has_the_real_servers_description(producer: httpx.Client) -> None:
    (_, recorded) = pages("redis")
    assert set(comments(producer.get("/metrics").text)) <= set(comments(recorded))
