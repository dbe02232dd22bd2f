"""The control API's tasks: listed, shown with their history, and expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codeq_fake.control.task_search import STATES
from tests.control.support import DELAYED, ID, LEASED, NOW, OTHER, READY, SECOND, TASK, claim, create, get, refusal

if TYPE_CHECKING:
    import httpx

    from codeq_fake.testing import FakeCodeQ


def test_tasks_are_listed_oldest_first_as_they_are_read(http: httpx.Client) -> None:
    create(http, ID)
    create(http, OTHER, priority=9)
    listed = get(http, "tasks")
    other = http.get(f"/v1/codeq/tasks/{OTHER}").json()
    assert listed == {"tasks": [{**task, "state": "ready", "stateSince": NOW} for task in (TASK, other)]}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=PENDING", ["2", "3"]),
        ("status=IN_PROGRESS", ["1"]),
        ("command=a", ["1", "2"]),
        ("command=B&status=PENDING", ["3"]),
        ("tenant=dev", ["1", "2", "3"]),
        ("tenant=", []),
        ("tenant=other", []),
        ("limit=1", ["1"]),
        ("limit=0", []),
        ("status=&command=", ["1", "2", "3"]),
    ],
)
def test_tasks_are_filtered(http: httpx.Client, query: str, found: list[str]) -> None:
    for task_id, command in (("1", "A"), ("2", "A"), ("3", "b")):
        create(http, task_id, command=command)
    claim(http)
    assert [task["id"] for task in get(http, f"tasks?{query}")["tasks"]] == found


@pytest.fixture
def in_each_state(http: httpx.Client) -> None:
    """Tasks ready, delayed, leased, over and dead, of which some have waited for a minute."""
    create(http, "ready", command="READY", payload={"customer": "Ann 17"})
    create(http, "over", command="RENDER")
    claim(http, commands=["RENDER"], leaseSeconds=10)
    create(http, "dead", maxAttempts=1)
    claim(http, leaseSeconds=600)
    http.post("/v1/codeq/tasks/dead/nack", json={"reason": "No such customer"}).raise_for_status()
    http.post("/_fake/clock/advance", json={"seconds": 60})
    create(http, "delayed", delaySeconds=10)
    create(http, "leased")
    claim(http, leaseSeconds=600)
    create(http, "new")


@pytest.mark.usefixtures("in_each_state")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=ready", ["ready", "new"]),
        ("state=delayed", ["delayed"]),
        ("state=leased", ["over", "leased"]),
        ("state=over", ["over"]),
        ("state=dead", ["dead"]),
        ("state=completed", []),
        ("state=stuck", ["ready", "over", "dead"]),
        ("text=customer", ["ready", "dead"]),
        ("text=CUSTOMER&state=dead", ["dead"]),
        ("text=ann 17&limit=1", ["ready"]),
        ("text=nothing", []),
        ("text=render", ["over"]),
        ("id=de", ["dead", "delayed"]),
    ],
)
def test_tasks_are_found_by_state_text_and_beginning_of_their_id(
    http: httpx.Client, query: str, found: list[str]
) -> None:
    assert [task["id"] for task in get(http, f"tasks?{query}")["tasks"]] == found


def test_a_listed_task_says_since_when_it_is_in_its_state(http: httpx.Client) -> None:
    create(http)
    http.post("/_fake/clock/advance", json={"seconds": 1})
    claim(http, leaseSeconds=60)
    http.post("/_fake/clock/advance", json={"seconds": 1})
    http.post(f"/v1/codeq/tasks/{ID}/heartbeat", json={}).raise_for_status()
    [task] = get(http, "tasks")["tasks"]
    assert (task["stateSince"], task["state"]) == (SECOND, "leased")
    http.post("/_fake/clock/advance", json={"seconds": 3600})
    [task] = get(http, "tasks")["tasks"]
    assert (task["stateSince"], task["state"], task["status"]) == (SECOND, "over", "IN_PROGRESS")
    assert get(http, f"tasks/{ID}/story")["state"] == "over"


def test_the_story_of_a_task_has_its_requests_and_callbacks(http: httpx.Client) -> None:
    create(http, OTHER, command="B")
    create(http, webhook="http://203.0.113.1/hook")
    claim(http)
    http.post(f"/v1/codeq/tasks/{ID}/result", json={"status": "COMPLETED", "result": {"b": 2}}).raise_for_status()
    http.post("/_fake/clock/advance", json={"seconds": 0})
    story = get(http, f"tasks/{ID}/story")
    requests = get(http, "requests")["requests"]
    assert story == {
        **get(http, f"tasks/{ID}"),
        "state": "completed",
        "place": None,
        "latestClaims": [],
        "requests": requests[1:],
        "callbacks": get(http, "callbacks")["callbacks"],
    }
    assert [request["operation"] for request in story["requests"]] == ["create", "claim", "submit"]
    assert len(story["callbacks"]) == 1


def test_the_story_of_a_ready_task_has_its_place_and_what_workers_asked_for(http: httpx.Client) -> None:
    create(http, OTHER)
    create(http)
    claim(http, commands=["B"])
    story = get(http, f"tasks/{ID}/story")
    assert story["place"] == {"number": 2, "total": 2}
    assert story["latestClaims"] == [{"n": 3, "at": NOW, "as": "worker-dev", "got": "no B for dev"}]


def test_at_most_a_thousand_are_listed_unless_asked_for(codeq: FakeCodeQ, http: httpx.Client) -> None:
    for _ in range(1001):
        codeq.enqueue("A")
    assert len(get(http, "tasks")["tasks"]) == 1000
    assert len(get(http, "tasks?limit=5000")["tasks"]) == 1001


@pytest.mark.parametrize("limit", ["-1", "x", "1.5", "", "9" * 5000])
def test_a_limit_is_a_whole_number(http: httpx.Client, limit: str) -> None:
    assert refusal(http.get("/_fake/tasks", params={"limit": limit}))[0] == 400


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("tasks?status=pending", "status: found 'pending', allowed are PENDING, IN_PROGRESS, COMPLETED, FAILED"),
        (
            "tasks?sttus=FAILED&status=FAILED",
            "unknown: sttus; known are status, command, tenant, state, text, id, limit",
        ),
        ("tasks?state=dying&limit=1", f"state: found 'dying', allowed are {', '.join(STATES)}"),
        ("requests?sinc=1", "unknown: sinc; known are since, path, status, last"),
        ("callbacks?limit=1", "unknown: limit; known are since, last"),
    ],
)
def test_an_unknown_query_parameter_is_refused_by_name(http: httpx.Client, query: str, reason: str) -> None:
    assert refusal(http.get(f"/_fake/{query}")) == (400, reason)


def test_a_task_is_shown_with_its_history(http: httpx.Client) -> None:
    create(http)
    claim(http)
    http.post("/_fake/clock/advance", json={"seconds": 1})
    http.post(f"/v1/codeq/tasks/{ID}/result", json={"status": "COMPLETED", "result": {"b": 2}}).raise_for_status()
    completed = {"status": "COMPLETED", "location": "NONE"}
    assert get(http, f"tasks/{ID}") == {
        **TASK,
        "status": "COMPLETED",
        "lastKnownLocation": "NONE",
        "attempts": 1,
        "resultKey": "codeq:results",
        "updatedAt": "2026-01-31T09:00:01-03:00",
        "result": {"taskId": ID, "status": "COMPLETED", "result": {"b": 2}, "completedAt": "2026-01-31T09:00:01-03:00"},
        "history": [
            {"at": NOW, "what": "created", "by": "dev", "from": None, "to": READY},
            {"at": NOW, "what": "claimed", "by": "worker-dev", "from": READY, "to": LEASED},
            {"at": SECOND, "what": "completed", "by": "worker-dev", "from": LEASED, "to": completed},
        ],
        "claimable": {"now": False, "reason": "it is completed", "since": None},
    }


def test_a_task_says_whether_it_can_be_claimed_or_why_not_and_since_when(http: httpx.Client) -> None:
    create(http, ID)
    assert get(http, f"tasks/{ID}")["claimable"] == {"now": True, "reason": None, "since": None}
    claim(http, leaseSeconds=60)
    assert get(http, f"tasks/{ID}")["claimable"] == {
        "now": False,
        "reason": "worker-dev holds its lease (K5)",
        "since": "2026-01-31T12:00:59.501Z",
    }
    create(http, OTHER, delaySeconds=90)
    assert get(http, f"tasks/{OTHER}")["claimable"] == {
        "now": False,
        "reason": "it is delayed (C7)",
        "since": "2026-01-31T12:01:30Z",
    }


def test_looking_changes_nothing(http: httpx.Client) -> None:
    create(http)
    claim(http)
    before = get(http, "state")
    for path in ("health", "clock", "tasks", f"tasks/{ID}", "requests", "callbacks", "contract", "state"):
        get(http, path)
    assert get(http, "state") == before
    assert len(get(http, "requests")["requests"]) == 2


def test_a_lease_can_be_ended(http: httpx.Client) -> None:
    create(http)
    claim(http, leaseSeconds=600)
    http.post("/_fake/next", json={"delays": [4]})
    shown = http.post(f"/_fake/tasks/{ID}/expire").json()
    assert (shown["status"], shown["leaseUntil"]) == ("IN_PROGRESS", NOW)
    assert shown == get(http, f"tasks/{ID}")
    claim(http)
    assert get(http, f"tasks/{ID}")["history"][-1]["to"] == DELAYED


def test_a_task_is_taken_from_its_worker_at_once(http: httpx.Client) -> None:
    create(http)
    claim(http, leaseSeconds=600)
    shown = http.post(f"/_fake/tasks/{ID}/take").json()
    assert [(event["what"], event["to"]) for event in shown["history"][2:]] == [
        ("lease ended by hand", LEASED),
        ("lease expired", DELAYED),
    ]
    assert http.post(f"/v1/codeq/tasks/{ID}/heartbeat", json={}).status_code == 403
    assert refusal(http.post(f"/_fake/tasks/{ID}/take")) == (409, f"task {ID} has no lease to take away")


def test_a_task_without_a_lease_cannot_expire(http: httpx.Client) -> None:
    create(http)
    before = get(http, "state")
    text = f"task {ID} is not in progress: it has no lease to end"
    assert refusal(http.post(f"/_fake/tasks/{ID}/expire")) == (409, text)
    assert get(http, "state") == before


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "tasks/unknown"), ("GET", "tasks/unknown/story"), ("POST", "tasks/unknown/expire")]
)
def test_a_task_that_does_not_exist_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    assert refusal(http.request(method, f"/_fake/{path}")) == (404, "no task unknown")
