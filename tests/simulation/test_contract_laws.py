"""The contract's laws on the fake's own history: a fake with a fault breaks one, and a race is told as such."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from codeq_fake import faults
from codeq_fake.core import results
from codeq_fake.core.profiles import Store
from codeq_fake.core.queue import Queue
from codeq_fake.core.task import State, Task
from codeq_fake.simulation.contract_laws import contract_is_kept, judges
from codeq_fake.simulation.runs import run_once
from tests.simulation.support import httpx_worker, twenty_tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from codeq_fake.simulation.evidence import Violation
    from tests.simulation.worlds import Run

_SECOND = 1_000_000_000

HOLDS_ALONE = "A task is in one worker's hands at a time"
HOLDS = "A live lease is respected"
OWNER = "Only the holder of a task can settle or keep it"
ENDED = "A finished task stays finished"
EMPTY = "No claim comes back empty while a task waits"


def violations(run: Run) -> list[Violation]:
    return list(contract_is_kept(run.evidence()))


def found(run: Run) -> set[tuple[str, str]]:
    """The broken laws, each with its race."""
    return {(violation.law, violation.race) for violation in violations(run)}


def test_the_suite_is_installed_beside_the_simulation() -> None:
    assert len(judges()) == 1


# Fakes with a fault.


def deliver_twice(patch: pytest.MonkeyPatch) -> None:
    take = Queue.take

    def take_and_leave(queue: Queue) -> Task | None:
        task = take(queue)
        if task is not None:
            task.state = State.READY
            queue.put(task)
        return task

    patch.setattr(Queue, "take", take_and_leave)


def lose_what_comes_due(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Queue, "pop_due", lambda queue, *, limit, now: iter(()))  # noqa: ARG005 - as it is called


def end_leases_early(patch: pytest.MonkeyPatch, seconds: int = 30) -> None:
    expired_from = Store.lease_expired_from
    patch.setattr(Store, "lease_expired_from", lambda store, end: expired_from(store, end) - seconds * _SECOND)


def accept_stale_results(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(results, "check_holder", lambda task, worker: task)  # noqa: ARG005 - as it is called


def two_claims(run: Run) -> None:
    run.claim("worker-1")
    run.advance(5)
    run.claim("worker-2")


def a_claim_after_a_nack(run: Run) -> None:
    task = run.fake.tasks()[0].id
    run.claim("worker-1")
    run.advance(5)
    run.post("worker-1", f"/v1/codeq/tasks/{task}/nack", b'{"delaySeconds": 3}')
    run.advance(10)
    run.claim("worker-2")


def a_claim_before_the_end_of_a_lease(run: Run) -> None:
    run.claim("worker-1")
    run.advance(35)
    run.claim("worker-2")
    run.advance(15)
    run.claim("worker-2")


def a_result_after_the_lease(run: Run) -> None:
    task = run.fake.tasks()[0].id
    run.claim("worker-1")
    run.advance(65)
    run.claim("worker-2")
    run.advance(15)
    run.claim("worker-2")
    run.advance(1)
    run.finish("worker-1", task)


@pytest.mark.parametrize(
    ("fault", "story", "law"),
    [
        (deliver_twice, two_claims, HOLDS_ALONE),
        (lose_what_comes_due, a_claim_after_a_nack, EMPTY),
        (end_leases_early, a_claim_before_the_end_of_a_lease, HOLDS_ALONE),
        (accept_stale_results, a_result_after_the_lease, OWNER),
    ],
)
def test_a_fake_with_a_fault_breaks_a_law(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[pytest.MonkeyPatch], None],
    story: Callable[[Run], None],
    law: str,
) -> None:
    task = run.create()
    run.advance(1)
    with monkeypatch.context() as patch:
        fault(patch)
        story(run)
    broken = violations(run)
    assert (law, "") in {(violation.law, violation.race) for violation in broken}
    assert all(violation.tasks == (task,) for violation in broken)


@pytest.mark.parametrize(
    "story", [two_claims, a_claim_after_a_nack, a_claim_before_the_end_of_a_lease, a_result_after_the_lease]
)
def test_the_same_stories_on_a_sound_fake_break_none(run: Run, story: Callable[[Run], None]) -> None:
    run.create()
    run.advance(1)
    story(run)
    assert violations(run) == []


@pytest.mark.slow
def test_a_run_on_a_fake_with_a_fault_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    end_leases_early(monkeypatch, seconds=58)
    outcome = run_once(partial(twenty_tasks, program=httpx_worker, tasks=2), 1)
    assert outcome.failed
    assert HOLDS in {violation.law for violation in outcome.violations}


# Races.


def a_revoked_lease(run: Run) -> None:
    run.claim("worker-1")
    run.advance(1)
    run.fake.race("revoke_lease", run.fake.tasks()[0].id)
    run.advance(20)
    run.claim("worker-2")


def a_finished_task_again(run: Run) -> None:
    task = run.fake.tasks()[0].id
    run.claim("worker-1")
    run.advance(1)
    run.finish("worker-1", task)
    run.fake.race("redeliver_finished", task)
    run.advance(1)
    run.claim("worker-2")


def an_empty_claim(run: Run) -> None:
    with run.fake.faults(faults.false_empty(times=1)):
        run.claim("worker-1")


def a_result_beside_another(run: Run) -> None:
    task = run.fake.tasks()[0].id
    run.claim("worker-1")
    run.advance(1)
    run.finish("worker-1", task)
    with run.fake.faults(faults.accept_result_twice(times=1)):
        run.post("worker-1", f"/v1/codeq/tasks/{task}/result", b'{"status": "FAILED", "error": "e"}')


@pytest.mark.parametrize(
    ("story", "law", "race"),
    [
        (a_finished_task_again, ENDED, "Z1"),
        (a_revoked_lease, HOLDS_ALONE, "Z3"),
        (an_empty_claim, EMPTY, "Z4"),
        (a_result_beside_another, ENDED, "Z5"),
    ],
)
def test_what_a_race_explains_is_told_as_that_race(run: Run, story: Callable[[Run], None], law: str, race: str) -> None:
    run.create()
    run.advance(1)
    story(run)
    broken = found(run)
    assert (law, race) in broken
    assert {told for _, told in broken} == {race}


def test_a_race_does_not_explain_what_was_before_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    task = run.create()
    run.advance(1)
    end_leases_early(monkeypatch)
    a_claim_before_the_end_of_a_lease(run)
    run.advance(1)
    run.fake.race("revoke_lease", task)
    assert (HOLDS_ALONE, "") in found(run)


# What the fake knows, and the recording does not.


def test_what_a_test_does_by_hand_breaks_no_law(run: Run) -> None:
    task = run.create()
    run.advance(1)
    run.claim("worker-1")
    run.advance(1)
    run.fake.take(task)
    run.advance(20)
    run.claim("worker-2")
    assert violations(run) == []


def test_a_task_that_a_test_has_created_and_a_clean_up_has_deleted_breaks_no_law(run: Run) -> None:
    run.create()
    run.advance(1)
    run.claim("worker-1")
    run.advance(2 * 24 * 60 * 60)
    run.post("producer", "/v1/codeq/admin/tasks/cleanup", json.dumps({"before": run.fake.now}).encode())
    assert run.fake.tasks() == []
    assert violations(run) == []


def test_an_operation_without_an_answer_breaks_no_law(run: Run) -> None:
    run.create()
    run.advance(1)
    run.fake.claim("CHARGE", worker="worker-1", lease=60)  # as of a server that is killed before it answers
    run.advance(70)
    run.claim("worker-2")
    run.advance(20)
    run.claim("worker-2")
    assert violations(run) == []


def test_a_request_that_a_fault_has_refused_leaves_no_doubt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.create()
    run.advance(1)
    with run.fake.faults(faults.refuse(500)):
        run.claim("worker-1")
    end_leases_early(monkeypatch)
    a_claim_before_the_end_of_a_lease(run)
    assert (HOLDS_ALONE, "") in found(run)


def test_a_skewed_clock_of_the_server_is_no_breach(run: Run) -> None:
    task = run.create()
    run.advance(1)
    run.claim("worker-1")
    run.advance(1)
    with run.fake.faults(faults.clock_skew(-3600, on="heartbeat")):
        run.heartbeat("worker-1", task)
    run.advance(5)
    run.claim("worker-2")
    run.advance(15)
    run.claim("worker-2")
    assert violations(run) == []
