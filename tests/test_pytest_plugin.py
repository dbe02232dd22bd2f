"""The pytest plugin, as a user of it sees it: fixtures, options, and the report of a failed test."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from codeq_fake.testing import FakeCodeQ

    Outcome = tuple[str, int]
    Run = Callable[..., Outcome]

INI = "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a test file in a pytest of its own: what it prints, and its exit code."""

    def run(test: str, ini: str = "", *arguments: str) -> Outcome:
        (tmp_path / "test_example.py").write_text(test, encoding="utf-8")
        (tmp_path / "pytest.ini").write_text(INI + ini, encoding="utf-8")
        # Schemathesis takes seconds to load, and is nothing that a user needs.
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr, done.returncode

    return run


def test_each_test_gets_a_fake_of_its_own(run: Run) -> None:
    test = """
def test_one(codeq):
    assert codeq.tasks() == []
    codeq.enqueue("A", 1)

test_two = test_one
"""
    assert run(test)[1] == 0


def test_marker_goes_before_fixture_goes_before_ini(run: Run) -> None:
    test = """
import pytest

@pytest.fixture
def codeq_options():
    return {"now": "2026-01-31T12:00:00Z"}

@pytest.mark.codeq(profile="kvrocks-2.9")
def test_marked(codeq):
    assert "kvrocks-2.9 at 2026-01-31T12:00:00Z (manual)" in repr(codeq)

def test_plain(codeq):
    assert "redis at 2026-01-31T12:00:00Z" in repr(codeq)
"""
    assert run(test, "codeq_profile = redis\n", "--strict-markers")[1] == 0


def test_a_misspelled_option_is_an_error(run: Run) -> None:
    test = """
import pytest

@pytest.mark.codeq(profil="redis")
def test_marked(codeq):
    pass
"""
    printed, code = run(test)
    assert code == 1
    assert "profil" in printed


def test_a_failed_tests_report_tells_what_happened(run: Run) -> None:
    test = """
def test_fails(codeq):
    task = codeq.enqueue("RENDER", 1)
    codeq.enqueue("RENDER", 2, delay=30)
    with codeq.client() as http:
        http.post("/v1/codeq/tasks/claim", json={"commands": ["RENDER"], "leaseSeconds": 60})
    assert codeq.task(task.id).status == "COMPLETED"
"""
    printed, code = run(test)
    assert code == 1
    assert "RENDER  IN_PROGRESS, INPROG_SET" in printed
    assert "claimed by worker-dev -> INPROG_SET" in printed
    assert "not claimable: worker-dev holds its lease" in printed
    assert "not claimable: it is delayed" in printed


def test_a_test_without_a_fake_pays_nothing(run: Run) -> None:
    test = """
import sys

def test_imports():
    assert not {"codeq_fake.testing", "starlette", "httpx"} & set(sys.modules)
"""
    assert run(test)[1] == 0


def test_it_works_with_asyncio_and_anyio(run: Run) -> None:
    test = """
import pytest

async def story(codeq):
    task = codeq.enqueue("A", 1)
    async with codeq.async_client() as http:
        await http.post("/v1/codeq/tasks/claim", json={"commands": ["A"], "leaseSeconds": 5})
        await codeq.aadvance(seconds=10)
        assert (await http.post("/v1/codeq/tasks/claim", json={"commands": ["A"]})).status_code == 204
    assert codeq.task(task.id).attempts == 2

@pytest.mark.asyncio
async def test_asyncio(codeq):
    await story(codeq)

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_anyio(codeq):
    await story(codeq)
"""
    printed, code = run(test)
    assert code == 0, printed


def test_a_served_fake_is_the_same_on_a_port(run: Run) -> None:
    test = """
import urllib.request

def test_served(codeq_server):
    urllib.request.urlopen(codeq_server.env["CODEQ_BASE_URL"] + "/metrics").close()
    assert [request["path"] for request in codeq_server.requests] == ["/metrics"]
"""
    printed, code = run(test)
    assert code == 0, printed


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


def test_assert_dead_looks_at_place_and_error(codeq: FakeCodeQ) -> None:
    task = codeq.enqueue("A", 1, max_attempts=1)
    with pytest.raises(AssertionError, match="is no dead letter"):
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
    with pytest.raises(AssertionError, match=r"1 tasks are still leased(.|\n)*leased to worker-dev"):
        codeq.assert_no_leases()
    _submit(codeq, task_id, {"ok": True})
    codeq.assert_no_leases()


def test_assert_callback_counts_tries_and_looks_at_the_last_answer(codeq: FakeCodeQ) -> None:
    with pytest.raises(AssertionError, match="there were no callbacks at all"):
        codeq.assert_callback("http://app.test/done")
    codeq.enqueue("A", 1, webhook="https://your-app.com/done")
    _submit(codeq, _claim(codeq, "A"), {"ok": True})
    codeq.advance(0)
    codeq.assert_callback("https://your-app.com/done", times=1)
    with pytest.raises(AssertionError, match=r"last answer of .* was not 200(.|\n)*blocked"):
        codeq.assert_callback("https://your-app.com/done", status=200)
    with pytest.raises(AssertionError, match="was called 1 times, not 2"):
        codeq.assert_callback("https://your-app.com/done", times=2)


def test_wait_until_lets_virtual_time_pass(codeq: FakeCodeQ) -> None:
    task = codeq.enqueue("A", 1, delay=10)
    codeq.wait_until(lambda: codeq.task(task.id).claimable["now"])
    with pytest.raises(AssertionError, match=r"not true within 1 s\nnow "):
        codeq.wait_until(lambda: False, within=1)
