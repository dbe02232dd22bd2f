"""The actions of the page: posted forms, which lead back and say what happened."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.faults.parsing import KNOWN_FIELDS
from codeq_fake.faults.recipes import RECIPES
from codeq_fake.faults.rule import KINDS
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving.application import application
from codeq_fake.testing import FakeCodeQ
from tests.http.support import ask
from tests.page.support import HOOK, NOW, OWN, TASKS, Hook, tell, text

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.support import Answer
    from tests.page.support import Story

NEW = {"command": "PACK", "payload": '{"box": [1, 2]}', "tenant": "dev", "priority": "7"}


def act(browser: httpx.Client, path: str, **fields: str) -> str:
    """Post a form; the text of the document that it leads to."""
    sent = browser.post(f"/_fake/page/{path}", data=fields)
    assert sent.status_code == 303, text(sent.text)
    return text(browser.get(sent.headers["location"]).raise_for_status().text)


def test_a_task_is_created(fake: FakeCodeQ, browser: httpx.Client) -> None:
    shown = act(browser, "create", **NEW, delay="30", max_attempts="2", webhook=f" {HOOK} ")
    [task] = fake.tasks()
    assert (task.command, task.payload, task.tenant, task.priority) == ("PACK", {"box": [1, 2]}, "dev", 7)
    assert (task.location, task.max_attempts) == ("DELAYED_ZSET", 2)
    assert "The task is created." in shown
    assert task.id in shown


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("payload", "{oops", "the payload is not JSON: Expecting property name"),
        ("payload", "1 2", "the payload is not JSON: Extra data"),
        ("payload", '1}, "x": {', "the payload is not JSON: Extra data"),
        ("payload", "NaN", "the payload is not JSON"),
        ("payload", "[" * 20_000, "the payload is not JSON"),
        ("command", "  ", "invalid command"),
        ("webhook", "app.test/done", "invalid webhook url"),
        ("priority", "x", "priority: found 'x' where a whole number belongs"),
        ("delay", "-1", "delay: found '-1' where a whole number belongs"),
        ("max_attempts", "9" * 5000, "attempts: found"),
    ],
)
def test_a_refused_task_is_shown_again_as_typed(
    fake: FakeCodeQ, browser: httpx.Client, field: str, value: str, reason: str
) -> None:
    reply = browser.post("/_fake/page/create", data={**NEW, field: value})
    assert reply.status_code == 400
    assert reason in text(reply.text)
    assert 'value="dev"' in reply.text
    assert fake.tasks() == []


def test_the_form_knows_the_tenant_of_the_fakes_token(browser: httpx.Client) -> None:
    assert 'name="tenant" value="dev"' in browser.get("/_fake/page/create").text


def test_the_form_has_no_tenant_if_only_signed_tokens_count() -> None:
    keys = '{"jwksUrl": "http://keys.test/", "issuer": "us", "audience": "codeq"}'
    jwks = {"PRODUCER_AUTH_CONFIG": keys, "WORKER_AUTH_CONFIG": keys}
    with FakeCodeQ(settings=jwks) as fake, fake.client() as http:
        assert 'name="tenant" value=""' in http.get("/_fake/page/create").text


def test_a_create_on_the_page_notifies_subscribers(fake: FakeCodeQ, browser: httpx.Client) -> None:  # U4
    with fake.client() as http:
        http.post("/v1/codeq/workers/subscriptions", json={"callbackUrl": HOOK, "eventTypes": ["PACK"]})
    act(browser, "create", **NEW)
    assert [callback["kind"] for callback in fake.callbacks] == ["queue_ready"]


@pytest.mark.parametrize(
    ("fields", "now"),
    [
        ({"seconds": "60"}, "2026-01-31T12:01:00Z"),
        ({"amount": "0.5", "unit": "min"}, "2026-01-31T12:00:30Z"),
        ({"amount": " 2 ", "unit": "d"}, "2026-02-02T12:00:00Z"),
        ({"to": "2026-01-31T12:00:01.5Z"}, "2026-01-31T12:00:01.5Z"),
    ],
)
def test_the_clock_is_advanced(fake: FakeCodeQ, browser: httpx.Client, fields: dict[str, str], now: str) -> None:
    assert f"The clock advanced to {now}." in act(browser, "clock/advance", **fields)
    assert fake.now == now


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"amount": "soon", "unit": "s"}, "advance the clock by a number"),
        ({"amount": "-1", "unit": "s"}, "seconds: a number that is not negative belongs here"),
        ({"amount": "NaN", "unit": "s"}, "advance the clock by a number"),
        ({"amount": "1e400", "unit": "s"}, "seconds: a number that is not negative belongs here"),
        ({"amount": "999999999999", "unit": "s"}, "the clock ends with the year 9999"),
        ({"to": "2026-01-31T11:00:00Z"}, "time never goes back"),
        ({"to": "then"}, "where an RFC 3339 time"),
        ({}, "advance the clock by a number"),
    ],
)
def test_an_impossible_advance_is_refused(browser: httpx.Client, fields: dict[str, str], reason: str) -> None:
    assert reason in act(browser, "clock/advance", **fields)


def test_the_clock_is_started_and_stopped(fake: FakeCodeQ, browser: httpx.Client) -> None:
    assert "The clock runs from 2026-01-31T12:00:0" in act(browser, "clock/mode", mode="real")
    assert "The clock stands at 2026-01-31T12:00:" in act(browser, "clock/mode", mode="manual")
    now = fake.now
    assert fake.now == now
    assert "mode: found 'backwards', allowed are real and manual" in act(browser, "clock/mode", mode="backwards")


def test_a_lease_is_ended(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    assert "The lease is over" in act(browser, "task/expire", id=story.held)
    assert "its lease has run out" in str(fake.task(story.held).claimable["reason"])
    assert "is not in progress" in act(browser, "task/expire", id=story.ready)


def test_a_lease_that_is_over_can_be_taken_away_and_not_be_ended(browser: httpx.Client, story: Story) -> None:
    """To end it again would mean nothing, and write a later end into its story."""
    documents = ("/_fake/", f"/_fake/page/task?id={story.held}")
    ended, taken = 'action="/_fake/page/task/expire"', 'action="/_fake/page/task/take"'
    assert all(ended in browser.get(path).text for path in documents)
    act(browser, "task/expire", id=story.held)
    for path in documents:
        shown = browser.get(path).text
        assert (ended in shown, taken in shown) == (False, True), path


def test_a_worker_loses_its_task_at_once(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    with fake.client() as worker:
        act(browser, "task/expire", id=story.held)
        assert worker.post(f"{TASKS}/{story.held}/heartbeat", json={}).status_code == 200  # H3
        assert "The worker has lost the task" in act(browser, "task/take", id=story.held)
        assert worker.post(f"{TASKS}/{story.held}/heartbeat", json={}).status_code == 403
    task = fake.task(story.held)
    events = [event["what"] for event in task.history]
    assert events[2:] == ["lease ended by hand", "heartbeat", "lease ended by hand", "lease expired"]
    assert (task.location, task.attempts) == ("DELAYED_ZSET", 2)
    assert "has no lease to take away" in act(browser, "task/take", id=story.ready)


def test_a_task_is_requeued(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    assert "The task is ready again" in act(browser, "task/requeue", id=story.dead)
    assert fake.task(story.dead).location == "PENDING_LIST"


def test_a_task_is_deleted(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    assert "Delete this task?" in text(browser.get("/_fake/page/task/delete", params={"id": story.held}).text)
    assert f"Task {story.held} is deleted." in act(browser, "task/delete", id=story.held)
    assert len(fake.tasks()) == 5


def test_a_callback_is_sent_again(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    assert "Sent again as number 2: delivered." in act(browser, "callbacks/resend", n="1")
    assert [callback["state"] for callback in fake.callbacks] == ["pending", "delivered"]
    fake.delete(story.completed)
    assert "there is nothing left to send" in act(browser, "callbacks/resend", n="1")


def test_a_callback_delayed_by_its_rate_limit_is_announced() -> None:  # L1
    limits = "rateLimit:\n  webhook: {requestsPerMinute: 1, burstSize: 1}\n"
    with FakeCodeQ(now=NOW, yaml=limits, webhooks={"http://app.test": Hook()}) as fake:
        with fake.client() as http:
            tell(http)
        with fake.client(base_url="http://codeq.test", headers=OWN) as browser:
            assert "The rate limit of the webhook delays it" in act(browser, "callbacks/resend", n="1")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("task/expire", {"id": "unknown"}),
        ("task/requeue", {"id": "unknown"}),
        ("task/delete", {}),
        ("callbacks/resend", {"n": "9"}),
        ("faults/remove", {"n": "9"}),
    ],
)
def test_an_action_on_an_unknown_thing_is_a_404(browser: httpx.Client, path: str, fields: dict[str, str]) -> None:
    assert browser.post(f"/_fake/page/{path}", data=fields).status_code == 404


def test_faults_are_added_and_removed(fake: FakeCodeQ, browser: httpx.Client) -> None:
    rule = {"do": "refuse", "on": "claim", "command": "PACK", "times": "2", "status": "503", "probability": "0.5"}
    shown = act(browser, "faults/add", **rule, back="/_fake/page/faults")
    assert "Fault 1 is active: refuse." in shown
    assert "carried out. claim command PACK times 2 probability 0.5 status 503 0 0" in shown
    assert "Fault 1 is removed: refuse." in act(browser, "faults/remove", n="1")
    act(browser, "faults/add", do="delay", seconds="1.5")
    assert "All faults are removed." in act(browser, "faults/clear")
    with fake.client() as http:
        assert http.get("/_fake/faults").json() == {"faults": []}


REFUSAL = {
    "do": "refuse",
    "on": "claim",
    "worker": "w-1",
    "command": "PACK",
    "nth": "3",
    "times": "2",
    "probability": "0.5",
    "seed": "7",
    "status": "429",
    "body": '{"error": "busy"}',
    "retryAfter": "2",
    "headers": "Server: nginx\r\n\r\nX-Try:  a: b ",
}


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        (
            REFUSAL,
            {
                **REFUSAL,
                "nth": 3,
                "times": 2,
                "probability": 0.5,
                "seed": 7,
                "status": 429,
                "retryAfter": 2,
                "headers": {"Server": "nginx", "X-Try": "a: b"},
            },
        ),
        ({"do": "garble", "how": "malformed", "on": "get", "task": "t-1"}, None),
        ({"do": "clock_skew", "seconds": "-90"}, {"do": "clock_skew", "seconds": -90}),
    ],
)
def test_the_form_makes_every_kind_of_rule(
    fake: FakeCodeQ, browser: httpx.Client, fields: dict[str, str], rule: dict[str, Any] | None
) -> None:
    act(browser, "faults/add", **fields)
    with fake.client() as http:
        [fault] = http.get("/_fake/faults").json()["faults"]
    assert fault == {"id": 1, "met": 0, "fired": 0} | (rule or fields)


def test_the_forms_have_the_fields_that_apply(browser: httpx.Client) -> None:
    def form_fields(kind: str) -> set[str]:
        form = browser.get("/_fake/page/faults", params={"do": kind}).text.rpartition(
            'action="/_fake/page/faults/add"'
        )[2]
        return set(re.findall('name="([a-zA-Z]+)"', form)) - {"back"}

    forms = {kind: form_fields(kind) for kind in KINDS}
    assert set().union(*forms.values()) == {*KNOWN_FIELDS}
    assert forms["drop_reply"].isdisjoint({"seconds", "how", "status", "retryAfter", "headers", "body"})
    assert {"status", "retryAfter", "headers", "body"} <= forms["refuse"]
    assert "seconds" not in forms["refuse"]


def test_each_recipe_of_the_page_makes_a_rule(fake: FakeCodeQ, browser: httpx.Client) -> None:
    forms = browser.get("/_fake/page/faults").text.split('action="/_fake/page/faults/recipe"')[1:]
    assert len(forms) == len(RECIPES)
    assert '<option value="claim" selected>claims</option>' in forms[1]  # after a number of times
    for form in forms:
        fields = dict(re.findall('<input.*? name="([a-z]+)" value="([^"]*)"', form.partition("</form>")[0]))
        act(browser, "faults/recipe", **fields, on="claim")
    with fake.client() as http:
        faults = http.get("/_fake/faults").json()["faults"]
    assert [fault["do"] for fault in faults] == [recipe.rule["do"] for recipe in RECIPES]
    assert {fault["on"] for fault in faults if fault["do"] in ("drop_reply", "refuse", "reset")} == {"claim"}
    assert "times: 'some' does not belong there" in act(browser, "faults/recipe", recipe="0", on="claim", times="some")


def test_a_struck_request_says_what_was_done_and_what_never_arrived(fake: FakeCodeQ, browser: httpx.Client) -> None:
    task = fake.enqueue("A")
    act(browser, "faults/add", do="drop_reply", on="claim", times="1")
    assert "1 fault active" in text(browser.get("/_fake/page/tasks").text)
    with fake.client() as http, pytest.raises(httpx.RemoteProtocolError):
        http.post(f"{TASKS}/claim", json={"commands": ["A"]})
    shown = text(browser.get("/_fake/page/request?n=1").text)
    assert "drop_reply It was carried out. The connection died before the reply." in shown
    assert f'Reply never arrived {{ "id": "{task.id}"' in shown
    assert "1 fault active" not in shown  # it has fired as often as it may


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"do": "explode"}, "do: there is no kind 'explode'"),
        ({}, "do is missing"),
        ({"do": "delay", "seconds": "soon"}, "seconds: found 'soon' where a number belongs"),
        ({"do": "delay", "seconds": "nan"}, "seconds: found nan"),
        ({"do": "refuse", "headers": "Server: nginx\nnothing"}, "headers: found 'nothing' where a line such as"),
        ({"do": "refuse", "headers": ": nginx"}, "is not a header"),
        ({"do": "reset", "how": "cut"}, "how: reset takes no further argument"),
        ({"do": "drop_reply", "times": "-1"}, "times: found '-1' where a whole number belongs"),
    ],
)
def test_an_invalid_fault_is_refused(browser: httpx.Client, fields: dict[str, str], reason: str) -> None:
    assert reason in act(browser, "faults/add", **fields)


def test_a_reset_asks_for_confirmation(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    assert "6 tasks" in text(browser.get("/_fake/page/reset").text)
    assert fake.task(story.held).status == "IN_PROGRESS"
    assert "Everything is empty" in act(browser, "reset")
    assert (fake.tasks(), fake.requests) == ([], [])


def test_one_task_is_counted_in_the_singular(fake: FakeCodeQ, browser: httpx.Client) -> None:
    fake.enqueue("A")
    assert "1 task, and all subscriptions" in text(browser.get("/_fake/page/reset").text)
    assert "The whole state with 1 task" in text(browser.get("/_fake/page/state").text)


def test_the_state_is_downloaded_and_uploaded(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    reply = browser.get("/_fake/page/state.json")
    assert reply.headers["content-disposition"] == 'attachment; filename="codeq-fake-2026-01-31T120001Z.json"'
    before = fake.state()
    assert reply.json() == json.loads(json.dumps(before))
    fake.reset()
    sent = browser.post("/_fake/page/state", files={"state": ("state.json", reply.content)})
    assert (sent.status_code, sent.headers["location"]) == (303, "/_fake/")
    assert fake.state() == before
    assert fake.task(story.held).status == "IN_PROGRESS"


def test_the_state_is_written_to_its_file(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    runtime = FakeServer(Config(state_file=file), WallClock("manual"))
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"content-length", b"0")]

    async def look_and_save() -> tuple[Answer, Answer]:
        app = application(runtime)
        shown = await ask(app, "GET", "/_fake/page/state", (), headers)
        return shown, await ask(app, "POST", "/_fake/page/state/save", (), headers)

    shown, saved = asyncio.run(look_and_save())
    assert f"This fake writes it to {file} when it stops." in text(shown.body.decode())
    assert saved.status == 303
    assert json.loads(file.read_text())["broker"]["tasks"] == []


def test_without_a_state_file_the_state_cannot_be_written(browser: httpx.Client) -> None:
    assert "Write it now" not in browser.get("/_fake/page/state").text
    assert "this fake has no state file" in act(browser, "state/save")


@pytest.mark.parametrize("content", [b"", b"{oops", b"[]", b"{}", b'{"broker": 1}', json.dumps({"x": 1}).encode()])
def test_an_invalid_state_changes_nothing(fake: FakeCodeQ, browser: httpx.Client, story: Story, content: bytes) -> None:
    before = fake.state()
    sent = browser.post(
        "/_fake/page/state", files={"state": ("state.json", content)}, data={"back": "/_fake/page/state"}
    )
    assert (sent.status_code, sent.headers["location"]) == (303, "/_fake/page/state")
    assert 'class="said problem"' in browser.get("/_fake/page/state").text
    assert (fake.state(), fake.task(story.held).id) == (before, story.held)


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x\r\nnothing"),
        ({"content-type": "multipart/form-data"}, b"--x"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"%ff=%ff&&=&"),
        ({"content-type": "application/json"}, b"{}"),
        (
            {"content-type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n',
        ),
    ],
)
def test_a_body_that_is_not_a_form_is_refused(browser: httpx.Client, headers: dict[str, str], content: bytes) -> None:
    for path in ("create", "clock/advance", "clock/mode", "task/requeue", "callbacks/resend", "state", "login"):
        reply = browser.post(f"/_fake/page/{path}", headers=headers, content=content)
        assert reply.status_code in {303, 400, 404}, path


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "//[", "/\\evil.example", "/v1/codeq", "", "x"]
)
def test_a_form_never_leads_to_another_site(browser: httpx.Client, back: str) -> None:
    sent = browser.post("/_fake/page/clock/advance", data={"seconds": "1", "back": back})
    assert sent.headers["location"] == "/_fake/"


def test_a_form_leads_back_to_its_page(browser: httpx.Client) -> None:
    back = "/_fake/page/tasks?q=a+b&sheet=2"
    sent = browser.post("/_fake/page/clock/advance", data={"seconds": "1", "back": back})
    assert sent.headers["location"] == back


def test_a_message_is_shown_once(browser: httpx.Client) -> None:
    act(browser, "clock/advance", seconds="1")
    assert "The clock advanced" not in text(browser.get("/_fake/").text)


@pytest.mark.parametrize("said", ["x", "%7B%7D", "%5B%5D", "1", '{"text": 1}'])
def test_an_invalid_message_cookie_is_ignored(browser: httpx.Client, said: str) -> None:
    browser.cookies.set("codeq-fake-said", said, domain="codeq.test")
    assert browser.get("/_fake/").status_code == 200


def test_a_get_never_runs_an_action(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    from codeq_fake.page.actions import ACTIONS  # noqa: PLC0415 - the table is all that this test is about

    before: dict[str, Any] = fake.state()
    for path in ACTIONS:
        browser.get(path, params={"id": story.held, "n": "1", "seconds": "60", "mode": "real"})
    assert fake.state() == before
    assert TASKS not in ACTIONS
