"""The cost of a check grows with the length of the history, not with its square."""

from __future__ import annotations

import cProfile
import json
import pstats
from collections.abc import Iterator
from dataclasses import replace

import pytest

from codeq_contract.checker import Validity, check
from codeq_contract.recordings.format import Call, Recording
from codeq_contract.recordings.times import MILLISECOND
from tests.contract.checker.support import EPOCH, WORKERS, header

#: Calls later, the lease of a second is over.
LATER = 150


def crashes(tasks: int) -> Iterator[Call]:
    """Tasks whose workers come back after their leases, when another claim has requeued them."""
    for number in range(tasks + LATER):
        worker = WORKERS[number % len(WORKERS)]
        shown = {
            "id": f"{number:08}",
            "command": "A",
            "payload": "{}",
            "status": "PENDING",
            "maxAttempts": 5,
            "tenantId": "acme",
            "createdAt": "2027-01-15T05:00:00.3-03:00",
        }
        held = {**shown, "status": "IN_PROGRESS", "workerId": worker, "attempts": 1}
        create, claim = {"command": "A", "payload": {}}, {"commands": ["A"], "leaseSeconds": 1}
        yield call(number, "prod", "", body=create, status=202, reply=shown)
        yield call(number + 1, worker, "/claim", body=claim, status=200, reply=held)
        if number < tasks:
            result, refusal = f"/{shown['id']}/result", {"error": "not-in-progress"}
            yield call(number + LATER, worker, result, body={"status": "FAILED"}, status=409, reply=refusal)


def call(at: int, who: str, path: str, *, body: object, status: int, reply: object) -> Call:
    sent = EPOCH + at * 10 * MILLISECOND
    url = f"/v1/codeq/tasks{path}"
    return Call(at, sent, sent + 5 * MILLISECOND, who, "POST", url, {}, json.dumps(body), status, {}, json.dumps(reply))


def function_calls(tasks: int) -> int:
    """How many functions the check of that many tasks calls. Unlike seconds, it is the same on every machine."""
    calls = tuple(sorted(crashes(tasks), key=lambda call: call.sent))
    with cProfile.Profile() as profile:
        report = check(Recording(replace(header(), drained=False), calls, ()))
    assert report.validity is Validity.VALID, report.violations
    total: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]  # as documented
    return total


@pytest.mark.slow
def test_a_history_four_times_as_long_takes_little_more_than_four_times_the_work() -> None:
    assert function_calls(1000) < 5 * function_calls(250)
