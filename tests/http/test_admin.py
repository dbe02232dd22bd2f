"""The admin routes (M1 to M3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.http.support import CLAIM, CLEANUP, IDENTITIES, NOW, QUEUES, TASKS

if TYPE_CHECKING:
    import httpx

    from codeq_fake.testing import FakeCodeQ


def fill(codeq: FakeCodeQ, command: str, tenant: str) -> None:
    for priority in (0, 9, 9):
        codeq.enqueue(command, tenant=tenant, priority=priority)
    codeq.enqueue(command, tenant=tenant, delay=5)


def test_m1_sizes_are_keyed_by_storage_key_in_alphabetical_order(codeq: FakeCodeQ, admin: httpx.Client) -> None:
    fill(codeq, "Generate_Master", "")
    fill(codeq, "GENERATE_CREATIVE", "acme")
    reply = admin.get(QUEUES)
    assert reply.status_code == 200
    assert list(reply.json()) == sorted(reply.json())
    assert len(reply.json()) == 26
    assert {key: size for key, size in reply.json().items() if size} == {
        "codeq:q:generate_master:delayed": 1,
        "codeq:q:generate_master:pending:0": 1,
        "codeq:q:generate_master:pending:9": 2,
    }


def test_m2_stats_are_those_of_the_callers_tenant(codeq: FakeCodeQ, admin: httpx.Client, worker: httpx.Client) -> None:
    fill(codeq, "PACK", "acme")
    fill(codeq, "PACK", "beta")
    worker.post(CLAIM, json={"commands": ["PACK"]})
    assert admin.get(f"{QUEUES}/Pack").text == '{"command":"Pack","ready":2,"delayed":1,"inProgress":1,"dlq":0}'
    assert admin.get(f"{QUEUES}/a%22b").text == r'{"command":"a\"b","ready":0,"delayed":0,"inProgress":0,"dlq":0}'


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({}, '"2026-11-25T06:15:00Z","deleted":4,"limit":0'),
        ({"limit": 3}, '"2026-11-25T06:15:00Z","deleted":3,"limit":3'),
        ({"limit": -3, "before": ""}, '"2026-11-25T06:15:00Z","deleted":4,"limit":-3'),
        ({"before": "2026-11-25T03:15:00.5-03:00"}, '"2026-11-25T03:15:00-03:00","deleted":4,"limit":0'),
        ({"before": "2026-11-25T06:14:59Z"}, '"2026-11-25T06:14:59Z","deleted":0,"limit":0'),
        ({"before": "2099-01-01T00:00:00Z", "limit": 9}, '"2099-01-01T00:00:00Z","deleted":4,"limit":9'),
    ],
)
def test_m3_a_cleanup_reports_what_it_deleted(
    codeq: FakeCodeQ, admin: httpx.Client, body: dict[str, Any], shown: str
) -> None:
    fill(codeq, "PACK", "beta")
    codeq.advance(seconds=24 * 60 * 60)
    reply = admin.post(CLEANUP, json=body)
    assert (reply.status_code, reply.text) == (200, f'{{"before":{shown}}}')


@pytest.mark.parametrize("before", ["tomorrow", "2026-11-25", "2026-11-25 06:15:00Z", "2026-11-25T24:00:00Z"])
def test_m3_a_time_that_cannot_be_read_is_refused(codeq: FakeCodeQ, admin: httpx.Client, before: str) -> None:
    fill(codeq, "PACK", "acme")
    codeq.advance(seconds=48 * 60 * 60)
    reply = admin.post(CLEANUP, json={"before": before})
    assert (reply.status_code, reply.json()) == (400, {"error": "invalid 'before' (use RFC3339)"})
    assert len(codeq.tasks()) == 4


def test_m3_a_deleted_task_is_not_found(codeq: FakeCodeQ, admin: httpx.Client, worker: httpx.Client) -> None:
    task = codeq.enqueue("A", tenant="acme")
    worker.post(CLAIM, json={"commands": ["A"]})
    worker.post(f"{TASKS}/{task.id}/result", json={"status": "COMPLETED", "result": {}})
    assert admin.post(CLEANUP, json={"before": "2026-11-25T06:15:00Z"}).json()["deleted"] == 1
    assert worker.get(f"{TASKS}/{task.id}").json() == {"error": "not found"}
    assert worker.get(f"{TASKS}/{task.id}/result").json() == {"error": "task not found"}


@pytest.mark.parametrize(("method", "path"), [("GET", QUEUES), ("GET", f"{QUEUES}/A"), ("POST", CLEANUP)])
def test_a8_the_admin_routes_require_an_admin(codeq: FakeCodeQ, method: str, path: str) -> None:
    refused = (401, {"error": "unauthorized. Admin only"})
    with codeq.client("producer") as producer, codeq.client("admin") as admin:
        assert (reply := producer.request(method, path)).status_code == refused[0]
        assert reply.json() == refused[1]
        assert producer.request(method, path, headers={"X-Role": "admin"}).status_code == 200  # in development
        assert admin.request(method, path).status_code == 200


@pytest.mark.codeq(yaml="env: prod", identities=IDENTITIES, now=NOW)
def test_a8_outside_development_the_role_header_is_ignored(codeq: FakeCodeQ) -> None:
    with codeq.client("producer", headers={"X-Role": "ADMIN"}) as producer:
        assert producer.get(QUEUES).status_code == 401
