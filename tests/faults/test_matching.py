"""What a rule matches: operations, routes, workers, commands and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from codeq_fake import faults
from codeq_fake.faults import Plan
from tests.faults.support import TASKS, claim, complete, create, heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

    from codeq_fake.faults import Rule
    from codeq_fake.testing import FakeCodeQ


@pytest.mark.parametrize(
    "on", ["submit", "complete", "POST /v1/codeq/tasks/{id}/result", "POST /v1/codeq/tasks/:id/result"]
)
def test_a_rule_names_an_operation_a_kind_of_result_or_a_route(codeq: FakeCodeQ, http: httpx.Client, on: str) -> None:
    task = codeq.enqueue("A")
    with codeq.faults(faults.refuse(on=on)) as fault:
        claim(http)
        heartbeat(http, task.id)
        assert complete(http, task.id).status_code == 503
    assert fault.met == 1


def test_failing_is_not_completing(codeq: FakeCodeQ, http: httpx.Client) -> None:
    task = codeq.enqueue("A")
    claim(http)
    with codeq.faults(faults.refuse(on="fail")):
        assert complete(http, task.id).status_code == 200
        assert http.post(f"{TASKS}/{task.id}/result", json={"status": "FAILED", "error": "x"}).status_code == 503


@pytest.mark.parametrize(
    ("rule", "met"),
    [
        (faults.refuse(command="b"), ["create B", "create_batch", "claim B", "get 2", "submit_batch", "queue B"]),
        (faults.refuse(task="2"), ["get 2", "submit_batch"]),
        (faults.refuse(worker="worker-dev"), ["claim A", "claim B", "get 2", "submit_batch"]),
        (faults.refuse(on="claim", command="A", worker="worker-dev"), ["claim A"]),
    ],
    ids=str,
)
def test_a_rule_matches_only_if_all_conditions_match(
    codeq: FakeCodeQ, http: httpx.Client, rule: Rule, met: list[str]
) -> None:
    codeq.next(ids=["1", "2"])
    codeq.enqueue("A")
    codeq.enqueue("B")
    calls: dict[str, Callable[[], httpx.Response]] = {
        "create A": lambda: create(http, "A"),
        "create B": lambda: create(http, "B"),
        "create_batch": lambda: http.post(
            f"{TASKS}/batch", json={"tasks": [{"command": "B", "payload": 1}, {"command": "C"}]}
        ),
        "claim A": lambda: claim(http, "A"),
        "claim B": lambda: claim(http, "C", "B"),
        "get 2": lambda: http.get(f"{TASKS}/2"),
        "submit_batch": lambda: http.post(f"{TASKS}/batch/results", json={"results": [{"taskId": "2"}, {}]}),
        "queue B": lambda: http.get("/v1/codeq/admin/queues/B"),
        "no body": lambda: http.post(TASKS, content=b"\xff"),
    }
    with codeq.faults(rule):
        refused = [name for name, call in calls.items() if call().status_code == 503]
    assert refused == met


def test_a_rejected_caller_matches_no_rule(codeq: FakeCodeQ) -> None:
    with codeq.client("unknown") as unknown, codeq.client() as http, codeq.faults(faults.refuse()) as fault:
        assert create(unknown).status_code == 401
        assert fault.met == 0
        create(http)


def test_only_the_nth_match_fires(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.refuse(on="create", nth=2)) as fault:
        answers = [create(http).status_code for _ in range(4)]
    assert answers == [202, 503, 202, 202]
    assert (fault.met, fault.fired) == (4, 1)


def test_after_a_refusal_nothing_else_happens(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.refuse(times=1), faults.drop_reply()) as injected:
        assert create(http).status_code == 503
        with pytest.raises(httpx.RemoteProtocolError):
            create(http)
    assert repr(injected) == "refuse: met 2, fired 1\ndrop_reply: met 2, fired 1"


def test_each_rule_counts_for_itself(codeq: FakeCodeQ, http: httpx.Client) -> None:
    rules = [faults.refuse(500 + nth, nth=nth) for nth in (1, 2, 4)]
    with codeq.faults(*rules):
        assert [create(http).status_code for _ in range(5)] == [501, 502, 202, 504, 202]


def test_compatible_faults_all_happen(codeq: FakeCodeQ, http: httpx.Client) -> None:
    codeq.enqueue("A")
    rules = faults.clock_skew(60), faults.lose_task(), faults.garble("malformed")
    with codeq.faults(*rules), pytest.raises(ValueError, match="Unterminated string"):
        claim(http).json()
    assert codeq.requests[-1]["faults"] == ["clock_skew", "garble", "lose_task"]


def test_without_rules_nothing_is_decided(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Plan, "decide")
    assert [create(http).status_code, claim(http).status_code] == [202, 200]
