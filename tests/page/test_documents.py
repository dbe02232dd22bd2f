"""Every document of the page: it answers, shows what it must, and escapes hostile text."""

from __future__ import annotations

import asyncio
import html
import json
import re
import shlex
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.core import State
from codeq_fake.page.rendering import STATES, visible
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving.application import application
from codeq_fake.testing import FakeCodeQ
from tests.http.support import ask
from tests.page.support import OWN, TASKS, links, text

if TYPE_CHECKING:
    from tests.page.support import Story

DOCUMENTS = [
    "/_fake/",
    "/_fake/api",
    "/_fake/page/tasks",
    "/_fake/page/create",
    "/_fake/page/workers",
    "/_fake/page/callbacks",
    "/_fake/page/callback?n=1",
    "/_fake/page/requests",
    "/_fake/page/request?n=1",
    "/_fake/page/depth",
    "/_fake/page/faults",
    "/_fake/page/ledger",
    "/_fake/page/state",
    "/_fake/page/reset",
]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_each_document_answers_with_the_pages_headers(browser: httpx.Client, story: Story, path: str) -> None:
    reply = browser.get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["cache-control"] == "no-store"
    assert story.held


@pytest.mark.parametrize("path", DOCUMENTS)
def test_an_empty_fake_has_every_document_too(browser: httpx.Client, path: str) -> None:
    assert browser.get(path).status_code == (404 if "n=1" in path else 200)


@pytest.mark.parametrize(
    ("token", "body", "shown"),
    [
        ("nobodys", '{"commands": ["A"]}', "Request body not read: the caller comes first (B3)"),
        ("scopeless", '{"commands": ["A"]}', "Request body not read: the caller comes first (B3)"),
        ("scopeless", "", "Request body none"),
    ],
)
def test_a_body_that_was_not_read_is_told_from_none(token: str, body: str, shown: str) -> None:
    claims = {"sub": "w-1", "tenantId": "acme", "eventTypes": ["*"], "scope": "codeq:result"}
    with FakeCodeQ(identities={"scopeless": {"kind": "worker", "claims": claims}}) as fake, fake.client() as http:
        http.post(f"{TASKS}/claim", content=body, headers={"authorization": f"Bearer {token}"})
        page = text(http.get("/_fake/page/request?n=1").text)
    assert shown in page
    assert ("Callerw-1" in page) == (token == "scopeless")


def test_an_empty_page_offers_a_first_task_that_the_server_takes(fake: FakeCodeQ, browser: httpx.Client) -> None:
    shown = re.search('id="first-task">(.*?)</pre>', browser.get("/_fake/").text, re.DOTALL)
    assert shown is not None
    _, _, url, *options = shlex.split(html.unescape(shown[1]).replace("\\\n", ""))
    headers, body = options[1], options[3]
    name, _, value = headers.partition(": ")
    assert browser.post(url, headers={name: value}, content=body).status_code == 202
    assert [task.command for task in fake.tasks()] == ["HELLO"]
    assert "first-task" not in browser.get("/_fake/").text


@pytest.mark.parametrize("path", DOCUMENTS)
def test_no_document_links_to_another_site(browser: httpx.Client, story: Story, path: str) -> None:
    assert all(link.startswith(("/_fake/", "#")) for link in links(browser.get(path).text)), story


def test_a_browser_that_opens_the_address_is_sent_to_the_page(browser: httpx.Client) -> None:
    as_browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert browser.get("/", headers=as_browser).headers["location"] == "/_fake/"
    assert browser.get("/").status_code == 404  # R18
    assert browser.post("/", headers=as_browser).status_code == 404


def test_without_the_page_a_browser_gets_what_any_client_gets() -> None:
    app = application(FakeServer(Config(), WallClock("manual")), with_control=False)
    assert asyncio.run(ask(app, "GET", "/", headers=[(b"accept", b"text/html")])).status == 404


def test_looking_changes_nothing(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    before, seen = fake.state(), len(fake.requests)
    for path in [*DOCUMENTS, f"/_fake/page/task?id={story.held}", f"/_fake/page/task/delete?id={story.held}"]:
        browser.get(path)
    assert (fake.state(), len(fake.requests)) == (before, seen)


def test_the_overview_counts_and_lists_waiting_tasks(browser: httpx.Client, story: Story) -> None:
    shown = text(browser.get("/_fake/").text)
    for part in ("1 Ready", "1 Delayed", "1 In progress", "1 Dead", "2 Ended", "0 Waiting claims"):
        assert part in shown
    assert f"{story.held} RENDER worker-dev in 59 s 12:01:00.501 1 of 5" in shown
    assert f"{story.delayed} RENDER in 1 min 30 s 12:01:31 0 of 5" in shown
    assert f"{story.dead} BURN too hot 2 (at most 1)" in shown
    assert "RENDER dev 1 p3: 1 1 first in 1 min 30 s 1 first lease in 59 s 0" in shown
    assert "A callback is tried again in 1 s" in shown


def test_a_task_shows_its_history_and_why_it_cannot_be_claimed(browser: httpx.Client, story: Story) -> None:
    shown = text(browser.get("/_fake/page/task", params={"id": story.held}).text)
    assert "No: worker-dev holds its lease (K5). Not before 12:01:00.501 (in 59 s)." in shown
    assert "12:00:01 created by dev ready 12:00:01 +0 s claimed by worker-dev in progress" in shown
    assert '{ "jobId": "render" }' in shown


def test_a_clause_leads_to_what_it_says(browser: httpx.Client, story: Story) -> None:
    shown = browser.get("/_fake/page/task", params={"id": story.held}).text
    assert '(<a href="/_fake/page/ledger#clause-K5">K5</a>)' in shown
    assert 'id="clause-K5"' in browser.get("/_fake/page/ledger").text


def test_the_clock_says_how_far_it_is_from_the_real_one() -> None:
    """To half a minute, so that a slow machine changes no word of it."""
    with FakeCodeQ() as fake, fake.client() as browser:
        assert " of real" not in text(browser.get("/_fake/").text)
        fake.advance(seconds=3690)
        assert "stands still, 1 h 1 min ahead of real" in text(browser.get("/_fake/").text)
    with FakeCodeQ(now="2001-01-31T12:00:00Z") as fake, fake.client() as browser:
        assert "behind real" in text(browser.get("/_fake/page/tasks").text)


def test_what_is_past_is_not_called_next(fake: FakeCodeQ, browser: httpx.Client, story: Story) -> None:
    fake.advance(seconds=120)
    shown = text(browser.get("/_fake/").text)
    assert "1 first due 1 first lease over" in shown
    assert f"{story.delayed} RENDER due" in shown
    assert "delayed due now" in text(browser.get("/_fake/page/tasks?state=delayed").text)


def test_a_very_long_payload_is_cut(fake: FakeCodeQ, browser: httpx.Client) -> None:
    task = fake.enqueue("A", "x" * 150_000)
    reply = browser.get("/_fake/page/task", params={"id": task.id})
    assert "... and 50,002 characters more" in reply.text
    assert len(browser.get("/_fake/page/tasks").text) < 20_000


def test_a_completed_task_shows_its_result_and_its_callback(browser: httpx.Client, story: Story) -> None:
    shown = text(browser.get("/_fake/page/task", params={"id": story.completed}).text)
    assert '{ "boxes": [ 1, 2 ] }' in shown
    assert "http://app.test/hooks/done" in shown
    assert "pending next try in 1 s 12:00:00 503" in shown


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_word_that_tasks_can_be_searched_by(browser: httpx.Client, state: State) -> None:
    assert browser.get("/_fake/page/tasks", params={"state": STATES[state]}).status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"ready", "delayed", "held", "completed", "failed", "dead"}),
        ("state=ready", {"ready"}),
        ("state=in+progress", {"held"}),
        ("command=render", {"ready", "delayed", "held"}),
        ("command=render&state=delayed", {"delayed"}),
        ("tenant=acme", set()),
        ("q=LATER", {"delayed"}),
        ("q=pack", {"completed"}),
        ("q=nothing+like+it", set()),
        ("sheet=2", set()),
        ("sheet=0", {"ready", "delayed", "held", "completed", "failed", "dead"}),
    ],
)
def test_tasks_are_searched(browser: httpx.Client, story: Story, query: str, found: set[str]) -> None:
    shown = browser.get(f"/_fake/page/tasks?{query}").text
    assert {name for name in _names(story) if getattr(story, name) in shown} == found


def _names(story: Story) -> list[str]:
    return list(story.__dataclass_fields__)


def test_tasks_are_found_by_a_part_of_their_id(browser: httpx.Client, story: Story) -> None:
    shown = browser.get("/_fake/page/tasks", params={"q": story.dead[3:20].upper()}).text
    assert story.dead in shown
    assert story.held not in shown


def test_a_long_list_comes_in_sheets(fake: FakeCodeQ, browser: httpx.Client) -> None:
    for number in range(120):
        fake.enqueue("A", number)
    first = browser.get("/_fake/page/tasks?command=a").text
    assert "1 to 50 of 120 tasks" in text(first)
    assert "/_fake/page/tasks?sheet=2&amp;command=a" in first
    last = browser.get("/_fake/page/tasks?sheet=3&command=a").text
    assert "101 to 120 of 120 tasks" in text(last)
    assert "Older" not in text(last)


def test_requests_are_searched_by_path_body_reply_and_status(browser: httpx.Client, story: Story) -> None:
    assert "1 to 3 of 3 requests" in text(browser.get("/_fake/page/requests", params={"q": story.dead}).text)
    refused = text(browser.get("/_fake/page/requests?status=500").text)
    assert "POST /v1/codeq/tasks/unknown/heartbeat No task has this id" in refused
    assert "1 to 1 of 1 requests" in refused


@pytest.mark.parametrize(("status", "total"), [("5xx", 1), ("5XX", 1), ("4xx", 0), ("500", 1), ("", 14), ("5x", 14)])
def test_requests_are_found_by_a_class_of_statuses(
    browser: httpx.Client, story: Story, status: str, total: int
) -> None:
    assert story.held
    shown = browser.get("/_fake/page/requests", params={"status": status}).raise_for_status().text
    assert f"{total} requests" in text(shown)
    assert ("is no status. Write one such as 404, or 4xx." in shown) == (status == "5x")


def test_a_refused_request_is_shown_with_its_reason_and_headers(browser: httpx.Client, story: Story) -> None:
    assert story.held
    browser.post(f"{TASKS}/none/heartbeat", headers={"authorization": "Bearer s3cret", "x-request-id": "42"}, json={})
    [(number, reason)] = [(entry["n"], entry["reason"]) for entry in browser.get("/_fake/requests").json()["requests"]][
        -1:
    ]
    shown = text(browser.get(f"/_fake/page/request?n={number}").text)
    assert f"Refused because{reason}" in shown
    assert "authorization: Bearer *** x-request-id: 42" in shown
    assert "s3cret" not in shown


def test_a_request_leads_to_the_tasks_that_it_is_about(browser: httpx.Client, story: Story) -> None:
    batch = {"tasks": [{"command": "PACK", "payload": 1}, {"command": "PACK", "payload": 2}, {}]}
    browser.post(f"{TASKS}/batch", headers={"authorization": "Bearer dev-token"}, json=batch)
    browser.post(
        f"{TASKS}/claim/batch", headers={"authorization": "Bearer dev-token"}, json={"count": 2, "commands": ["PACK"]}
    )
    browser.post(f"{TASKS}/{story.held}/abandon", content=b"[" * 100_000)

    def tasks_of(number: int) -> list[str]:
        shown = browser.get(f"/_fake/page/request?n={number}").text
        return [link.partition("id=")[2] for link in links(shown) if link.startswith("/_fake/page/task?")]

    assert tasks_of(1) == [story.completed]  # a create
    assert tasks_of(3) == [story.completed]  # a result
    created = tasks_of(15)
    assert len(created) == 2
    assert tasks_of(16) == created
    assert tasks_of(17) == [story.held]


def test_a_story_folds_heartbeats_and_has_refusals_and_tries(
    fake: FakeCodeQ, browser: httpx.Client, story: Story
) -> None:
    with fake.client() as http:
        for _ in range(3):
            fake.advance(seconds=10)
            assert http.post(f"{TASKS}/{story.held}/heartbeat", json={}).status_code == 200
        http.post(f"{TASKS}/{story.held}/nack", content="no JSON")
    fake.advance(seconds=1)
    fake.expire(story.held)
    shown = text(browser.get("/_fake/page/task", params={"id": story.held}).text)
    assert (
        "12:00:01 +0 s claimed by worker-dev in progress 1 attempt "
        "a lease of 1 min 12:00:11 to 12:00:31 +10 s 3 heartbeats by worker-dev "
        "12:00:31 +20 s nack refused with 400 by worker-dev line 1, column 1: a value is expected (B1) "
        "12:00:32 +1 s lease ended by hand"
    ) in shown
    shown = text(browser.get("/_fake/page/task", params={"id": story.completed}).text)
    assert "completed by worker-dev completed 12:00:00 +0 s callback, try 1: 503" in shown


def test_a_ready_task_shows_its_place_and_who_claimed_of_late(fake: FakeCodeQ, browser: httpx.Client) -> None:
    fake.enqueue("SYNC", tenant="dev", priority=5)
    task = fake.enqueue("SYNC", tenant="dev")
    with fake.client() as http:
        http.post(f"{TASKS}/claim", json={"commands": ["SYNCS"]})
    fake.advance(seconds=3)
    shown = text(browser.get("/_fake/page/task", params={"id": task.id}).text)
    assert "Yes. It is number 2 of 2 ready in its queue." in shown
    assert "Latest claims: worker-dev 3 s ago: no SYNCS for dev; SYNC has 2 ready: a typo?" in shown


def test_a_request_is_shown_as_a_command_of_curl(fake: FakeCodeQ, browser: httpx.Client) -> None:
    with fake.client() as http:
        http.post(f"{TASKS}?x=1", json={"command": "A", "payload": "it's"}, headers={"cookie": "s3cret", "x-a": "1"})
    shown = html.unescape(browser.get("/_fake/page/request?n=1").text)
    command = shown.partition('id="curl">')[2].partition("</pre>")[0]
    assert shlex.split(command.replace("\\\n", "")) == [
        *("curl", "-i", "-X", "POST", f"http://codeq.test{TASKS}?x=1"),
        *("-H", "Authorization: Bearer $CODEQ_TOKEN", "-H", "x-a: 1", "-H", "content-type: application/json"),
        *("--data-raw", '{"command":"A","payload":"it\'s"}'),
    ]


def test_injected_faults_are_marked(fake: FakeCodeQ, browser: httpx.Client) -> None:
    with fake.client() as http:
        http.post("/_fake/faults", json={"do": "refuse", "on": "create", "status": 503})
        http.post("/_fake/faults", json={"do": "reset", "on": "claim"})
        http.post(TASKS, json={"command": "A", "payload": 1})
        with pytest.raises(httpx.TransportError):
            http.post(f"{TASKS}/claim", json={"commands": ["A"]})
    shown = text(browser.get("/_fake/page/requests").text)
    assert "POST /v1/codeq/tasks/claim no reply reset A worker-dev" in shown
    assert "503 refuse producer-dev" in shown
    assert browser.get("/_fake/page/request?n=2").status_code == 200


def test_the_contract_page_shows_what_traffic_touched(browser: httpx.Client, story: Story) -> None:
    shown = text(browser.get("/_fake/page/ledger").text)
    assert "clauses that a call can touch" in shown
    assert story.held
    assert "Z1" in shown


def test_the_contract_page_shows_surprises(browser: httpx.Client, story: Story) -> None:
    with_its = {"authorization": "Bearer dev-token"}
    browser.post(f"{TASKS}/{story.held}/heartbeat", headers=with_its, json={"leaseSeconds": 60})
    shown = text(browser.get("/_fake/page/ledger").text)
    assert "Documented otherwise Your traffic follows CodeQ's documents" in shown
    assert "H1 a heartbeat takes" in shown


def test_the_api_is_shown_with_its_definitions(browser: httpx.Client) -> None:
    page = browser.get("/_fake/api").text
    shown = text(page)
    assert "POST /v1/codeq/tasks/claim Claim the next task under a lease" in shown
    assert "idempotencyKey: type: [string, 'null']" in shown
    assert "error: not-in-progress" in shown
    assert "name: X-CodeQ-Signature" in shown
    assert "POST taskResult" in shown
    targets = {link[1:] for link in links(page) if link.startswith("#")}
    assert "schemas-Task" in targets
    assert targets <= set(re.findall('id="([^"]+)"', page))


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7777*7777 }}&lt;"


def test_hostile_text_is_escaped(fake: FakeCodeQ, browser: httpx.Client) -> None:
    with fake.client() as http:
        http.post("/_fake/next", json={"ids": [HOSTILE]})
        body = {"command": HOSTILE, "payload": {HOSTILE: HOSTILE}, "webhook": "http://app.test/?<script>"}
        assert http.post(TASKS, json=body).status_code == 202
        assert http.post(f"{TASKS}/claim", json={"commands": [HOSTILE], "leaseSeconds": 1}).status_code == 200
        http.post(f"{TASKS}?{HOSTILE}", content=HOSTILE.encode())
        fake.delete(HOSTILE)
        http.post("/_fake/next", json={"ids": [HOSTILE]})
        http.post(TASKS, json=body)
    paths = ["/_fake/", "/_fake/page/tasks", "/_fake/page/requests", "/_fake/page/request?n=3", "/_fake/page/callbacks"]
    for path in [
        *paths,
        *(f"{path}?q={{0}}&id={{0}}&state={{0}}&command={{0}}" for path in [*paths, "/_fake/page/task"]),
    ]:
        shown = browser.get(path.format(json.dumps(HOSTILE)[1:-1] if "n=3" in path else HOSTILE)).text
        assert "<script>alert" not in shown
        assert "<img" not in shown
        assert str(7777 * 7777) not in shown


#: A right-to-left override, a mark without a glyph, a tag beyond the BMP, a terminal's escape.
ODD = "pay\u202ecod.exe\u200b\U000e0041\x1b[31m"


def test_invisible_characters_are_shown_as_escapes(fake: FakeCodeQ, browser: httpx.Client) -> None:
    fake.next(ids=[ODD])
    fake.enqueue(ODD, {"name": ODD}, tenant=ODD)
    with fake.client() as http:
        http.post(f"{TASKS}/claim", content=ODD.encode())
    for path in (
        "/_fake/",
        "/_fake/page/tasks",
        f"/_fake/page/task?{urlencode({'id': ODD})}",
        "/_fake/page/request?n=1",
    ):
        shown = text(browser.get(path).text)
        assert "pay\\u202ecod.exe\\u200b\\udb40\\udc41\\u001b[31m" in shown
        assert not {char for char in ODD if not char.isprintable()} & set(shown)


def test_forms_send_invisible_characters_back_unchanged(fake: FakeCodeQ, browser: httpx.Client) -> None:
    fake.next(ids=[ODD])
    fake.enqueue("A")
    assert f'name="id" value="{ODD}"' in browser.get("/_fake/page/task", params={"id": ODD}).text
    assert f'name="id" value="{ODD}"' in browser.get("/_fake/page/task/delete", params={"id": ODD}).text
    assert f'name="q" value="{ODD}"' in browser.get("/_fake/page/tasks", params={"q": ODD}).text
    typed = browser.post("/_fake/page/create", headers=OWN, data={"command": ODD, "payload": ODD}).text
    assert f'name="command" value="{ODD}"' in typed
    assert f">\n{ODD}</textarea>" in typed


@pytest.mark.slow
def test_every_invisible_character_has_an_escape() -> None:
    every = [chr(code) for code in range(0x110000) if chr(code) not in "\t\n\r"]
    unseen = {char for char in every if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")}
    assert {char for char in unseen if visible(char) == char} == set()
    assert (
        visible("Gr\u00f6\u00dfe \u05d0\u0628 \u4efb\u52a1 \U0001f600\t\r\n")
        == "Gr\u00f6\u00dfe \u05d0\u0628 \u4efb\u52a1 \U0001f600\t\r\n"
    )


def test_a_task_of_any_id_has_its_document(fake: FakeCodeQ, browser: httpx.Client) -> None:
    for task_id in (HOSTILE, "a/b?c#d", "..", "\u00e4 \U0001f600"):
        fake.next(ids=[task_id])
        fake.enqueue("A")
        assert browser.get("/_fake/page/task", params={"id": task_id}).status_code == 200
        assert browser.get("/_fake/page/task/delete", params={"id": task_id}).status_code == 200


@pytest.mark.parametrize("path", ["/_fake/page/task?id=unknown", "/_fake/page/request?n=99", "/_fake/page/nothing"])
def test_an_unknown_document_is_a_404(browser: httpx.Client, path: str) -> None:
    reply = browser.get(path)
    assert reply.status_code == 404
    assert "Not found" in text(reply.text)
    assert {"/_fake/page/tasks", "/_fake/page/requests"} <= set(links(reply.text))  # the ways to look further


def test_a_missing_slash_is_added(browser: httpx.Client) -> None:
    assert browser.get("/_fake").headers["location"] == "/_fake/"


def test_a_query_that_is_not_a_number_is_refused(browser: httpx.Client) -> None:
    assert browser.get("/_fake/page/tasks?sheet=x").status_code == 400


def test_the_files_of_the_page_are_served(browser: httpx.Client) -> None:
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        reply = browser.get(f"/_fake/page/{name}")
        assert (reply.status_code, reply.headers["content-type"].partition(";")[0]) == (200, kind)
        assert reply.headers["x-content-type-options"] == "nosniff"
