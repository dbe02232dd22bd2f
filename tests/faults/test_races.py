"""The real server's races over HTTP: what a worker sees of each (Z1 to Z6)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from codeq_contract.recordings.files import read_recording
from codeq_fake import faults
from tests.faults.support import TASKS, claim, complete, create, heartbeat

if TYPE_CHECKING:
    import httpx

    from codeq_fake.testing import FakeCodeQ


def read(http: httpx.Client, task_id: str) -> dict[str, object]:
    shown: dict[str, object] = http.get(f"{TASKS}/{task_id}").json()
    return shown


def finished(http: httpx.Client) -> str:
    task_id: str = create(http).json()["id"]
    claim(http)
    complete(http, task_id, n=1)
    return task_id


def test_z1_a_finished_task_is_handed_out_again_and_takes_a_second_result(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.redeliver_finished(times=1)):
        task_id = finished(http)
    assert read(http, task_id)["status"] == "COMPLETED"
    again = claim(http).json()
    assert (again["id"], again["status"], again["attempts"]) == (task_id, "IN_PROGRESS", 2)
    assert complete(http, task_id, n=2).status_code == 200
    assert http.get(f"{TASKS}/{task_id}/result").json()["result"]["result"] == {"n": 2}
    assert claim(http).status_code == 204


def test_z1_each_task_of_a_batch_may_come_back(codeq: FakeCodeQ, http: httpx.Client) -> None:
    ids = [create(http).json()["id"] for _ in range(2)]
    http.post(f"{TASKS}/claim/batch", json={"commands": ["A"], "count": 2})
    results = [{"taskId": task_id, "status": "COMPLETED", "result": {}} for task_id in ids]
    with codeq.faults(faults.redeliver_finished()) as fault:
        http.post(f"{TASKS}/batch/results", json={"results": results})
    assert sorted(claim(http).json()["id"] for _ in ids) == sorted(ids)
    assert fault.fired == 1


def test_z1_a_refused_result_redelivers_nothing(codeq: FakeCodeQ, http: httpx.Client) -> None:
    task_id = create(http).json()["id"]
    with codeq.faults(faults.redeliver_finished(times=1)) as fault:
        assert complete(http, task_id).status_code == 409
        assert (fault.met, fault.fired) == (1, 0)
        claim(http)
        complete(http, task_id)
    assert fault.fired == 1


def test_z2_a_lost_task_stays_in_progress(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.lose_task(times=1)):
        task_id = create(http).json()["id"]
        claim(http, leaseSeconds=10)
    codeq.advance(seconds=3600)
    assert claim(http).status_code == 204
    shown = read(http, task_id)
    assert (shown["status"], shown["lastKnownLocation"]) == ("IN_PROGRESS", "INPROG_SET")
    assert "Z2" in str(codeq.task(task_id).claimable["reason"])


def test_z2_the_worker_that_holds_it_can_still_finish_it(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.lose_task(on="heartbeat")):
        task_id = create(http).json()["id"]
        claim(http)
        assert heartbeat(http, task_id).status_code == 200
    assert complete(http, task_id).status_code == 200


def test_z3_a_revoked_lease_is_refused_as_409_and_403_once_somebody_else_has_it(
    codeq: FakeCodeQ, http: httpx.Client
) -> None:
    with codeq.faults(faults.revoke_lease(times=1)):
        task_id = create(http).json()["id"]
        assert claim(http).json()["attempts"] == 1
    shown = read(http, task_id)
    assert (shown["status"], shown["attempts"], "workerId" in shown) == ("PENDING", 2, False)
    assert codeq.task(task_id).history[-1]["at"] == "2026-01-31T12:00:00Z"
    refused = complete(http, task_id)
    assert (refused.status_code, refused.json()) == (409, {"error": "not-in-progress"})
    refused = heartbeat(http, task_id)
    assert (refused.status_code, refused.json()) == (403, {"error": "not-owner"})


def test_z3_the_result_itself_may_come_too_late(codeq: FakeCodeQ, http: httpx.Client) -> None:
    task_id = create(http).json()["id"]
    claim(http)
    with codeq.faults(faults.revoke_lease(on="complete")):
        assert complete(http, task_id).status_code == 409


def test_z4_a_claim_finds_nothing_though_there_is_a_task(codeq: FakeCodeQ, http: httpx.Client) -> None:
    create(http)
    with codeq.faults(faults.false_empty(times=1)):
        assert [claim(http).status_code, claim(http).status_code] == [204, 200]


def test_z4_a_batch_ends_there(codeq: FakeCodeQ, http: httpx.Client) -> None:
    create(http)
    batch = {"commands": ["A"], "count": 2}
    with codeq.faults(faults.false_empty(on="claim_batch", times=1)):
        assert http.post(f"{TASKS}/claim/batch", json=batch).status_code == 204


def test_z4_a_long_poll_finds_the_task_at_its_next_try(codeq: FakeCodeQ, http: httpx.Client) -> None:
    create(http)
    answers: list[int] = []
    with codeq.faults(faults.false_empty(times=1)) as fault:
        call = Thread(target=lambda: answers.append(claim(http, waitSeconds=1).status_code))
        call.start()
        while not fault.fired:
            codeq.advance(seconds=0)
        codeq.advance(seconds=0.25)
        call.join()
    assert answers == [200]


@pytest.mark.parametrize("bad", [{"count": 0}, {"count": 11}, {"count": "1"}])
def test_z4_does_not_happen_to_a_claim_that_is_refused(
    codeq: FakeCodeQ, http: httpx.Client, bad: dict[str, object]
) -> None:
    create(http, "GENERATE_MASTER")
    with codeq.faults(faults.false_empty()) as fault:
        assert http.post(f"{TASKS}/claim/batch", json={"commands": ["GENERATE_MASTER"], **bad}).status_code == 400
    assert (fault.met, fault.fired) == (1, 0)
    assert claim(http, "GENERATE_MASTER").status_code == 200


@pytest.mark.parametrize("commands", [[], ["B"]])
def test_z4_does_not_happen_in_an_empty_queue(codeq: FakeCodeQ, http: httpx.Client, commands: list[str]) -> None:
    create(http)
    with codeq.faults(faults.false_empty()) as fault:
        http.post(f"{TASKS}/claim", json={"commands": commands})
    assert (fault.met, fault.fired) == (1, 0)


def test_an_injected_race_touches_its_clause(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.redeliver_finished()):
        finished(http)
    touched = {entry["id"]: entry["touched"] for entry in codeq.contract()["clauses"]}
    assert [touched[race] for race in ("Z1", "Z2", "Z3", "Z4")] == [1, 0, 0, 0]


def test_the_observed_races_are_the_same_for_the_same_seed(http: httpx.Client, codeq: FakeCodeQ) -> None:
    rules = faults.observed_races(7)
    assert rules == faults.observed_races(7) != faults.observed_races(8)
    z1_to_z4 = ["redeliver_finished", "lose_task", "revoke_lease", "false_empty"]
    assert [rule.do for rule in rules] == [*z1_to_z4, "accept_result_twice", "double_create"]
    with codeq.faults(*rules):
        for _ in range(3):
            finished(http)


def test_z5_a_second_result_at_the_same_moment_is_accepted_and_stays(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.accept_result_twice()) as fault:
        task_id = finished(http)
        assert complete(http, task_id, n=2).status_code == 200
        codeq.advance(seconds=0.1)
        assert complete(http, task_id, n=3).status_code == 409
    assert http.get(f"{TASKS}/{task_id}/result").json()["result"]["result"] == {"n": 2}
    assert (fault.met, fault.fired) == (3, 1)


def test_z5_a_result_that_is_wrong_itself_is_refused(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.accept_result_twice()) as fault:
        task_id = finished(http)
        assert http.post(f"{TASKS}/{task_id}/result", json={"status": "DONE"}).status_code == 400
    assert complete(http, task_id, n=2).status_code == 409
    assert fault.fired == 0


def test_z6_one_key_at_the_same_moment_makes_a_task_each(codeq: FakeCodeQ, http: httpx.Client) -> None:
    def made() -> str:
        task_id: str = create(http, idempotencyKey="k").json()["id"]
        return task_id

    with codeq.faults(faults.double_create()) as fault:
        first, second = made(), made()
        codeq.advance(seconds=0.1)
        third = made()
    assert (first != second, third) == (True, second)
    assert (fault.met, fault.fired) == (3, 1)


def test_z6_a_create_that_is_wrong_itself_is_refused(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.double_create()) as fault:
        task_id = create(http, idempotencyKey="k").json()["id"]
        assert create(http, idempotencyKey="k", delaySeconds=-1).status_code == 400
    assert create(http, idempotencyKey="k").json()["id"] == task_id
    assert fault.fired == 0


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED"])
def test_a_heartbeat_beside_the_result_undoes_the_end_for_ever(
    codeq: FakeCodeQ, http: httpx.Client, status: str
) -> None:
    task_id = create(http).json()["id"]
    claim(http)
    with codeq.faults(faults.undo_end()) as fault:
        http.post(f"{TASKS}/{task_id}/result", json={"status": status, "result": {"n": 1}, "error": "no"})
        assert heartbeat(http, task_id).status_code == 200
        codeq.advance(seconds=0.1)
        assert heartbeat(http, task_id).status_code == 200, "it is as in progress as any"
    shown = read(http, task_id)
    assert (shown["status"], shown["lastKnownLocation"], "error" in shown) == ("IN_PROGRESS", "INPROG_SET", False)
    assert shown["leaseUntil"] == "2026-01-31T12:01:00Z"
    assert http.get(f"{TASKS}/{task_id}/result").json()["result"]["status"] == status
    codeq.advance(seconds=3600)
    assert claim(http).status_code == 204
    assert (fault.met, fault.fired) == (2, 1)


def test_a_later_heartbeat_undoes_nothing(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.undo_end()) as fault:
        task_id = finished(http)
        codeq.advance(seconds=0.1)
        assert heartbeat(http, task_id).status_code == 403
    assert read(http, task_id)["status"] == "COMPLETED"
    assert (fault.met, fault.fired) == (1, 0)


def test_an_undone_end_reads_as_it_was_recorded_of_the_real_server(codeq: FakeCodeQ, http: httpx.Client) -> None:
    """The last task of the recording: create, claim, result with a heartbeat beside it, and what is read then."""
    *_, create, claim, submit, heartbeat, read, again, result, empty, sizes = read_recording(RECORDED).calls
    codeq.next(ids=[json.loads(create.reply)["id"]])
    with codeq.faults(faults.undo_end()) as fault:
        for call in (create, claim, submit, heartbeat, read, again, result, empty, sizes):
            reply = http.request(call.method, call.path, content=call.body)
            assert (reply.status_code, lasting(reply.text)) == (call.status, lasting(call.reply)), call
    assert fault.fired == 1


RECORDED = Path(__file__).parents[1] / "histories/redis/undone_end.jsonl.gz"


def lasting(reply: str) -> str:
    """A reply without what depends on the time and the callers."""
    return re.sub(r'"(createdAt|updatedAt|completedAt|leaseUntil|tenantId|workerId)":"[^"]*"', r'"\1":""', reply)
