"""What a failed test's report tells of its fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from codeq_fake import timeline
from codeq_fake.faults import drop_reply, refuse
from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from tests.plugin.support import Run

NOW = "2026-01-31T12:00:00Z"


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


def test_a_failed_set_up_is_told_of_too(run: Run) -> None:
    test = """
import pytest

@pytest.fixture
def filled(codeq):
    codeq.enqueue("RENDER", 1)
    raise RuntimeError("no ink")

def test_never_runs(filled):
    pass
"""
    printed, _ = run(test)
    assert "1 ready" in printed
    assert "created by dev -> PENDING_LIST" in printed


@pytest.mark.parametrize(
    "options",
    [
        ("--show-capture=no",),
        ("--show-capture=log", "-p", "no:logging"),
        ("-s",),
        ("--capture=tee-sys",),
        ("--tb=native",),
        ("--tb=short", "-p", "no:anyio", "-p", "no:xdist"),
        ("-p", "no:capture", "-p", "no:skipping", "-p", "no:unraisableexception", "-p", "no:threadexception"),
        ("--assert=plain", "-p", "no:warnings"),
    ],
    ids=" ".join,
)
def test_a_report_is_whole_whatever_the_options(options: tuple[str, ...], run: Run) -> None:
    printed, code = run(FAILING, "", *options)
    assert code == 1
    assert printed.count("RENDER  PENDING") == 1


FAILING = """
def test_fails(codeq):
    codeq.enqueue("RENDER", 1)
    assert codeq.tasks() == []
"""


def test_the_file_of_junit_has_the_report_too(run: Run, pytester: pytest.Pytester) -> None:
    run(FAILING, "", "--junitxml=report.xml")
    assert (pytester.path / "report.xml").read_text(encoding="utf-8").count("RENDER  PENDING") == 1


def test_a_failure_without_a_traceback_has_the_report_too(run: Run) -> None:
    ending = "import pytest; pytest.fail('it', pytrace=False)"
    printed, _ = run(FAILING.replace("assert codeq.tasks() == []", ending))
    assert printed.count("RENDER  PENDING") == 1


@pytest.mark.process
def test_a_report_of_a_worker_of_xdist_is_whole(run_apart: Run) -> None:
    printed, code = run_apart(FAILING, "", "-p", "xdist.plugin", "-n", "1", "--show-capture=no")
    assert code == 1
    assert printed.count("RENDER  PENDING") == 1


FORKING = """
import json, os
import pytest
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    hook = item.config.hook
    reader, writer = os.pipe()
    if os.fork() == 0:
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        with open(writer, "w") as file:
            json.dump([hook.pytest_report_to_serializable(config=item.config, report=one) for one in reports], file)
        os._exit(0)
    os.close(writer)
    with open(reader) as file:
        for report in json.load(file):
            report = hook.pytest_report_from_serializable(config=item.config, data=report)
            item.ihook.pytest_runtest_logreport(report=report)
    os.wait()
    return True
"""


@pytest.mark.process
def test_a_report_of_a_test_in_a_fork_is_whole(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(FORKING)
    passing = "\ndef test_passes(codeq):\n    codeq.advance(1)\n"
    printed, code = run(FAILING + passing, "", "--show-capture=no", "-W", "ignore:This process:DeprecationWarning")
    assert code == 1
    assert "1 failed, 1 passed in" in printed
    assert printed.count("RENDER  PENDING") == 1


def test_many_tasks_are_told_by_the_leased_and_the_latest() -> None:
    with FakeCodeQ(now=NOW) as codeq, codeq.client() as http:
        first = codeq.enqueue("A", 0)
        http.post("/v1/codeq/tasks/claim", json={"commands": ["A"], "leaseSeconds": 600})
        for number in range(499):
            codeq.advance(1)
            codeq.enqueue("A", number)
        told = codeq.timeline().splitlines()
    assert f"task {first.id}  A  IN_PROGRESS, INPROG_SET" in told
    assert "  12:08:19  created by dev -> PENDING_LIST" in told
    assert sum(line.startswith("task ") for line in told) == timeline.MOST_TASKS
    assert told[-1] == "... and 480 more tasks: 480 PENDING"
    assert len(told) < 70


def test_a_long_life_is_told_in_few_lines() -> None:
    with FakeCodeQ(now="2026-01-31T23:50:00Z") as codeq, codeq.client() as http:
        task = codeq.enqueue("A", 1)
        http.post("/v1/codeq/tasks/claim", json={"commands": ["A"], "leaseSeconds": 600})
        for _ in range(100):
            codeq.advance(20)
            http.post(f"/v1/codeq/tasks/{task.id}/heartbeat", json={"extendSeconds": 600})
        http.post(f"/v1/codeq/tasks/{task.id}/abandon", json={})
        _, title, *told = codeq.timeline().splitlines()
    assert title == f"task {task.id}  A  PENDING, PENDING_LIST"
    assert told == [
        "  23:50:00  created by dev -> PENDING_LIST",
        "  23:50:00  claimed by worker-dev -> INPROG_SET",
        "  23:50:20  heartbeat by worker-dev -> INPROG_SET  (99 times more, until 00:23:20)",
        "  2026-02-01 00:23:20  abandoned by worker-dev -> PENDING_LIST",
    ]


def test_a_restless_life_is_told_by_its_first_and_its_latest_events() -> None:
    with FakeCodeQ(now=NOW) as codeq, codeq.client() as http:
        task = codeq.enqueue("A", 1)
        for _ in range(30):
            http.post("/v1/codeq/tasks/claim", json={"commands": ["A"]})
            http.post(f"/v1/codeq/tasks/{task.id}/abandon", json={})
        told = codeq.timeline().splitlines()
    assert told[2:4] == ["  12:00:00  created by dev -> PENDING_LIST", "  ... 40 more ..."]
    assert len(told) == 4 + timeline.MOST_EVENTS


def test_of_many_callbacks_the_latest_are_told() -> None:
    with FakeCodeQ(now=NOW) as codeq, codeq.client() as http:
        for number in range(25):
            codeq.enqueue("A", number, webhook=f"https://your-app.com/{number}")
            claimed = http.post("/v1/codeq/tasks/claim", json={"commands": ["A"]}).json()
            result = {"status": "COMPLETED", "result": {"ok": True}}
            http.post(f"/v1/codeq/tasks/{claimed['id']}/result", json=result)
        codeq.advance(0)
        told = codeq.timeline()
    assert "5 earlier callbacks ..." in told
    assert "to https://your-app.com/4:" not in told
    assert told.count(": blocked (12:00:00 ") == timeline.MOST_CALLBACKS


RESULT = {"status": "COMPLETED", "result": {"ok": True}}


def test_refused_requests_and_faults_are_told_with_their_reasons_the_latest_last() -> None:
    with FakeCodeQ(now=NOW) as codeq, codeq.client() as http:
        task = codeq.enqueue("A", 1)
        path = f"/v1/codeq/tasks/{task.id}"
        http.post(f"{path}/heartbeat", json={"extendSeconds": 60})
        codeq.advance(1)
        http.post("/v1/codeq/tasks", content='{"command": 5}')
        with codeq.faults(refuse(503, on="get"), drop_reply(on="claim")):
            codeq.advance(1)
            http.get(path)
            with pytest.raises(httpx.RemoteProtocolError):
                http.post("/v1/codeq/tasks/claim", json={"commands": ["A"]})
        http.post(f"{path}/result", json=RESULT)
        codeq.advance(1)
        http.post(f"{path}/result", json=RESULT)
        http.post("/v1/codeq/tasks/batch/results", json={"results": [{"taskId": "none", **RESULT}]})
        http.get("/healthz")
        http.post("/v1/codeq/tasks/")
        with codeq.client("stolen") as other:
            other.post("/v1/codeq/tasks/claim")
        told = [line for line in codeq.timeline().splitlines() if line.startswith(("refused", "fault"))]
    assert told == [
        (
            f'refused 12:00:00  POST {path}/heartbeat by worker-dev -> 403 {{"error":"not-owner"}}: Another worker '
            "holds the task, or none does (H2, N1, S1). It is PENDING, held by no worker."
        ),
        (
            'refused 12:00:01  POST /v1/codeq/tasks by producer-dev -> 400 {"error":"invalid body"}: `command` is '
            'the number 5: a string is expected (B1), sent {"command": 5}'
        ),
        (
            f"fault 12:00:02  refuse on GET {path} by worker-dev -> 503: The request is refused with `status` and not "
            "carried out."
        ),
        (
            "fault 12:00:02  drop_reply on POST /v1/codeq/tasks/claim by worker-dev -> 200: The request is carried "
            "out, and the connection dies before the reply."
        ),
        (
            f'refused 12:00:03  POST {path}/result by worker-dev -> 409 {{"error":"not-in-progress"}}: The task is not '
            "in progress (N1, S1). It is COMPLETED, held by no worker."
        ),
        (
            "refused 12:00:03  POST /v1/codeq/tasks/batch/results by worker-dev -> 200 "
            '{"results":[{"taskId":"none","error":"task not found"}]}: item 1: No task has this id: it never existed, '
            "or a clean-up has deleted it (M3)."
        ),
        "refused 12:00:03  GET /healthz -> 404 404 page not found: CodeQ has no such method and path (R18)",
        "refused 12:00:03  POST /v1/codeq/tasks/ -> 307: the path of the route has no slash at its end (R19)",
        (
            'refused 12:00:03  POST /v1/codeq/tasks/claim -> 401 {"error":"invalid token"}: no caller of this '
            "route has this token (A3, A7)"
        ),
    ]


def test_of_many_refused_requests_the_latest_are_told() -> None:
    with FakeCodeQ(now=NOW) as codeq, codeq.client() as http:
        for number in range(25):
            http.get(f"/nowhere/{number}")
        told = codeq.timeline()
    assert "5 earlier refused requests ..." in told
    assert "/nowhere/4 " not in told
    assert told.count("refused 12:00:00  GET /nowhere/") == timeline.MOST_REQUESTS


def test_a_claim_without_a_task_is_told_with_its_reason_and_an_answered_request_is_not() -> None:
    with FakeCodeQ(now=NOW) as codeq, codeq.client() as http:
        http.post("/v1/codeq/tasks", json={"command": "RENDER", "payload": 1})
        http.post("/v1/codeq/tasks/claim", json={"commands": ["RENDERS"]})
        told = codeq.timeline().splitlines()
    assert not any(line.startswith("refused") for line in told)
    claim = "POST /v1/codeq/tasks/claim by worker-dev -> 204"
    assert told[-1] == f"no task 12:00:00  {claim}: no RENDERS for dev; RENDER has 1 ready: a typo?"


def test_what_others_wrote_begins_no_line_of_its_own_and_drives_no_terminal() -> None:
    forged = "A\n  12:00:00.000  completed by worker-9 -> NONE\x1b[31m\u202e"
    with FakeCodeQ(now=NOW) as codeq, codeq.client() as http:
        http.post("/v1/codeq/tasks", json={"command": forged, "payload": 1})
        claimed = http.post("/v1/codeq/tasks/claim", json={"commands": [forged]}).json()
        http.post(f"/v1/codeq/tasks/{claimed['id']}/nack", json={"reason": forged})
        told = codeq.timeline()
    assert all(line.isprintable() for line in told.splitlines())
    assert "A\ufffd  12:00:00.000  completed by worker-9 -> NONE\ufffd[31m\ufffd" in told
    assert "\n  12:00:00.000" not in told
