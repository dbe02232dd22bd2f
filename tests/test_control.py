"""The control API, route by route: what it answers, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from codeq_fake.testing import FakeCodeQ

NOW = "2026-01-31T12:00:00Z"
ID = "6e0f2f9a-6c1c-4f3b-9a53-1f0e5d5a7c01"
OTHER = "6e0f2f9a-6c1c-4f3b-9a53-1f0e5d5a7c02"
SECOND = "2026-01-31T12:00:01Z"
READY = {"status": "PENDING", "location": "PENDING_LIST"}
DELAYED = {"status": "PENDING", "location": "DELAYED_ZSET"}
LEASED = {"status": "IN_PROGRESS", "location": "INPROG_SET"}
TASK = {
    "id": ID,
    "command": "A",
    "payload": '{"a":1}',
    "status": "PENDING",
    "lastKnownLocation": "PENDING_LIST",
    "maxAttempts": 5,
    "tenantId": "dev",
    "createdAt": "2026-01-31T09:00:00-03:00",
    "updatedAt": "2026-01-31T09:00:00-03:00",
}


@pytest.fixture
def codeq_options() -> dict[str, Any]:
    return {"now": NOW, "profile": "redis", "seed": 1}


@pytest.fixture
def http(codeq: FakeCodeQ) -> Iterator[httpx.Client]:
    with codeq.client() as client:
        yield client


def create(http: httpx.Client, task_id: str = ID, **fields: Any) -> str:
    http.post("/_fake/next", json={"ids": [task_id]}).raise_for_status()
    http.post("/v1/codeq/tasks", json={"command": "A", "payload": {"a": 1}, **fields}).raise_for_status()
    return task_id


def claim(http: httpx.Client, **fields: Any) -> None:
    http.post("/v1/codeq/tasks/claim", json={"commands": ["A"], **fields}).raise_for_status()


def get(http: httpx.Client, path: str) -> Any:
    reply = http.get(f"/_fake/{path}")
    assert reply.headers["content-type"] == "application/json"
    return reply.raise_for_status().json()


def refusal(reply: httpx.Response) -> tuple[int, str]:
    """Status and text of an error."""
    [(key, text)] = reply.json().items()
    assert key == "error"
    return reply.status_code, text


# Health and clock.


def test_health_says_what_runs(http: httpx.Client) -> None:
    assert get(http, "health") == {
        "status": "ok",
        "version": VERSION,
        "profile": "redis",
        "now": NOW,
        "clock": "manual",
    }


def test_the_clock_is_read_and_set(http: httpx.Client) -> None:
    assert get(http, "clock") == {"now": NOW, "mode": "manual"}
    later = "2026-02-01T00:00:00.25Z"
    assert http.put("/_fake/clock", json={"now": later}).json() == {"now": later, "mode": "manual"}
    assert get(http, "clock") == {"now": later, "mode": "manual"}


def test_an_instant_may_have_any_offset(http: httpx.Client) -> None:
    assert http.put("/_fake/clock", json={"now": "2026-01-31T14:00:00+01:00"}).json()["now"] == "2026-01-31T13:00:00Z"


@pytest.mark.parametrize("body", [{}, {"now": None}, {"mode": None}, None])
def test_setting_the_clock_to_nothing_changes_nothing(http: httpx.Client, body: Any) -> None:
    assert http.put("/_fake/clock", json=body).json() == {"now": NOW, "mode": "manual"}


def test_the_clocks_mode_is_set(http: httpx.Client) -> None:
    running = http.put("/_fake/clock", json={"mode": "real"}).json()
    assert running["mode"] == "real"
    assert running["now"].startswith("2026-01-31T12:00:")
    stands = http.put("/_fake/clock", json={"mode": "manual"}).json()
    assert get(http, "clock") == stands
    assert stands["mode"] == "manual"


def test_a_clock_that_is_set_and_stopped_stands_at_that_very_instant(http: httpx.Client) -> None:
    http.put("/_fake/clock", json={"mode": "real"})
    later = {"now": "2026-02-01T00:00:00Z", "mode": "manual"}
    assert http.put("/_fake/clock", json=later).json() == later


def test_setting_the_clock_of_an_empty_fake_fires_nothing(http: httpx.Client) -> None:
    http.put("/_fake/clock", json={"now": "2027-01-31T12:00:00Z"}).raise_for_status()
    assert http.post("/_fake/clock/advance", json={"seconds": 0}).json() == {
        "now": "2027-01-31T12:00:00Z",
        "fired": 0,
    }
    assert (get(http, "requests"), get(http, "callbacks")) == ({"requests": []}, {"callbacks": []})


def test_setting_the_clock_of_a_fake_that_holds_something_advances(http: httpx.Client) -> None:
    create(http, webhook="http://203.0.113.1/")
    claim(http)
    http.post(f"/v1/codeq/tasks/{ID}/result", json={"status": "COMPLETED", "result": {}}).raise_for_status()
    http.put("/_fake/clock", json={"now": "2026-01-31T13:00:00Z"}).raise_for_status()
    assert [callback["state"] for callback in get(http, "callbacks")["callbacks"]] == ["blocked"]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"now": "2026-01-31T11:59:59Z"}, 409, f"time never goes back: it is {NOW}, and 2026-01-31T11:59:59Z is over"),
        ({"now": "2026-01-31T11:59:59Z", "mode": "real"}, 409, "time never goes back"),
        ({"now": "tomorrow"}, 400, "found 'tomorrow' where an RFC 3339 time such as 2026-01-31T12:00:00Z belongs"),
        ({"now": 0}, 400, "found 0 where an RFC 3339 time"),
        ({"now": "9999-12-31T23:59:59.5Z"}, 400, "the clock ends with the year 9999"),
        ({"mode": "fast"}, 400, "mode: found 'fast', allowed are real and manual"),
        ({"mode": []}, 400, "mode: found [], allowed are real and manual"),
        ({"to": NOW}, 400, "unknown: to; known are now, mode"),
    ],
)
def test_a_clock_that_cannot_be_set_so_stays(http: httpx.Client, body: Any, status: int, text: str) -> None:
    found, told = refusal(http.put("/_fake/clock", json=body))
    assert (found, told[: len(text)]) == (status, text)
    assert get(http, "clock") == {"now": NOW, "mode": "manual"}


@pytest.mark.parametrize(
    ("body", "now"),
    [
        ({"seconds": 61}, "2026-01-31T12:01:01Z"),
        ({"seconds": 0}, NOW),
        ({"seconds": 0.000_000_001}, "2026-01-31T12:00:00.000000001Z"),
        ({"to": "2026-01-31T12:00:00.5Z"}, "2026-01-31T12:00:00.5Z"),
        ({"to": NOW}, NOW),
        ({"to": NOW, "seconds": None}, NOW),
    ],
)
def test_advancing_answers_with_the_new_instant(http: httpx.Client, body: Any, now: str) -> None:
    assert http.post("/_fake/clock/advance", json=body).json() == {"now": now, "fired": 0}


def test_advancing_is_exact_to_the_nanosecond(http: httpx.Client) -> None:
    reply = http.post("/_fake/clock/advance", content=b'{"seconds": 86400000.123456789}')
    assert reply.json()["now"] == "2028-10-27T12:00:00.123456789Z"


def test_advancing_says_how_much_fired(http: httpx.Client) -> None:
    http.post("/v1/codeq/workers/subscriptions", json={"callbackUrl": "http://app.test/"}).raise_for_status()
    assert http.post("/_fake/clock/advance", json={"seconds": 300}).json()["fired"] == 1  # the sweep that deletes it


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        ('{"to": "2026-01-31T11:00:00Z"}', 409, "time never goes back"),
        ('{"seconds": -1}', 400, "seconds: a number that is not negative belongs here"),
        ('{"seconds": "60"}', 400, "seconds: a number"),
        ('{"seconds": true}', 400, "seconds: a number"),
        ('{"seconds": 1e13}', 400, "seconds: a number"),
        ('{"seconds": 1e12}', 400, "the clock ends with the year 9999"),
        ('{"seconds": 1e99999999999999999999}', 400, "the body is no JSON"),
        ('{"seconds": NaN}', 400, "the body is no JSON"),
        ('{"to": 5}', 400, "found 5 where"),
        ("{}", 400, 'give either {"seconds": number} or {"to": RFC 3339 time}'),
        ("", 400, "give either"),
        ('{"seconds": 1, "to": "2027-01-31T12:00:00Z"}', 400, "give either"),
        ('{"minutes": 1}', 400, "unknown: minutes; known are seconds, to"),
    ],
)
def test_an_advance_that_cannot_be_leaves_the_clock(http: httpx.Client, content: str, status: int, text: str) -> None:
    found, told = refusal(http.post("/_fake/clock/advance", content=content))
    assert (found, told[: len(text)]) == (status, text)
    assert get(http, "clock")["now"] == NOW


# What comes next.


def test_next_queues_ids_and_delays(http: httpx.Client) -> None:
    assert http.post("/_fake/next", json={"ids": [ID, OTHER], "delays": [7]}).json() == {"ids": 2, "delays": 1}
    assert http.post("/v1/codeq/tasks", json={"command": "A", "payload": 1}).json()["id"] == ID
    subscribed = http.post("/v1/codeq/workers/subscriptions", json={"callbackUrl": "http://app.test/"}).json()
    assert subscribed["subscriptionId"] == OTHER
    claim(http)
    assert http.post(f"/v1/codeq/tasks/{ID}/nack", json={}).json() == {"delaySeconds": 7, "status": "requeued"}


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": None, "delays": None}])
def test_next_may_queue_nothing(http: httpx.Client, body: Any) -> None:
    assert http.post("/_fake/next", json=body).json() == {"ids": 0, "delays": 0}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"ids": "a"}, 400, "ids: found 'a', a list belongs here"),
        ({"ids": ["a", 1]}, 400, "ids[1]: found 1, a text belongs here"),
        ({"ids": [""]}, 400, "an id is a text that is not empty"),
        ({"delays": 1}, 400, "delays: found 1, a list belongs here"),
        ({"delays": [1.5]}, 400, "delays[0]: found 1.5, a whole number of at most 68 bits belongs here"),
        ({"delays": [10**30]}, 400, f"delays[0]: found {10**30}, a whole number of at most 68 bits belongs here"),
        ({"delays": [True]}, 400, "delays[0]: found True"),
        ({"delays": [-1]}, 400, "an id is a text that is not empty, a delay a whole number of seconds from 0"),
        ({"ids": ["new", "new"]}, 409, "ids: new is taken, or queued twice"),
        ({"ids": ["new", ID]}, 409, f"ids: {ID} is taken, or queued twice"),
        ({"idz": ["a"]}, 400, "unknown: idz; known are ids, delays"),
    ],
)
def test_what_cannot_be_queued_is_named_and_nothing_is(http: httpx.Client, body: Any, status: int, text: str) -> None:
    create(http)
    found, told = refusal(http.post("/_fake/next", json=body))
    assert (found, told[: len(text)]) == (status, text)
    assert http.post("/v1/codeq/tasks", json={"command": "A", "payload": 1}).json()["id"] not in {"a", "new", ID}


# Looking at tasks.


def test_tasks_are_listed_oldest_first_as_they_are_read(http: httpx.Client) -> None:
    create(http, ID)
    create(http, OTHER, priority=9)
    listed = get(http, "tasks")
    assert listed == {"tasks": [TASK, {**http.get(f"/v1/codeq/tasks/{OTHER}").json()}]}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=PENDING", ["2", "3"]),
        ("status=IN_PROGRESS", ["1"]),
        ("status=pending", []),
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


def test_at_most_a_thousand_are_listed_unless_asked_for(codeq: FakeCodeQ, http: httpx.Client) -> None:
    for _ in range(1001):
        codeq.enqueue("A")
    assert len(get(http, "tasks")["tasks"]) == 1000
    assert len(get(http, "tasks?limit=5000")["tasks"]) == 1001


@pytest.mark.parametrize("limit", ["-1", "x", "1.5", "", "9" * 5000])
def test_a_limit_is_a_whole_number(http: httpx.Client, limit: str) -> None:
    assert refusal(http.get("/_fake/tasks", params={"limit": limit}))[0] == 400


def test_a_task_is_shown_with_its_life(http: httpx.Client) -> None:
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


def test_a_lease_that_is_not_there_cannot_be_ended(http: httpx.Client) -> None:
    create(http)
    before = get(http, "state")
    text = f"task {ID} is not in progress: it has no lease to end"
    assert refusal(http.post(f"/_fake/tasks/{ID}/expire")) == (409, text)
    assert get(http, "state") == before


@pytest.mark.parametrize(("method", "path"), [("GET", "tasks/nobody"), ("POST", "tasks/nobody/expire")])
def test_a_task_that_does_not_exist_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    assert refusal(http.request(method, f"/_fake/{path}")) == (404, "no task nobody")


# Journals.


def test_requests_are_noted_with_their_replies(http: httpx.Client) -> None:
    created = http.post("/v1/codeq/tasks?a=1", content=b'{"command": "A", "payload": 1}')
    refused = http.post("/v1/codeq/tasks", content=b"\xff")
    assert get(http, "requests") == {
        "requests": [
            {
                "n": 1,
                "at": NOW,
                "method": "POST",
                "path": "/v1/codeq/tasks?a=1",
                "as": "producer-dev",
                "body": '{"command": "A", "payload": 1}',
                "status": 202,
                "reply": created.text,
            },
            {
                "n": 2,
                "at": NOW,
                "method": "POST",
                "path": "/v1/codeq/tasks",
                "as": "producer-dev",
                "body": "\ufffd",
                "status": 400,
                "reply": refused.text,
            },
        ]
    }


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [1, 2, 3]),
        ("since=1", [2, 3]),
        ("since=3", []),
        ("path=claim", [2]),
        ("path=/v1/codeq/tasks&since=1", [2]),
        ("status=204", [2]),
        ("status=200&path=metrics", [3]),
        ("status=0", [1, 2, 3]),
    ],
)
def test_requests_are_filtered(http: httpx.Client, query: str, numbers: list[int]) -> None:
    create(http, command="B")
    claim(http)
    http.get("/metrics")
    assert [entry["n"] for entry in get(http, f"requests?{query}")["requests"]] == numbers


def test_a_request_without_a_token_is_noted_as_nobodys(http: httpx.Client) -> None:
    http.get("/v1/codeq/admin/queues", headers={"authorization": ""})
    [entry] = get(http, "requests")["requests"]
    assert (entry["as"], entry["status"]) == (None, 401)


def test_callbacks_and_notices_are_noted_with_their_tries(http: httpx.Client) -> None:
    blocked = "http://203.0.113.1/hook"
    http.post("/_fake/next", json={"ids": [OTHER]})
    http.post("/v1/codeq/workers/subscriptions", json={"callbackUrl": blocked, "eventTypes": ["A"]}).raise_for_status()
    create(http, webhook=blocked)
    claim(http)
    http.post(f"/v1/codeq/tasks/{ID}/result", json={"status": "COMPLETED", "result": {}}).raise_for_status()
    http.post("/_fake/clock/advance", json={"seconds": 0})
    notice, callback = get(http, "callbacks")["callbacks"]
    error = "203.0.113.1 is not on this machine or a private network; --webhook-allow 203.0.113.1 would open it"
    common = {
        "url": blocked,
        "command": "A",
        "state": "blocked",
        "blocked": True,
        "tries": [{"at": NOW, "status": None, "error": error}],
        "headers": {"User-Agent": "Go-http-client/1.1", "Content-Type": "application/json"},
    }
    assert notice == {
        **common,
        "n": 1,
        "kind": "queue_ready",
        "taskId": None,
        "subscriptionId": OTHER,
        "body": notice["body"],
    }
    assert callback == {
        **common,
        "n": 2,
        "kind": "task_result",
        "taskId": ID,
        "subscriptionId": None,
        "body": callback["body"],
    }
    assert json.loads(notice["body"])["notificationId"] == f"ntf-{OTHER}"
    assert json.loads(callback["body"])["taskId"] == ID
    assert get(http, "callbacks?since=1") == {"callbacks": [callback]}


@pytest.mark.codeq(journal_size=2)
def test_the_journals_keep_the_last_entries(http: httpx.Client) -> None:
    for _ in range(5):
        http.get("/metrics")
    assert [entry["n"] for entry in get(http, "requests")["requests"]] == [4, 5]


@pytest.mark.parametrize("query", ["requests?since=x", "requests?status=200a", "callbacks?since=-1"])
def test_a_query_that_is_no_number_is_refused(http: httpx.Client, query: str) -> None:
    name = query.partition("?")[2].partition("=")[0]
    status, text = refusal(http.get(f"/_fake/{query}"))
    assert (status, text.partition(":")[0]) == (400, name)


def test_the_contract_says_what_traffic_has_touched(http: httpx.Client) -> None:
    def touched() -> dict[str, int]:
        return {clause["id"]: clause["touched"] for clause in get(http, "contract")["clauses"]}

    assert set(touched().values()) == {0}
    create(http)
    assert touched()["C1"] > 0
    http.post("/_fake/reset")
    assert set(touched().values()) == {0}


# Starting over.


def test_a_reset_empties_and_keeps_settings_and_clock(http: httpx.Client) -> None:
    empty = get(http, "state")
    create(http)
    claim(http)
    health = get(http, "health")
    assert http.post("/_fake/reset").json() == health
    assert get(http, "state") == empty
    assert (get(http, "requests"), get(http, "callbacks")) == ({"requests": []}, {"callbacks": []})


def test_a_reset_may_bring_a_new_set_up(http: httpx.Client) -> None:
    create(http)
    setup = {
        "profile": "kvrocks-2.9",
        "settings": {"MAX_ATTEMPTS_DEFAULT": "3", "BACKOFF_POLICY": "fixed"},
        "yaml": "timezone: UTC",
        "identities": {"ann": {"kind": "producer", "claims": {"sub": "ann", "tenantId": "acme"}}},
        "clock": "manual",
        "now": "2020-01-01T00:00:00Z",
    }
    health = http.post("/_fake/reset", json=setup).json()
    assert (health["profile"], health["clock"], health["now"]) == ("kvrocks-2.9", "manual", "2020-01-01T00:00:00Z")
    assert get(http, "tasks") == {"tasks": []}
    created = http.post(
        "/v1/codeq/tasks", headers={"authorization": "Bearer ann"}, json={"command": "A", "payload": 1}
    ).json()
    assert (created["maxAttempts"], created["tenantId"], created["createdAt"]) == (3, "acme", "2020-01-01T00:00:00Z")
    assert http.post("/v1/codeq/tasks", json={"command": "A", "payload": 1}).status_code == 401


def test_a_later_reset_keeps_the_new_set_up(http: httpx.Client) -> None:
    http.post("/_fake/reset", json={"profile": "kvrocks-2.9", "now": "2020-01-01T00:00:00Z"})
    http.post("/_fake/clock/advance", json={"seconds": 1})
    health = http.post("/_fake/reset", json={}).json()
    assert (health["profile"], health["now"]) == ("kvrocks-2.9", "2020-01-01T00:00:01Z")


@pytest.mark.parametrize(
    ("setup", "clock"),
    [
        ({"now": "2020-01-01T00:00:00Z"}, ("manual", "2020-01-01T00:00:00Z")),
        ({"clock": "manual"}, ("manual", NOW)),
        ({"clock": None, "now": None}, ("manual", NOW)),
    ],
)
def test_a_set_up_changes_no_more_of_the_clock_than_it_says(
    http: httpx.Client, setup: Any, clock: tuple[str, str]
) -> None:
    health = http.post("/_fake/reset", json=setup).json()
    assert (health["clock"], health["now"]) == clock


def test_a_reset_may_let_the_clock_run(http: httpx.Client) -> None:
    health = http.post("/_fake/reset", json={"clock": "real"}).json()
    assert health["clock"] == "real"
    assert health["now"].startswith("2026-01-31T12:00:")


@pytest.mark.parametrize(
    ("setup", "text"),
    [
        ({"profile": "redis-8"}, "profile: found 'redis-8', allowed are redis, kvrocks-2.8, kvrocks-2.9"),
        ({"profile": ["redis"]}, "profile: found ['redis']"),
        ({"clock": "fast"}, "clock: found 'fast', allowed are real and manual"),
        ({"now": "now"}, "found 'now' where an RFC 3339 time"),
        ({"settings": {"MAX_ATTEMPTS_DEFAULT": "many"}}, "MAX_ATTEMPTS_DEFAULT: found 'many'"),
        ({"settings": {"MAX_ATTEMPTS_DEFAULT": 3}}, "settings.MAX_ATTEMPTS_DEFAULT: found 3, a text belongs here"),
        ({"settings": [1]}, "settings: found [1], an object belongs here"),
        ({"yaml": 5}, "yaml: found 5, a text belongs here"),
        ({"yaml": "a: ["}, "the YAML settings: no valid YAML"),
        ({"identities": ["ann"]}, "identities: found no mapping"),
        ({"identities": {"ann": {"kind": "boss"}}}, "identities: ann has kind 'boss'"),
        ({"speed": 2}, "unknown: speed; known are profile, settings, yaml, identities, clock, now"),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"now": "2020-01-01T00:00:00Z", "profile": "kvrocks-2.9"}])
def test_a_set_up_that_cannot_be_changes_nothing(
    http: httpx.Client, setup: dict[str, Any], beside: dict[str, Any], text: str
) -> None:
    create(http)
    before, health = get(http, "state"), get(http, "health")
    status, told = refusal(http.post("/_fake/reset", json=beside | setup))
    assert (status, told[: len(text)]) == (400, text)
    assert (get(http, "state"), get(http, "health")) == (before, health)


# Bodies and paths.


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"[]", "the body must be a JSON object"),
        (b"5", "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b"{", "the body is no JSON"),
        (b"\xff", "the body is no JSON"),
        (b'{"ids": ["\\ud800"]}', "the body is no JSON"),
        (b'{"\\ud800": 1}', "the body is no JSON"),
        (b"[" * 100_000, "the body is no JSON"),
        (b'{"ids": ' + b"1" * 5000 + b"}", "the body is no JSON"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "clock"), ("POST", "clock/advance"), ("POST", "next"), ("POST", "reset"), ("PUT", "state")],
)
def test_a_body_that_is_no_object_is_refused(
    http: httpx.Client, method: str, path: str, content: bytes, text: str
) -> None:
    before = get(http, "state")
    assert refusal(http.request(method, f"/_fake/{path}", content=content)) == (400, text)
    assert get(http, "state") == before


def test_a_number_beyond_a_double_is_no_json(http: httpx.Client) -> None:
    assert refusal(http.post("/_fake/next", content=b'{"delays": [1e999]}')) == (400, "the body is no JSON")


def test_emoji_and_other_text_is_fine(http: httpx.Client) -> None:
    assert http.post("/_fake/next", content=b'{"ids": ["\\ud83d\\ude00", "\xc3\xa9"]}').json() == {
        "ids": 2,
        "delays": 0,
    }
    assert http.post("/v1/codeq/tasks", json={"command": "A", "payload": 1}).json()["id"] == "\U0001f600"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_fake"),
        ("GET", "/_fake/nothing"),
        ("GET", "/_fake/clock/"),
        ("DELETE", "/_fake/clock"),
        ("POST", "/_fake/health"),
        ("GET", "/_fake/clock/advance"),
        ("PATCH", "/_fake/state"),
        ("OPTIONS", "/_fake/reset"),
    ],
)
def test_an_unknown_call_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    assert refusal(http.request(method, path)) == (404, f"there is no {method} {path}")


def test_what_only_looks_like_the_control_api_is_the_contracts(http: httpx.Client) -> None:
    reply = http.get("/_fakes")
    assert (reply.status_code, reply.text) == (404, "404 page not found")


def test_a_state_of_the_last_year_is_taken_back(codeq: FakeCodeQ) -> None:
    codeq.advance(to="9999-12-31T23:00:00Z")
    codeq.enqueue("A", 1)
    state = codeq.state()
    codeq.restore(state)
    assert codeq.state() == state
