"""The lists of the page: filters with counts, orders, suggestions, and what each row says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.page.support import TASKS, text

if TYPE_CHECKING:
    import httpx

    from tests.page.support import Story


def filters(browser: httpx.Client, path: str) -> dict[str, int]:
    """The filters that a list offers, with the numbers beside them."""
    offered = browser.get(f"/_fake/page/{path}").text.partition('aria-label="Filters"')[2].partition("</nav>")[0]
    return {name.strip(): int(count) for name, count in re.findall(r">([^<>]+) <b>([\d,]+)</b>", offered)}


def ids(browser: httpx.Client, query: str) -> list[str]:
    """The ids of the tasks in the list, from its first row to the last."""
    return re.findall('<tr role="row" id="task-([^"]+)"', browser.get(f"/_fake/page/tasks?{query}").text)


def test_filters_of_tasks_have_their_counts(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    every = {"All": 6, "Ready": 1, "Delayed": 1, "In progress": 1, "Stuck": 1, "Dead": 1, "Completed": 1, "Failed": 1}
    assert filters(browser, "tasks") == every
    assert filters(browser, "tasks?state=dead&command=render") == {
        "All": 3,
        "Ready": 1,
        "Delayed": 1,
        "In progress": 1,
        "Dead": 0,
    }
    fake.advance(seconds=65)  # the lease of a minute is over, and the ready task has waited
    assert filters(browser, "tasks") == every | {"Lease over": 1, "Stuck": 3}
    assert ids(browser, "state=lease+over") == [story.held]
    assert ids(browser, "state=stuck") == [story.ready, story.held, story.dead]
    fake.advance(seconds=90)
    assert ids(browser, "state=stuck") == [story.delayed, story.ready, story.held, story.dead]


def test_tasks_are_sorted(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    newest = [story.delayed, story.ready, story.held, story.dead, story.failed, story.completed]
    assert ids(browser, "") == newest
    assert ids(browser, "sort=oldest") == newest[::-1]
    assert ids(browser, "sort=highest+priority&command=render") == [story.held, story.ready, story.delayed]
    assert ids(browser, "sort=most+attempts")[0] == story.dead
    assert ids(browser, "sort=lease+or+delay+ends+first")[:2] == [story.held, story.delayed]
    fake.advance(seconds=1)
    fake.requeue(story.completed)
    assert ids(browser, "sort=longest+in+its+state")[-1] == story.completed
    assert ids(browser, "sort=nonsense") == newest


def test_a_row_says_for_how_long_a_task_has_been_in_its_state(
    fake: FakeCodeQ, browser: httpx.Client, story: Story
) -> None:
    fake.advance(seconds=5)
    with fake.client() as http:
        http.post(f"{TASKS}/{story.held}/heartbeat", json={"extendSeconds": 600})
    fake.advance(seconds=60)
    shown = text(browser.get("/_fake/page/tasks?state=in+progress").text)
    assert re.search("in progress *lease in (8 min 59 s|9 min) 1 min 5 s RENDER", shown)


def test_a_search_keeps_its_filter(browser: httpx.Client, story: Story) -> None:
    assert story.ready
    shown = browser.get("/_fake/page/tasks?state=dead&sort=oldest").text
    assert '<input type="hidden" name="state" value="dead">' in shown
    assert "/_fake/page/tasks?state=ready&amp;sort=oldest" in shown


def test_the_search_suggests_commands_and_tenants(fake: FakeCodeQ, browser: httpx.Client) -> None:
    fake.enqueue("SYNC_CRM", tenant="acme")
    fake.enqueue("sync_crm", tenant="umbrella")
    shown = browser.get("/_fake/page/tasks").text
    assert re.findall('<option value="([^"]+)">', shown) == ["SYNC_CRM", "sync_crm", "acme", "umbrella"]


def test_a_request_tells_its_command_task_duration_and_caller() -> None:
    with FakeCodeQ(clock="real") as fake, fake.client(base_url="http://codeq.test") as browser:
        task = fake.enqueue("SYNC_CRM", tenant="dev")
        with fake.client() as http:
            http.post("/_fake/faults", json={"do": "delay", "on": "claim", "seconds": 0.02, "times": 1})
            http.post(f"{TASKS}/claim", json={"commands": ["SYNC_CRM", "OTHER"]})
            http.post(f"{TASKS}/claim", json={"commands": ["SYNC_CRM", "OTHER"]})
        rows = text(browser.get("/_fake/page/requests").text)
    claim = f"POST /v1/codeq/tasks/claim 200 delay SYNC_CRM {task.id[:8]}… worker-dev [0-9:.]+ ([0-9.]+ m?s)"
    assert re.search(claim, rows)
    assert "204 SYNC_CRM, OTHER worker-dev" in rows


def test_repeated_empty_claims_are_one_row(fake: FakeCodeQ, browser: httpx.Client) -> None:
    with fake.client() as http:
        for _ in range(3):
            for command in ("A", "B"):
                http.post(f"{TASKS}/claim", json={"commands": [command]})
            fake.advance(seconds=10)
        http.post(TASKS, json={"command": "A", "payload": 1})
        http.post(f"{TASKS}/claim", json={"commands": ["B"]})
    rows = re.findall('id="request-([0-9]+)"', browser.get("/_fake/page/requests").text)
    assert rows == ["8", "7", "2", "1"]
    shown = text(browser.get("/_fake/page/requests").text)
    assert shown.count("3 times since 12:00:00") == 2
    assert "1 to 4 of 4 requests, repeated empty claims in one row" in shown
    assert len(re.findall('id="request-', browser.get("/_fake/page/requests?only=empty").text)) == 7
    assert filters(browser, "requests") == {"All": 8, "Empty claims": 7}


def test_a_claim_that_a_fault_made_empty_is_a_row(fake: FakeCodeQ, browser: httpx.Client) -> None:
    fake.enqueue("A", tenant="dev")
    with fake.client() as http:
        http.post("/_fake/faults", json={"do": "false_empty", "on": "claim", "times": 2})
        for _ in range(3):
            http.post(f"{TASKS}/claim", json={"commands": ["A"]})
    assert filters(browser, "requests") == {"All": 3, "Struck by a fault": 2}
    assert browser.get("/_fake/page/requests").text.count('id="request-') == 3


@pytest.mark.parametrize(("only", "found"), [("refused", [2]), ("struck", [1, 2]), ("", [3, 2, 1])])
def test_requests_are_filtered(fake: FakeCodeQ, browser: httpx.Client, only: str, found: list[int]) -> None:
    with fake.client() as http:
        http.post("/_fake/faults", json={"do": "delay", "on": "create", "seconds": 0, "times": 1})
        http.post("/_fake/faults", json={"do": "refuse", "on": "claim", "times": 1})
        http.post(TASKS, json={"command": "A", "payload": 1})
        http.post(f"{TASKS}/claim", json={})
        http.post(f"{TASKS}/claim", json={})
    shown = browser.get(f"/_fake/page/requests?only={only}").text
    assert sorted(map(int, re.findall('id="request-([0-9]+)"', shown))) == sorted(found)
    assert filters(browser, "requests") == {"All": 3, "Refused": 1, "Struck by a fault": 2, "Empty claims": 1}
