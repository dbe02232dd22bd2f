"""The page in a real browser: by clicks, without a mouse, without a script, and its accessibility."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from codeq_fake.testing import FakeCodeQ
from tests.page.support import HOOK, NOW, TASKS, Hook, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.page.support import Story

#: The first of these takes half of the processor time of the others.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)

#: To the browser there is this machine, and no other.
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"

#: After how many milliseconds something hangs, however busy the machine is.
HANGS = 60_000

TOKEN = {"authorization": "Bearer dev-token"}

LIGHT: Literal["light"] = "light"
DARK: Literal["dark"] = "dark"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here: install chromium to test the page in it"),
]


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    expect.set_options(timeout=HANGS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=[ALONE], timeout=HANGS)
        yield browser
        browser.close()


@pytest.fixture
def chromium(started: Browser) -> Iterator[Browser]:
    """The browser. Its windows are closed after the test: one whose fake is gone would reload again and again."""
    yield started
    for context in started.contexts:
        context.close()


@pytest.fixture
def served(fake: FakeCodeQ) -> Iterator[FakeCodeQ]:
    with fake.serve():
        yield fake


@pytest.fixture
def http(served: FakeCodeQ) -> Iterator[httpx.Client]:
    """A client over the network: the fake's own would see Playwright's event loop, and refuse to stop it."""
    with httpx.Client(base_url=served.url, headers=TOKEN, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def story(http: httpx.Client) -> Story:
    return tell(http)


class Watched:
    """A browser's window, and what must not happen in it."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.url = url
        context.set_default_timeout(HANGS)
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def all_is_well(self) -> None:
        """Nothing was asked of anybody else, and no script or policy had anything to complain about."""
        assert not [asked for asked in self.requests if not asked.startswith(f"{self.url}/_fake/")]
        assert self.complaints == []


def window(chromium: Browser, fake: FakeCodeQ, path: str = "/_fake/", **options: Any) -> tuple[Page, Watched]:
    context = chromium.new_context(base_url=fake.url, reduced_motion="reduce", **options)
    watched = Watched(context, fake.url)
    page = context.new_page()
    page.goto(path)
    return page, watched


def create(page: Page, name: str, **fields: str) -> None:
    """Create a task by the form."""
    page.get_by_role("link", name="New task").click()
    page.get_by_label("Payload").fill(f'{{"jobId": "{name}"}}')
    for label, value in fields.items():
        field = page.get_by_label(label.replace("_", " "))
        if label == "Priority":
            field.select_option(value)
        else:
            field.fill(value)
    page.get_by_role("button", name="Create the task").click()
    expect(page.locator("#said")).to_have_text("The task is created.")


def claim(http: httpx.Client, lease: int = 60, **asked: Any) -> str:
    return str(http.post(f"{TASKS}/claim", json={"leaseSeconds": lease, **asked}).json()["id"])


def complete(http: httpx.Client, task: str) -> None:
    http.post(f"{TASKS}/{task}/result", json={"status": "COMPLETED", "result": {"pages": 3}}).raise_for_status()


def test_the_demo_application_works_by_clicks(chromium: Browser, served: FakeCodeQ, http: httpx.Client) -> None:
    page, watched = window(chromium, served)
    produce(page)
    see_results_and_callbacks(page, http)
    doomed = see_a_crash_and_a_dead_letter(page, http)
    clear_up(page, doomed)
    watched.all_is_well()


def produce(page: Page) -> None:
    """A task of each kind is created, and the overview shows them."""
    expect(page.get_by_text("No task has been created yet.")).to_be_visible()
    create(page, "ordinary")
    create(page, "urgent", Priority="9")
    create(page, "hooked", Priority="5", Webhook=HOOK)
    create(page, "doomed", Maximum_attempts="1")
    create(page, "later", Delay="60")
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("#live-state")).to_have_text("live")
    expect(page.get_by_role("link", name="4 Ready")).to_be_visible()
    expect(page.get_by_role("row", name="GENERATE_MASTER dev 4 p9: 1 p5: 1 p0: 2")).to_be_visible()


def see_results_and_callbacks(page: Page, http: httpx.Client) -> None:
    """A worker's doings are seen without a reload; time that passes brings the callback's second try."""
    urgent = claim(http, lease=20)
    expect(page.locator(f"#lease-{urgent}")).to_contain_text("in 19 s")
    page.get_by_role("button", name="Advance by 10 s").click()
    expect(page.locator(f"#lease-{urgent}")).to_contain_text("in 9.5 s")
    complete(http, urgent)
    expect(page.locator(f"#lease-{urgent}")).to_have_count(0)
    hooked = claim(http)
    complete(http, hooked)
    page.get_by_role("link", name="Callbacks").click()
    expect(page.get_by_role("row", name=hooked)).to_contain_text("503")
    page.get_by_role("button", name="Advance to the next event").click()
    expect(page.get_by_role("row", name=hooked)).to_contain_text("delivered")
    page.get_by_role("button", name="Send callback 1 again").click()
    expect(page.locator("#said")).to_have_text("Sent again as number 2: delivered.")


def see_a_crash_and_a_dead_letter(page: Page, http: httpx.Client) -> str:
    """A lease is ended by hand; a dead letter tells its life, and is brought back: its id."""
    crashed = claim(http, lease=600)
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name=f"Expire the lease of {crashed}").click()
    expect(page.locator(f"#lease-{crashed}")).to_contain_text("over")
    doomed = claim(http)
    http.post(f"{TASKS}/{doomed}/nack", json={"reason": "cannot be done"})
    expect(page.locator(f"#delay-{crashed}")).to_be_visible()
    page.locator(f"#dead-{doomed}").get_by_role("link", name=doomed, exact=True).click()
    expect(page.get_by_text("No: it is in the dead letter queue (N4).")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="nacked for the last time")).to_be_visible()
    page.get_by_role("button", name="Requeue this task").click()
    expect(page.get_by_text("ready in its queue.")).to_be_visible()
    return doomed


def clear_up(page: Page, doomed: str) -> None:
    """A task is deleted, another one found, and everything thrown away."""
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete the task").click()
    expect(page.locator("#said")).to_have_text(f"Task {doomed} is deleted.")
    page.get_by_label("Id, command or payload").fill("LATER")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Delayed 1").click()
    expect(page.get_by_text("1 to 1 of 1 tasks")).to_be_visible()
    page.get_by_role("link", name="Contract").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("link", name="State", exact=True).click()
    page.get_by_role("link", name="Reset").click()
    page.get_by_role("button", name="Reset the fake").click()
    expect(page.get_by_text("No task has been created yet.")).to_be_visible()


def test_the_state_is_downloaded_and_restored(
    chromium: Browser, served: FakeCodeQ, story: Story, tmp_path: Path
) -> None:
    page, watched = window(chromium, served, "/_fake/page/state")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download the state").click()
    waiting.value.save_as(tmp_path / "state.json")
    before = served.state()
    served.reset()
    page.get_by_label("File").set_input_files(tmp_path / "state.json")
    page.get_by_role("button", name="Upload the state").click()
    expect(page.locator("#said")).to_have_text("The state is restored.")
    assert (served.state(), served.task(story.held).status) == (before, "IN_PROGRESS")
    watched.all_is_well()


def test_the_page_works_without_a_mouse(chromium: Browser, served: FakeCodeQ, story: Story) -> None:
    page, watched = window(chromium, served)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.get_by_role("button", name="Let it run").focus()
    page.keyboard.press("Tab")
    button = page.get_by_role("button", name="Advance by 1 s")
    expect(button).to_be_focused()
    assert button.evaluate("it => getComputedStyle(it).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("The clock advanced to 2026-01-31T12:00:02Z")
    assert served.now == "2026-01-31T12:00:02Z"
    expect(button).to_be_focused()

    expire = page.get_by_role("button", name=f"Expire the lease of {story.held}")
    expire.focus()
    served.enqueue("ANOTHER")  # what comes in does not take the focus away
    expect(page.get_by_role("rowheader", name="ANOTHER")).to_be_visible()
    expect(expire).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(f"#lease-{story.held}")).to_contain_text("over")
    watched.all_is_well()


def test_a_running_clock_counts_down_and_can_be_paused(chromium: Browser, served: FakeCodeQ, story: Story) -> None:
    page, watched = window(chromium, served)
    page.get_by_role("button", name="Let it run").click()
    left = page.locator(f"#lease-{story.held} time").first
    expect(left).to_have_text(re.compile("in ([1-4][0-9]|5[0-8]) s"))
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live-state")).to_have_text("paused")
    served.enqueue("UNSEEN")
    served.delete(story.held)
    page.get_by_role("button", name=f"Requeue {story.held}").click()  # which is still shown
    expect(page.locator("#said")).to_have_text(f"no task {story.held}")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("rowheader", name="UNSEEN")).to_be_visible()
    page.get_by_role("button", name="Freeze").click()
    expect(page.get_by_text("stands still")).to_be_visible()
    assert [said for said in watched.complaints if "404" not in said] == []


def test_the_page_works_without_a_script(chromium: Browser, served: FakeCodeQ, story: Story) -> None:
    page, watched = window(chromium, served, java_script_enabled=False)
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)  # nor any other button that needs one
    page.get_by_role("button", name=f"Requeue {story.dead}").click()
    expect(page.locator("#said")).to_contain_text("The task is ready again")
    page.get_by_role("textbox", name="Advance by").fill("2")
    page.get_by_label("Unit").select_option("h")
    page.get_by_role("button", name="Advance", exact=True).click()
    expect(page.get_by_text("14:00:01").first).to_be_visible()
    page.get_by_role("link", name="Faults").click()
    page.get_by_label("What goes wrong").select_option("refuse")
    page.get_by_role("button", name="Choose").click()
    page.get_by_label("Status", exact=True).last.fill("503")
    page.get_by_label("Headers, one per line").fill("Server: nginx")
    page.get_by_label("Body, sent unchanged").fill("gone")
    page.get_by_role("button", name="Add the fault").click()
    expect(page.get_by_role("row", name="refuse")).to_contain_text("status 503 body gone headers Server: nginx")
    page.get_by_role("button", name="Remove fault 1").click()
    expect(page.get_by_text("There are no active faults.")).to_be_visible()
    watched.all_is_well()


def test_hostile_text_runs_no_script(chromium: Browser, served: FakeCodeQ) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
    served.next(ids=[hostile])
    served.enqueue(
        hostile, {hostile: hostile}, webhook="http://app.test/?<img src=x onerror=alert(3)>".replace(" ", "+")
    )
    page, watched = window(chromium, served)
    for path in ("/_fake/", "/_fake/page/tasks", "/_fake/page/requests"):
        page.goto(path)
        expect(page.locator("#live-state")).to_have_text("live")
    page.goto("/_fake/page/tasks")
    page.get_by_role("link", name=hostile[:20]).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>alert(1)</script>")
    assert page.evaluate("document.images.length") == 0
    watched.all_is_well()


#: How a person looks at the page: the options of a browser's window.
LOOKS: dict[str, dict[str, Any]] = {
    "phone, dark": {"viewport": {"width": 360, "height": 800}, "color_scheme": DARK},
    "tablet, light, no script": {"viewport": {"width": 768, "height": 1024}, "java_script_enabled": False},
    "desk, light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": LIGHT},
}


class Walk:
    """A way through the page: each job begins at the overview, and takes two clicks at most."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    def begin(self) -> None:
        """Go to the overview."""
        self.page.goto("/_fake/")
        self.clicks = 0

    def click(self, role: Any, name: str | re.Pattern[str]) -> None:
        """Click the first element with this role and name. No document is wider than the window."""
        self.page.get_by_role(role, name=name).first.click()
        self.page.wait_for_load_state()
        self.clicks += 1
        assert self.clicks <= 2
        assert self.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0

    def sees(self, text: str | re.Pattern[str]) -> None:
        """Wait until a text is there."""
        expect(self.page.get_by_text(text).filter(visible=True).first).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_each_job_of_a_developer_takes_two_clicks(
    chromium: Browser, served: FakeCodeQ, http: httpx.Client, story: Story, look: str
) -> None:
    http.post(f"{TASKS}/claim", json={"commands": ["RENDERS"]})
    http.post(TASKS, content='{"command": "RENDER", "payload": }')
    page, watched = window(chromium, served, **LOOKS[look])
    walk = Walk(page)
    why_a_worker_gets_nothing(walk)
    what_was_wrong_with_a_400(walk)
    end_a_lease(walk, served, story)
    send_a_webhook_again(walk)
    break_the_next_reply(walk, served)
    jump_an_hour(walk)
    what_is_stuck(walk, story)
    share_the_state(walk)
    find_a_task(walk, story)
    watched.all_is_well()


def why_a_worker_gets_nothing(walk: Walk) -> None:
    walk.begin()
    walk.click("link", "Workers")
    walk.sees("RENDER has 1 ready: a typo?")


def what_was_wrong_with_a_400(walk: Walk) -> None:
    """The reason is on the overview, and with the request the way to send it again."""
    walk.begin()
    walk.sees("line 1, column 34: a value is expected")
    walk.click("link", "POST /v1/codeq/tasks")
    walk.sees("Refused because")
    walk.sees("curl -i -X POST")
    walk.sees("def test_request_")


def end_a_lease(walk: Walk, fake: FakeCodeQ, story: Story) -> None:
    walk.begin()
    walk.click("button", f"Expire the lease of {story.held}")
    walk.sees("The lease is over.")
    walk.click("link", story.held)
    walk.sees("lease ended by hand")
    assert fake.task(story.held).status == "IN_PROGRESS"  # H3


def send_a_webhook_again(walk: Walk) -> None:
    walk.begin()
    walk.click("link", "Callbacks")
    walk.click("button", "Send callback 1 again")
    walk.sees("Sent again as number 2: delivered.")


def break_the_next_reply(walk: Walk, fake: FakeCodeQ) -> None:
    walk.begin()
    walk.click("link", "Faults")
    walk.click("button", "Lose the reply to the next result")
    walk.sees("1 fault active")
    assert fake.queues()


def jump_an_hour(walk: Walk) -> None:
    walk.begin()
    walk.click("button", "Advance by 1 h")
    walk.sees(re.compile("[+]1 h: .*1 delay due"))


def what_is_stuck(walk: Walk, story: Story) -> None:
    walk.begin()
    walk.click("link", "Tasks")
    walk.click("link", re.compile("^Stuck"))
    expect(walk.page.locator(f"#task-{story.ready}")).to_contain_text("1 h")


def share_the_state(walk: Walk) -> None:
    walk.begin()
    walk.click("link", re.compile("^State$"))
    with walk.page.expect_download():
        walk.click("link", "Download the state")


def find_a_task(walk: Walk, story: Story) -> None:
    walk.begin()
    walk.click("link", "Tasks")
    walk.page.get_by_label("Id, command or payload").fill("LATER")
    walk.click("button", "Search")
    expect(walk.page.locator(f"#task-{story.delayed}")).to_be_visible()
    expect(walk.page.locator(f"#task-{story.ready}")).to_have_count(0)


def test_documents_are_accessible(chromium: Browser, served: FakeCodeQ, story: Story) -> None:
    """By axe, in turn on a light desk and on a dark phone: documents that have all kinds of elements between them."""
    page, _ = window(chromium, served)
    axe = Axe()
    names = ("tasks", "faults?do=refuse", "request?n=1", "callback?n=1", f"task?id={story.held}")
    for number, path in enumerate(("/_fake/", *(f"/_fake/page/{name}" for name in names))):
        scheme, width = ((LIGHT, 1280), (DARK, 360))[number % 2]
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(path)
        found = axe.run(page)
        assert found.violations_count == 0, (path, scheme, width, found.generate_report())


def test_rows_do_not_move_under_the_pointer(chromium: Browser, served: FakeCodeQ, story: Story) -> None:
    page, watched = window(chromium, served, "/_fake/page/tasks", viewport={"width": 1280, "height": 800})
    row = page.locator(f"#task-{story.delayed}")
    row.hover()
    before = row.bounding_box()
    served.enqueue("NEW")
    served.enqueue("NEW")
    expect(page.get_by_role("button", name="2 new")).to_be_visible()
    assert row.bounding_box() == before
    page.get_by_role("button", name="2 new").click()
    expect(page.get_by_role("cell", name="NEW")).to_have_count(2)
    expect(page.get_by_role("button", name="new")).to_have_count(0)
    watched.all_is_well()


def test_texts_are_copied(chromium: Browser, served: FakeCodeQ, story: Story) -> None:
    path = f"/_fake/page/task?id={story.held}"
    page, _ = window(chromium, served, path, permissions=["clipboard-read", "clipboard-write"])
    for button, copied in (("Copy id", story.held), ("Copy link", f"{served.url}{path}")):
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("button", name="Copied").first).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == copied


def test_a_lost_server_is_told_in_sight(chromium: Browser) -> None:
    with FakeCodeQ(now=NOW) as fake:
        with fake.serve():
            page, _ = window(chromium, fake)
            page.get_by_role("button", name="Let it run").click()
            expect(page.locator("#live-state")).to_have_text("live")
        expect(page.get_by_role("alert")).to_have_text("The fake does not answer. Below is what it last said.")
        shown = page.locator("#clock-now").text_content()
        page.wait_for_timeout(500)
        assert page.locator("#clock-now").text_content() == shown


#: What people name things: long, and for a browser without a place to break a line.
LONG = "GENERATE_MASTER_FOR_EVERY_COUNTRY_AND_CHANNEL"


def tell_at_length(fake: FakeCodeQ) -> list[str]:
    """A task in each state, a fault and a callback, all of long names: the documents that show them."""
    hook = f"{HOOK}?{LONG}={LONG}"
    with httpx.Client(base_url=fake.url, headers=TOKEN, timeout=60, trust_env=False) as http:
        for body in ({"priority": 9}, {"priority": 8, "maxAttempts": 1}, {"webhook": hook}, {}, {"delaySeconds": 900}):
            http.post(TASKS, json={"command": LONG, "payload": {LONG: LONG}, **body}).raise_for_status()
        for command in ("<script>alert(1)</script>" * 3, LONG * 4):
            fake.enqueue(command, LONG * 3, tenant=LONG)
        held, dead, done = (claim(http, commands=[LONG]) for _ in range(3))
        http.post(f"{TASKS}/{dead}/nack", json={"reason": LONG * 4})
        complete(http, done)
        for rule in ({"do": "refuse", "body": "x" * 80}, {"do": "delay", "seconds": 1, "worker": LONG * 2}):
            http.post("/_fake/faults", json={"on": "metrics", "task": LONG, **rule}).raise_for_status()
        http.get(f"/v1/codeq/tasks/{LONG}")
    names = ("tasks", "callbacks", "requests", "faults", "request?n=1", *(f"task?id={task}" for task in (held, dead)))
    return ["/_fake/", *(f"/_fake/page/{name}" for name in names)]


def test_long_names_cause_no_horizontal_scrolling(chromium: Browser, served: FakeCodeQ) -> None:
    paths = tell_at_length(served)
    page, _ = window(chromium, served)
    too_wide: dict[tuple[str, int], int] = {}
    for path in paths:
        page.goto(path)
        for width in (375, 800, 1024, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            too_wide |= {(path, width): over} if over > 0 else {}
    assert too_wide == {}


def test_the_token_logs_in(chromium: Browser) -> None:
    with FakeCodeQ(now=NOW, control_token="between-us", webhooks={"http://app.test": Hook()}) as fake, fake.serve():
        page, watched = window(chromium, fake, "/_fake/page/tasks")
        expect(page.get_by_label("Control token")).to_be_focused()
        page.keyboard.type("between-us")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Tasks")).to_be_visible()
        expect(page.locator("#live-state")).to_have_text("live")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Control token")).to_be_visible()
        assert not [asked for asked in watched.requests if not asked.startswith(fake.url)]
