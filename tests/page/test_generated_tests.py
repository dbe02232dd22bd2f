"""A request as a test for pytest: the test runs, and gets the same reply."""

from __future__ import annotations

import html
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.in_process.support import wait_for
from tests.page.support import NOW, TASKS

if TYPE_CHECKING:
    import httpx


def written(browser: httpx.Client, n: int) -> str:
    """The test that the page of a request shows."""
    shown = html.unescape(browser.get(f"/_fake/page/request?n={n}").text)
    return shown.partition('id="pytest">')[2].partition("</pre>")[0]


def run(source: str) -> None:
    """Run a test as pytest would, with a fake by the options of its marker."""
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102 - what the page offers for that purpose
    [test] = [made for name, made in names.items() if name.startswith("test_")]
    [mark] = test.pytestmark
    with FakeCodeQ(**mark.kwargs) as codeq:
        test(codeq)


def tell(fake: FakeCodeQ, *, token: str | None = None) -> None:
    """A task with all that leads to a refused result: lost by its worker, requeued by hand, nacked, ended by hand."""
    made = fake.enqueue("SYNC", {"who": "it's"}, tenant="dev", priority=3)
    with fake.client() as producer, fake.client(token) as worker:
        fake.advance(seconds=2)
        worker.post(f"{TASKS}/claim", json={"commands": ["SYNC"], "leaseSeconds": 30})
        fake.advance(seconds=2)
        worker.post(f"{TASKS}/{made.id}/nack", json={"reason": "busy"})
        fake.advance(seconds=900)
        worker.post(f"{TASKS}/claim", json={"commands": ["SYNC"], "waitSeconds": 2})
        fake.expire(made.id)
        fake.requeue(made.id)
        worker.post(f"{TASKS}/{made.id}/result", json={"status": "COMPLETED", "result": {"n": True}})
        producer.post(TASKS, json={"command": "OTHER", "payload": None})
        producer.post(TASKS, content=b"{oops")


@pytest.mark.parametrize("n", range(1, 7))
def test_each_request_is_recreated_by_its_test(fake: FakeCodeQ, browser: httpx.Client, n: int) -> None:
    tell(fake)
    source = written(browser, n)
    run(source)
    status = re.search(r"status_code == (\d+)", source)
    assert status is not None
    with pytest.raises(AssertionError):
        run(source.replace(status[0], "status_code == 299"))


@pytest.mark.parametrize("by", ["a person", "a claim"])
def test_a_lost_lease_is_lost_in_the_test_too(fake: FakeCodeQ, browser: httpx.Client, by: str) -> None:
    """The task was requeued by hand, or by the claim of another worker; its next claim comes when its delay is over."""
    task = fake.enqueue("SYNC", 1, tenant="dev")
    with fake.client() as worker:
        worker.post(f"{TASKS}/claim", json={"commands": ["SYNC"], "leaseSeconds": 30})
        fake.advance(seconds=60)
        if by == "a person":
            fake.take(task.id)
        else:
            worker.post(f"{TASKS}/claim", json={"commands": ["SYNC"]})
        worker.post(f"{TASKS}/{task.id}/heartbeat", json={})
        fake.advance(seconds=20)
        worker.post(f"{TASKS}/claim", json={"commands": ["SYNC"]})
        requests = worker.get("/_fake/requests").json()["requests"]
    heartbeat, claim = requests[-2:]
    assert (heartbeat["status"], claim["status"]) == (403, 200)
    for request in (heartbeat, claim):
        run(written(browser, request["n"]))


def test_callers_of_the_fake_are_those_of_the_test() -> None:
    claims = {"sub": "w-1", "tenantId": "dev", "eventTypes": ["*"], "scope": "codeq:claim codeq:nack codeq:result"}
    callers: dict[str, dict[str, Any]] = {
        "billing": {"kind": "producer"},
        "one": {"kind": "worker", "token": "s3cret", "claims": claims},
    }
    with FakeCodeQ(now=NOW, seed=1, identities=callers) as fake:
        tell(fake, token="s3cret")
        with fake.client(base_url="http://codeq.test", headers={"origin": "http://codeq.test"}) as browser:
            source = written(browser, 4)
    assert "s3cret" not in source
    run(source)


def test_a_create_with_a_known_key_makes_no_task(fake: FakeCodeQ, browser: httpx.Client) -> None:  # C8
    with fake.client() as http:
        for _ in range(2):
            http.post(TASKS, json={"command": "A", "payload": 1, "idempotencyKey": "once"})
    run(written(browser, 2))


def test_a_claim_that_waited_is_sent_when_it_ended(fake: FakeCodeQ, browser: httpx.Client) -> None:
    def poll() -> None:
        with fake.client(timeout=60) as http:
            http.post(f"{TASKS}/claim", json={"commands": ["A"], "waitSeconds": 10})

    for has_task in (False, True):
        waiting = threading.Thread(target=poll)
        waiting.start()
        wait_for(lambda: fake.parked_claims == 1)
        if has_task:
            fake.advance(seconds=3)
            with fake.client() as http:
                http.post(TASKS, json={"command": "A", "payload": 1})
        fake.advance(seconds=10)
        waiting.join()
    for n in (1, 3):
        run(written(browser, n))


def test_what_a_test_cannot_repeat_has_none(fake: FakeCodeQ, browser: httpx.Client) -> None:
    with fake.client() as http:
        http.post("/_fake/faults", json={"do": "refuse", "on": "create", "times": 1})
        http.post(TASKS, json={"command": "A", "payload": 1})
        http.post(TASKS, json={"command": "A", "payload": 1}, headers={"authorization": "Bearer unknown"})
    assert [written(browser, n) for n in (1, 2)] == ["", ""]


@pytest.mark.parametrize("levels", [180, 200, 210, 1_000, pytest.param(9_000, marks=pytest.mark.slow)])
def test_a_deep_payload_or_result_has_a_test_if_python_compiles_it(
    fake: FakeCodeQ, browser: httpx.Client, levels: int
) -> None:
    deep = "[" * levels + "]" * levels
    with fake.client() as http:
        made = http.post(TASKS, content=f'{{"command":"A","payload":{deep}}}').json()
        http.post(f"{TASKS}/claim", json={"commands": ["A"]})
        http.post(f"{TASKS}/{made['id']}/result", content=f'{{"status":"COMPLETED","result":{{"a":{deep}}}}}')
    sources = [written(browser, n) for n in (1, 2, 3)]
    assert [bool(source) for source in sources] == [levels == 180] * 3
    for source in filter(None, sources):
        run(source)
