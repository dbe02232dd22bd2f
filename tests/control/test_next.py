"""The control API's queue of the next ids and delays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.control.support import ID, OTHER, claim, create, refusal

if TYPE_CHECKING:
    import httpx


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
        ({"ids": ["new", "x" * 1001]}, 400, "an id has at most 1,000 characters here"),
        ({"idz": ["a"]}, 400, "unknown: idz; known are ids, delays"),
    ],
)
def test_invalid_ids_and_delays_are_refused_as_a_whole(http: httpx.Client, body: Any, status: int, text: str) -> None:
    create(http)
    found, told = refusal(http.post("/_fake/next", json=body))
    assert (found, told[: len(text)]) == (status, text)
    assert http.post("/v1/codeq/tasks", json={"command": "A", "payload": 1}).json()["id"] not in {"a", "new", ID}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "values"), [("ids", [f"id-{n}" for n in range(10_000)]), ("delays", [1] * 10_000)])
def test_so_many_ids_and_delays_may_wait_but_no_more(http: httpx.Client, name: str, values: list[Any]) -> None:
    for n in range(10):
        more = [f"{n}-{one}" for one in values] if name == "ids" else values
        assert http.post("/_fake/next", json={name: more}).status_code == 200
    reply = http.post("/_fake/next", json={name: values[:1]})
    assert refusal(reply) == (409, "at most 100,000 ids and as many delays may wait for their use")
    assert http.post("/_fake/next", json={}).status_code == 200
