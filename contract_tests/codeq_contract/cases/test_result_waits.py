"""Reads that wait for a result, on the main branch (G1)."""

from __future__ import annotations

import pytest

from codeq_contract.recordings.times import MILLISECOND
from codeq_contract.suite.case import checks, timed
from codeq_contract.suite.case_context import CaseContext

pytestmark = timed

NO_RESULT = (404, "result not found")

#: The pause between two looks.
LOOK = 100 * MILLISECOND


@checks("G1.1")
@pytest.mark.parametrize("seconds", [1, 3])
def test_a_read_waits_its_time_for_a_result(contract: CaseContext, seconds: int) -> None:
    task = contract.leased()
    reply = contract.producer.result(task, f"?waitSeconds={seconds}")
    assert reply.refusal == NO_RESULT
    assert contract.took(reply, seconds)


@checks("G1.10")
@pytest.mark.parametrize("text", ["%2B1", "001", "%2B" + 30 * "0" + "1"])
def test_a_number_of_seconds_may_have_a_sign_and_zeros(contract: CaseContext, text: str) -> None:
    reply = contract.producer.result(contract.leased(), f"?waitSeconds={text}")
    assert reply.refusal == NO_RESULT
    assert contract.took(reply, 1)


@checks("G1.7")
def test_a_read_waits_60_seconds_at_most(contract: CaseContext) -> None:
    task = contract.leased(300)
    for seconds in (60, 61, 2**63 - 1):
        assert contract.took(contract.producer.result(task, f"?waitSeconds={seconds}"), 60), seconds


@checks("G1.2", "G1.3")
def test_a_read_that_waits_ends_with_the_result_that_comes(contract: CaseContext) -> None:
    task = contract.leased()
    read, ended = contract.together(
        [contract.producer.reading(task, "?waitSeconds=20"), contract.worker.submitting(task)]
    )
    assert (ended.status, read.status) == (200, 200)
    assert read.json["result"] == ended.json
    # A server stores the result before the task, which the reply may still show in progress.
    assert read.json["task"]["id"] == task["id"]
    late = read.returned - read.called
    assert late == LOOK if contract.time_bounds.exact else late <= contract.time_bounds.lateness


@checks("G1.4", "G1.5")
def test_a_read_does_not_wait_for_what_is_there_or_never_comes(contract: CaseContext) -> None:
    task = contract.leased()
    ended = contract.worker.submit(task)
    there, unknown = (contract.producer.result(each, "?waitSeconds=15") for each in (task, "none"))
    assert (there.status, there.json["result"]) == (200, ended.json)
    assert unknown.refusal == (404, "task not found")
    assert contract.took(there, 0)
    assert contract.took(unknown, 0)


@checks("G1.6", "G1.8")
@pytest.mark.parametrize(
    "query",
    [
        "",
        *(f"?waitSeconds={text}" for text in ("0", "-1", "1.5", "+12", "x", "", "12s", "9223372036854775808")),
        *(
            f"?waitSeconds={text}"
            for text in ("%2B%2B12", "12%2B", "1_2", "%D9%A1%D9%A2", "%C2%B2", "0x1", "-0", 5000 * "9")
        ),
        "?waitSeconds=0&waitSeconds=12",
        "?waitSeconds=&waitSeconds=12",
        "?WaitSeconds=12",
    ],
)
def test_a_read_without_a_whole_number_of_seconds_answers_at_once(contract: CaseContext, query: str) -> None:
    reply = contract.producer.result(contract.leased(), query)
    assert reply.refusal == NO_RESULT
    assert contract.took(reply, 0)


@checks("G1.9")
def test_a_read_waits_for_a_dead_letter_to_its_end(contract: CaseContext) -> None:
    task = contract.leased(maxAttempts=1)
    assert contract.worker.nack(task).json["status"] == "dlq"
    reply = contract.producer.result(task, "?waitSeconds=1")
    assert reply.refusal == NO_RESULT
    assert contract.took(reply, 1)
