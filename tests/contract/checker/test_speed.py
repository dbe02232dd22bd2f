"""The checker keeps up with long histories."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator

import pytest

from codeq_contract.checker import Validity, check
from codeq_contract.recordings.format import Call, Recording
from codeq_contract.recordings.times import MILLISECOND
from tests.contract.checker.support import EPOCH, WORKERS, header

EVENTS = 100_000
BACKLOG = 500


def long_history() -> Iterator[Call]:
    """Tasks that are created, claimed, beaten for and completed, four calls each, with a backlog of some hundreds."""
    for number in range(EVENTS // 4):
        worker = WORKERS[number % len(WORKERS)]
        task_id = f"{number:08}"
        shown = {
            "id": task_id,
            "command": "A",
            "payload": "{}",
            "status": "PENDING",
            "lastKnownLocation": "PENDING_LIST",
            "maxAttempts": 5,
            "tenantId": "acme",
            "createdAt": "2027-01-15T05:00:00.3-03:00",
        }
        held = {**shown, "status": "IN_PROGRESS", "workerId": worker, "attempts": 1}
        claimed = number + BACKLOG
        record = {"taskId": task_id, "status": "FAILED", "completedAt": shown["createdAt"]}
        create, claim = {"command": "A", "payload": {}}, {"commands": ["A"], "leaseSeconds": 30}
        first = 4 * number
        yield call(first, number, "prod", "", body=create, status=202, reply=shown)
        yield call(first + 1, claimed, worker, "/claim", body=claim, status=200, reply=held)
        beat = f"/{task_id}/heartbeat"
        yield call(first + 2, claimed + 1, worker, beat, body={"extendSeconds": 30}, status=200, reply={"ok": True})
        result = f"/{task_id}/result"
        yield call(first + 3, claimed + 2, worker, result, body={"status": "FAILED"}, status=200, reply=record)


def call(number: int, at: int, who: str, path: str, *, body: object, status: int, reply: object) -> Call:
    sent = EPOCH + at * 10 * MILLISECOND
    answered = sent + 5 * MILLISECOND
    url = f"/v1/codeq/tasks{path}"
    return Call(number, sent, answered, who, "POST", url, {}, json.dumps(body), status, {}, json.dumps(reply))


@pytest.mark.slow
def test_100_000_events_are_judged_in_less_than_ten_seconds() -> None:
    calls = tuple(sorted(long_history(), key=lambda call: call.sent))
    assert len(calls) == EVENTS
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    report = check(Recording(header(), calls, ()))
    # Processor time: what else the machine does is not the checker's.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 10
    assert report.validity is Validity.VALID
