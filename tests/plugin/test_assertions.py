"""What a test can assert of its fake, and what it is told when that is not so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from codeq_fake.testing import FakeCodeQ
    from tests.plugin.support import Run


def _claim(fake: FakeCodeQ, command: str) -> str:
    with fake.client() as http:
        task: str = http.post("/v1/codeq/tasks/claim", json={"commands": [command], "leaseSeconds": 60}).json()["id"]
        return task


def _submit(fake: FakeCodeQ, task_id: str, result: object) -> None:
    with fake.client() as http:
        reply = http.post(f"/v1/codeq/tasks/{task_id}/result", json={"status": "COMPLETED", "result": result})
        reply.raise_for_status()


def test_assert_completed_tells_what_happened_instead(codeq: FakeCodeQ) -> None:
    task = codeq.enqueue("A", 1)
    with pytest.raises(AssertionError, match=r"is PENDING, not COMPLETED\n(.|\n)*created by dev -> PENDING_LIST"):
        codeq.assert_completed(task.id)
    _submit(codeq, _claim(codeq, "A"), {"pages": 3})
    codeq.assert_completed(task.id)
    codeq.assert_completed(task.id, {"pages": 3})
    with pytest.raises(AssertionError, match=r"\{'pages': 3\}, not \{'pages': 4\}"):
        codeq.assert_completed(task.id, {"pages": 4})


def test_an_assertion_about_a_task_tells_which_requests_about_it_were_refused(codeq: FakeCodeQ) -> None:
    task, other = codeq.enqueue("A", 1), codeq.enqueue("A", 2)
    with codeq.client() as http:
        for each in (task, other):
            http.post(f"/v1/codeq/tasks/{each.id}/result", json={"status": "COMPLETED", "result": {"pages": 3}})
    with pytest.raises(AssertionError) as failed:
        codeq.assert_completed(task.id)
    refused = [line for line in str(failed.value).splitlines() if line.startswith("refused")]
    assert len(refused) == 1
    assert f"/{task.id}/result" in refused[0]
    assert "409" in refused[0]
    with pytest.raises(AssertionError, match=r"is not a dead letter\n(.|\n)*refused .*: The task is not in progress"):
        codeq.assert_dead(task.id)


def test_assert_dead_looks_at_place_and_error(codeq: FakeCodeQ) -> None:
    task = codeq.enqueue("A", 1, max_attempts=1)
    with pytest.raises(AssertionError, match="is not a dead letter"):
        codeq.assert_dead(task.id)
    with codeq.client() as http:
        http.post(f"/v1/codeq/tasks/{_claim(codeq, 'A')}/nack", json={"reason": "no ink"})
    codeq.assert_dead(task.id)
    codeq.assert_dead(task.id, "no ink")
    with pytest.raises(AssertionError, match="died of 'no ink', not of 'no paper'"):
        codeq.assert_dead(task.id, "no paper")


def test_assert_no_leases_names_who_holds_one(codeq: FakeCodeQ) -> None:
    codeq.enqueue("A", 1)
    codeq.assert_no_leases()
    task_id = _claim(codeq, "A")
    with pytest.raises(AssertionError, match=r"1 task still leased(.|\n)*leased to worker-dev"):
        codeq.assert_no_leases()
    _submit(codeq, task_id, {"ok": True})
    codeq.assert_no_leases()


def test_assert_callback_counts_tries_and_looks_at_the_last_answer(codeq: FakeCodeQ) -> None:
    with pytest.raises(AssertionError, match="there were no callbacks at all"):
        codeq.assert_callback("http://app.test/done")
    codeq.assert_callback("https://your-app.com/done", times=0)
    codeq.enqueue("A", 1, webhook="https://your-app.com/done")
    _submit(codeq, _claim(codeq, "A"), {"ok": True})
    codeq.advance(0)
    codeq.assert_callback("https://your-app.com/done", times=1)
    with pytest.raises(AssertionError, match=r"last answer of .* was not 200(.|\n)*blocked"):
        codeq.assert_callback("https://your-app.com/done", status=200)
    with pytest.raises(AssertionError, match="was called 1 times, not 2"):
        codeq.assert_callback("https://your-app.com/done", times=2)
    with pytest.raises(AssertionError, match="was called 1 times, not 0"):
        codeq.assert_callback("https://your-app.com/done", times=0)


def test_wait_until_lets_virtual_time_pass(codeq: FakeCodeQ) -> None:
    task = codeq.enqueue("A", 1, delay=10)
    codeq.wait_until(lambda: codeq.task(task.id).claimable["now"])
    with pytest.raises(AssertionError, match=r"not true within 1 s\nnow "):
        codeq.wait_until(lambda: False, within=1)


def test_a_failed_assertion_is_shown_where_the_test_made_it(run: Run) -> None:
    test = """
def test_one(codeq):
    codeq.assert_completed(codeq.enqueue("A", 1).id)

def test_two(codeq):
    codeq.wait_until(lambda: False, within=1)
"""
    printed, code = run(test)
    assert code == 1
    assert "test_example.py:3: AssertionError" in printed
    assert "test_example.py:6: AssertionError" in printed
