"""Faults of requests in process: the effect on the request, its client and its task."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import Any

import httpx
import pytest

from codeq_fake import faults
from codeq_fake.payloads import FaultKind
from codeq_fake.testing import FakeCodeQ, run
from tests.faults.support import TASKS, claim, complete, create, heartbeat


def last(codeq: FakeCodeQ) -> tuple[str, int | None, list[FaultKind]]:
    """The latest request's path, status and faults."""
    entry = codeq.requests[-1]
    return entry["path"], entry["status"], entry["faults"]


# Each kind.


def test_a_dropped_reply_leaves_the_change_made(codeq: FakeCodeQ, http: httpx.Client) -> None:
    task = codeq.enqueue("A")
    with codeq.faults(faults.drop_reply(on="claim")), pytest.raises(httpx.RemoteProtocolError, match="disconnected"):
        claim(http)
    assert codeq.task(task.id).status == "IN_PROGRESS"
    assert last(codeq) == (f"{TASKS}/claim", 200, ["drop_reply"])


def test_a_refusal_is_dropped_as_well(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.drop_reply(on="heartbeat")), pytest.raises(httpx.RemoteProtocolError):
        heartbeat(http, "none")
    assert last(codeq)[1:] == (500, ["drop_reply"])


def test_a_reset_does_nothing_and_answers_nothing(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.reset(on="create")), pytest.raises(httpx.ReadError, match="reset"):
        create(http)
    assert codeq.tasks() == []
    assert last(codeq) == (TASKS, None, ["reset"])


def test_a_refused_request_does_nothing(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.refuse(on="create")):
        refused = create(http)
    assert (refused.status_code, refused.json()) == (503, {"error": "refused with 503 by a fault rule"})
    assert codeq.tasks() == []
    assert last(codeq) == (TASKS, 503, ["refuse"])


def test_a_refusal_has_status_headers_and_body_of_its_rule(codeq: FakeCodeQ, http: httpx.Client) -> None:
    rule = faults.refuse(502, body="<h1>Bad Gateway</h1>", headers={"Content-Type": "text/html", "Via": "1.1 x"})
    with codeq.faults(rule):
        refused = create(http)
    assert (refused.status_code, refused.text) == (502, "<h1>Bad Gateway</h1>")
    assert (refused.headers["content-type"], refused.headers["via"]) == ("text/html", "1.1 x")
    assert "x-request-id" in refused.headers


@pytest.mark.parametrize(
    ("call", "scope", "operation"), [(create, "producer", "create_task"), (claim, "worker", "claim")]
)
def test_a_429_has_the_body_of_the_rate_limit(
    codeq: FakeCodeQ, http: httpx.Client, call: Any, scope: str, operation: str
) -> None:
    with codeq.faults(faults.refuse(429, retry_after=7)):
        refused = call(http)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert refused.json() == {
        "error": "rate limit exceeded",
        "operation": operation,
        "retryAfterSeconds": 7,
        "scope": scope,
    }


@pytest.mark.parametrize("status", [204, 304])
def test_a_refusal_without_a_body_has_none(codeq: FakeCodeQ, http: httpx.Client, status: int) -> None:
    with codeq.faults(faults.refuse(status, retry_after=0)):
        refused = create(http)
    assert (refused.status_code, refused.content, refused.headers["retry-after"]) == (status, b"", "0")


def test_a_cut_reply_ends_in_the_middle(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.garble()), pytest.raises(httpx.RemoteProtocolError, match=r"received \d+ bytes"):
        create(http)
    assert len(codeq.tasks()) == 1
    assert last(codeq) == (TASKS, 202, ["garble"])


def test_a_malformed_reply_is_half_of_one(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.garble("malformed")):
        answer = create(http)
    whole = codeq.requests[-1]["reply"]
    assert (answer.status_code, answer.text) == (202, whole[: len(whole) // 2])
    assert answer.headers["content-length"] == str(len(whole) // 2)


@pytest.mark.parametrize("how", ["cut", "malformed"])
def test_a_reply_without_a_body_is_lost_when_it_is_garbled(codeq: FakeCodeQ, http: httpx.Client, how: Any) -> None:
    with codeq.faults(faults.garble(how)), pytest.raises(httpx.RemoteProtocolError, match="disconnected"):
        claim(http)


def test_an_expired_lease_is_over_at_once_after_a_claim(codeq: FakeCodeQ, http: httpx.Client) -> None:
    codeq.enqueue("A")
    with codeq.faults(faults.expire_lease()) as fault:
        assert claim(http).json()["status"] == "IN_PROGRESS"
    assert claim(http).status_code == 204
    assert codeq.tasks()[0].location == "DELAYED_ZSET"
    assert fault.fired == 1


def test_an_expired_lease_is_over_before_the_holder_is_served(codeq: FakeCodeQ, http: httpx.Client) -> None:
    task = codeq.enqueue("A")
    claim(http)
    with codeq.faults(faults.expire_lease(on="heartbeat")):
        assert heartbeat(http, task.id).status_code == 200
    assert claim(http).status_code == 204
    assert codeq.task(task.id).status == "PENDING", "H3: it was not revived"


def test_a_task_without_a_lease_does_not_expire(codeq: FakeCodeQ, http: httpx.Client) -> None:
    task = codeq.enqueue("A")
    rule = faults.expire_lease(on="heartbeat", times=1)
    with codeq.faults(rule) as fault:
        heartbeat(http, task.id)
        assert (fault.met, fault.fired) == (1, 0)
        assert last(codeq)[2] == []
        claim(http)
        heartbeat(http, task.id)
    assert (fault.met, fault.fired) == (2, 1), "what could not happen does not use up its times"


def test_a_skewed_clock_affects_everything_that_the_server_computes(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.clock_skew(3600)):
        created = create(http).json()
        claimed = claim(http, leaseSeconds=60, waitSeconds=5).json()
        record = complete(http, created["id"]).json()
    assert created["createdAt"] == "2026-01-31T10:00:00-03:00"
    assert claimed["leaseUntil"] == "2026-01-31T13:01:00Z"
    assert record["completedAt"] == "2026-01-31T10:00:00-03:00"
    assert codeq.now == "2026-01-31T12:00:00Z"
    assert {entry["at"] for entry in codeq.requests} == {"2026-01-31T12:00:00Z"}


def test_a_clock_that_is_behind_delays_a_task(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.clock_skew(-60, on="create")):
        create(http, runAt="2026-01-31T11:59:30Z")
    assert codeq.tasks()[0].location == "DELAYED_ZSET"


# Waiting.


def test_a_delay_ends_when_the_clock_gets_there() -> None:
    async def story() -> tuple[bool, str]:
        fake = FakeCodeQ(now="2026-01-31T12:00:00Z")
        async with fake.async_client() as http:
            with fake.faults(faults.delay(2.5, on="create")):
                call = asyncio.create_task(http.post(TASKS, json={"command": "A", "payload": 1}))
                await fake.aadvance(seconds=2.499)
                early = call.done()
                await fake.aadvance(seconds=0.001)
                return early, (await call).json()["createdAt"]

    assert asyncio.run(story()) == (False, "2026-01-31T09:00:02.5-03:00")


def test_a_request_hangs_until_its_rule_is_removed() -> None:
    with FakeCodeQ() as fake, fake.client() as http:
        answers: list[int] = []
        with fake.faults(faults.hang(on="create")) as fault:
            call = Thread(target=lambda: answers.append(create(http).status_code))
            call.start()
            while not fault.fired:
                fake.advance(seconds=1)
            fake.advance(seconds=3600)
            assert (answers, fake.tasks()) == ([], [])
        call.join()
        assert (answers, len(fake.tasks())) == ([202], 1)
        assert fake.requests[-1]["faults"] == ["hang"]


def test_a_held_request_is_not_carried_out_if_its_client_leaves(codeq: FakeCodeQ) -> None:
    with codeq.client(timeout=0.2) as http, codeq.faults(faults.hang(times=1)), pytest.raises(httpx.ReadTimeout):
        create(http)
    assert codeq.tasks() == []
    assert last(codeq) == (TASKS, None, ["hang"])


def test_later_faults_of_an_abandoned_request_do_not_count(codeq: FakeCodeQ) -> None:
    task = codeq.enqueue("A")
    with codeq.client(timeout=0.2) as http:
        claim(http)
        with codeq.faults(faults.hang(on="complete", times=1), faults.revoke_lease(on="complete", times=1)) as injected:
            with pytest.raises(httpx.ReadTimeout):
                complete(http, task.id)
            assert (injected.met, injected.fired) == (2, 1)
            assert codeq.task(task.id).status == "IN_PROGRESS"
            assert complete(http, task.id).status_code == 409
    assert last(codeq)[2] == ["revoke_lease"]


def test_a_false_empty_of_an_abandoned_request_does_not_count(codeq: FakeCodeQ) -> None:
    codeq.enqueue("A")
    with codeq.client(timeout=0.2) as http, codeq.faults(faults.false_empty(times=1), faults.hang(times=1)) as injected:
        with pytest.raises(httpx.ReadTimeout):
            claim(http)
        assert injected.fired == 1
        assert [claim(http).status_code for _ in range(2)] == [204, 200]


def test_on_an_auto_clock_a_delay_takes_exactly_its_time() -> None:
    async def story() -> str:
        fake = FakeCodeQ(clock="auto", now="2026-01-31T12:00:00Z")
        async with fake.async_client() as http:
            with fake.faults(faults.delay(600)):
                await http.post(TASKS, json={"command": "A", "payload": 1}, timeout=900)
        return fake.now

    assert run(story()) == "2026-01-31T12:10:00Z"


def test_closing_a_fake_ends_held_requests() -> None:
    answers: list[int] = []
    with FakeCodeQ() as fake, fake.client() as http:
        fault = fake.faults(faults.hang())
        injected = fault.__enter__()
        call = Thread(target=lambda: answers.append(create(http).status_code))
        call.start()
        while not injected.fired:
            fake.advance(seconds=1)
    call.join()
    assert answers == [202]


def test_a_delay_comes_before_other_faults(codeq: FakeCodeQ, http: httpx.Client) -> None:
    """The false emptiness of a claim is of the moment in which the claim looks."""
    codeq.enqueue("A")
    answers: list[int] = []
    with codeq.faults(faults.false_empty(times=1), faults.delay(5, on="claim", times=1)) as injected:
        call = Thread(target=lambda: answers.append(claim(http).status_code))
        call.start()
        while not injected.fired:
            codeq.advance(seconds=0)
        with codeq.client() as other:
            assert claim(other).status_code == 200
        codeq.enqueue("A")
        codeq.advance(seconds=5)
        call.join()
    assert answers == [204]
