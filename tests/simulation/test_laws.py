"""The laws: what must hold at the end of each run, and what a race of the server explains."""

from __future__ import annotations

import pytest

from codeq_fake import faults
from codeq_fake.simulation.laws import find_violations
from codeq_fake.simulation.log import LostError
from tests.simulation.worlds import HOSTS, Run, evidence


def test_a_run_in_which_all_is_well_breaks_no_law(run: Run) -> None:
    for host in HOSTS:
        task = run.create()
        run.claim(host)
        run.finish(host, task)
    run.advance(200)
    for host in HOSTS:
        run.claim(host)
    assert find_violations(run.evidence(calm_since=150)) == []


def test_an_error_of_a_program_is_not_lost() -> None:
    lost = (LostError(12.34, "worker-2", KeyError("order")), LostError(15.0, "worker-1", KeyError("order")))
    assert list(map(str, find_violations(evidence(errors=lost)))) == [
        "no error is lost: worker-2 ended at 12.3 s with KeyError: 'order'",
        "no error is lost: worker-1 ended at 15.0 s with KeyError: 'order'",
    ]


def test_an_error_of_each_start_of_a_program_is_told_once() -> None:
    lost = [LostError(at, "worker-2", KeyError("order")) for at in (3.0, 6.61, 12.34)]
    (violation,) = find_violations(evidence(errors=lost))
    assert violation.text == "worker-2 ended at 3.0 s with KeyError: 'order' (and again, 2 times until 12.3 s)"


@pytest.mark.parametrize(
    ("path", "content", "misuse"),
    [
        ("/v1/codeq/tasks/claim", b"{", "worker-1 sent a bad request"),
        ("/v1/codeq/tasks/claims", b"{}", "a program sent a request to no route"),
    ],
)
def test_a_misuse_of_the_api_is_told(run: Run, path: str, content: bytes, misuse: str) -> None:
    run.advance(5)
    run.post("worker-1", path, content)
    (violation,) = find_violations(run.evidence())
    assert violation.law == "the API is not misused"
    assert f"{misuse} at 5.0 s: POST {path} -> " in violation.text


def test_a_refusal_and_an_unknown_task_are_no_misuse(run: Run) -> None:
    task = run.create()
    run.claim("worker-1")
    run.finish("worker-1", task)
    assert run.finish("worker-1", task) == 409
    assert run.finish("worker-1", "unknown") == 404
    assert find_violations(run.evidence(calm_since=None)) == []


def test_an_answer_of_the_proxy_is_no_misuse(run: Run) -> None:
    with run.fake.faults(faults.refuse(400)):
        run.claim("worker-1")
    assert find_violations(run.evidence()) == []


def test_a_test_itself_may_send_what_it_likes(run: Run) -> None:
    run.post("producer", "/v1/codeq/tasks", b"{")
    assert find_violations(run.evidence()) == []


def test_a_task_that_does_not_end_is_told_once_the_weather_is_calm(run: Run) -> None:
    task = run.create()
    run.claim("worker-1")
    (violation,) = find_violations(run.evidence(calm_since=0))
    assert violation.tasks == (task,)
    assert f"task {task} is IN_PROGRESS by worker-1 at 0.0 s, after 1 attempts" in violation.text
    assert find_violations(run.evidence(calm_since=None)) == []


def test_a_dead_letter_is_an_end(run: Run) -> None:
    task = run.create(max_attempts=1)
    run.claim("worker-1")
    run.advance(100)
    run.claim("worker-2")
    assert run.fake.task(task).location == "DLQ_SET"
    assert find_violations(run.evidence(calm_since=50)) == []


def test_a_lost_task_is_told_as_the_race(run: Run) -> None:
    task = run.create()
    run.claim("worker-1")
    run.fake.race("lose_task", task)
    (violation,) = find_violations(run.evidence(calm_since=0))
    assert violation.race == "Z2"
    assert str(violation).endswith("(explained by the race Z2)")


def test_a_worker_that_stops_to_claim_is_told_with_its_last_tasks(run: Run) -> None:
    for task in [run.create() for _ in range(6)]:
        run.claim("worker-2")
        run.finish("worker-2", task)
    for host in HOSTS:
        run.claim(host)
    run.advance(500)
    run.claim("worker-1")
    run.claim("worker-3")
    (violation,) = find_violations(run.evidence(calm_since=150))
    assert violation.law == "a living worker claims"
    assert "worker-2 runs, and its last claim was answered at 0.0 s of 500.0 s" in violation.text
    assert violation.tasks == tuple(task.id for task in run.fake.tasks()[-5:])


def test_a_worker_that_has_ended_or_never_claimed_or_works_need_not_claim(run: Run) -> None:
    run.claim("worker-1")
    assert find_violations(run.evidence(calm_since=0, end=500.0, running=("worker-2", "worker-3"))) == []
    run.create()
    run.claim("worker-2", lease=900)
    found = find_violations(run.evidence(calm_since=0, end=500.0, running=("worker-2",)))
    assert [violation.law for violation in found] == ["each task ends"]


def test_a_worker_whose_lease_has_just_ended_need_not_claim(run: Run) -> None:
    """Its handler may take a little longer than the lease. The task was lost, so nothing else waits for it (Z2)."""
    task = run.create()
    run.claim("worker-1", lease=60)
    run.fake.race("lose_task", task)
    laws = {end: {found.law for found in find_violations(run.evidence(calm_since=0, end=end))} for end in (119, 121)}
    assert laws == {119: {"each task ends"}, 121: {"each task ends", "a living worker claims"}}


def test_the_law_on_claims_needs_a_minute_of_calm(run: Run) -> None:
    run.claim("worker-1")
    assert find_violations(run.evidence(calm_since=450, end=500.0)) == []
