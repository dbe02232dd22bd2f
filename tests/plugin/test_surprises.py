"""What a test run prints about requests for which the real server differs from its documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.support import Run

TEST = """
def test_one(codeq):
    with codeq.client() as http:
        http.get("/healthz")

def test_two(codeq):
    with codeq.client() as http:
        http.get("/healthz")

def test_none(codeq):
    codeq.enqueue("A")
"""
SURPRISE = "documented: GET /healthz reports that the server runs; done: there is no such path (R18)"


def test_each_surprise_is_told_once_at_the_end_and_fails_no_test(run: Run) -> None:
    """Even where warnings are errors, as they are here."""
    printed, code = run(TEST)
    assert code == 0
    assert "= CodeQ differs from its documentation =" in printed
    assert printed.count(SURPRISE) == 1
    assert f"test_example.py::test_one: {SURPRISE}" in printed


def test_a_failed_tests_report_has_them(run: Run) -> None:
    printed, code = run("""
def test_fails(codeq):
    with codeq.client() as http:
        assert http.get("/healthz").status_code == 200
""")
    assert code == 1
    assert f"surprise  {SURPRISE}" in printed


def test_they_can_be_warnings_for_the_filters_to_judge(run: Run) -> None:
    printed, code = run(TEST, "codeq_surprises = warn\n")
    assert code == 1
    assert printed.count(f"codeq_fake.surprises.watch.CodeQSurprise: {SURPRISE}") == 2
    assert "differs from its documentation =" not in printed
    printed, code = run(TEST, "codeq_surprises = warn\n", "-W", "ignore::codeq_fake.surprises.CodeQSurprise")
    assert (code, SURPRISE in printed) == (0, False)


def test_they_can_be_ignored(run: Run) -> None:
    printed, code = run(TEST, "codeq_surprises = ignore\n")
    assert (code, SURPRISE in printed) == (0, False)
