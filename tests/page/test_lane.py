"""The lane above a story: states as bars, heartbeats, refusals and tries as ticks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.page.support import TASKS, text

if TYPE_CHECKING:
    import httpx

    from codeq_fake.testing import FakeCodeQ
    from tests.page.support import Story


def bars(shown: str) -> list[tuple[float, float, str]]:
    """Where each bar begins, its width, and its state."""
    found = re.findall('<svg x="([0-9.]+)%" width="([0-9.]+)%" height="28" .*?<title>([^<]+)</title>', shown)
    return [(float(x), float(width), state) for x, width, state in found]


def ticks(shown: str) -> list[tuple[str, float]]:
    """The kind and the place of each tick."""
    return [(kind, float(x)) for x, kind in re.findall(r'<svg x="([0-9.]+)%" y="0" [^>]*class="tick (\w+)"', shown)]


def test_a_task_has_its_states_to_scale(fake: FakeCodeQ, browser: httpx.Client) -> None:
    task = fake.enqueue("A", tenant="dev", delay=40)
    with fake.client() as http:
        fake.advance(seconds=50)
        http.post(f"{TASKS}/claim", json={"commands": ["A"], "leaseSeconds": 90})
        fake.advance(seconds=25)
        http.post(f"{TASKS}/{task.id}/heartbeat", json={})
        http.post(f"{TASKS}/{task.id}/nack", content="no JSON")
    fake.advance(seconds=25)
    shown = browser.get("/_fake/page/task", params={"id": task.id}).text
    assert bars(shown) == [(0, 50, "delayed"), (50, 50, "in progress")]
    assert ticks(shown) == [("heartbeat", 75), ("refusal", 75)]
    assert "12:00:00 1 min 40 s 12:01:40 delayed 50 s in progress 50 s 1 heartbeat 1 request refused" in text(shown)


def test_the_last_state_of_an_ended_task_is_short(fake: FakeCodeQ, browser: httpx.Client) -> None:
    task = fake.enqueue("A", tenant="dev")
    with fake.client() as http:
        http.post(f"{TASKS}/claim", json={"commands": ["A"]})
        fake.advance(seconds=100)
        http.post(f"{TASKS}/{task.id}/result", json={"status": "COMPLETED", "result": {}})
    fake.advance(seconds=3600)
    shown = browser.get("/_fake/page/task", params={"id": task.id}).text
    assert bars(shown) == [(0, 95.2, "in progress"), (95.2, 4.8, "completed")]
    assert "12:00:00 1 min 40 s 12:01:40 in progress 1 min 40 s completed 12:00:00 created" in text(shown)


def test_a_task_that_lives_at_one_instant_has_a_bar(fake: FakeCodeQ, browser: httpx.Client) -> None:
    task = fake.enqueue("A")
    assert bars(browser.get("/_fake/page/task", params={"id": task.id}).text) == [(0, 100, "ready")]


def test_a_callback_has_its_tries_on_an_axis(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    assert story.completed
    fake.advance(seconds=60)
    shown = browser.get("/_fake/page/callback?n=1").text
    assert [kind for kind, _ in ticks(shown)] == ["try", "try"]
    assert [state for *_, state in bars(shown)] == ["pending", "delivered"]
    told = text(shown)
    assert "try 1 503" in told
    assert "try 2 204" in told
    assert "Content-Type: application/json" in told
    assert '"boxes": [ 1, 2 ]' in told
    assert browser.get("/_fake/page/callback?n=9").status_code == 404


def test_a_story_tells_leases_reasons_and_attempts(fake: FakeCodeQ, browser: httpx.Client) -> None:
    task = fake.enqueue("A", tenant="dev")
    with fake.client() as http:
        http.post(f"{TASKS}/claim", json={"commands": ["A"], "leaseSeconds": 90})
        http.post(f"{TASKS}/{task.id}/nack", json={"reason": "the printer is out of ink"})
    told = text(browser.get("/_fake/page/task", params={"id": task.id}).text)
    assert "claimed by worker-dev in progress 1 attempt a lease of 1 min 30 s" in told
    assert "nacked by worker-dev delayed 2 attempts the printer is out of ink" in told


def test_a_story_counts_no_attempts_before_a_new_start(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    fake.requeue(story.dead)
    told = text(browser.get("/_fake/page/task", params={"id": story.dead}).text)
    assert "claimed by worker-dev in progress a lease of 1 min" in told
    assert "requeued by hand ready" in told


def test_a_story_has_requests_that_a_fault_struck(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    with fake.client() as http:
        http.post("/_fake/faults", json={"do": "delay", "on": "heartbeat", "seconds": 0})
        http.post(f"{TASKS}/{story.held}/heartbeat", json={})
    shown = browser.get("/_fake/page/task", params={"id": story.held}).text
    assert "heartbeat struck by a fault by worker-dev delay" in text(shown)
    assert [kind for kind, _ in ticks(shown)] == ["heartbeat", "refusal"]


def test_a_story_is_exported(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    reply = browser.get("/_fake/page/task.json", params={"id": story.completed})
    assert reply.headers["content-disposition"] == 'attachment; filename="codeq-fake-task.json"'
    whole = reply.json()
    assert whole["id"] == story.completed
    assert [request["path"].rpartition("/")[2] for request in whole["requests"]] == ["tasks", "claim", "result"]
    assert [len(callback["tries"]) for callback in whole["callbacks"]] == [1]
    assert browser.get("/_fake/page/task.json?id=none").status_code == 404
    assert fake.task(story.completed).id in browser.get("/_fake/page/task", params={"id": story.completed}).text
