"""Access to the page: forms of this site only, and with a control token only after a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving.application import application
from codeq_fake.testing import FakeCodeQ
from tests.http.support import ask
from tests.page.support import NOW, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.http.support import Answer

OURS = "127.0.0.1:8080"  # where tests.http.support says that its requests arrive
HERE = {"host": OURS, "origin": f"http://{OURS}"}
TOKEN = "between-us"


async def post(fake: FakeCodeQ, headers: dict[str, str], path: str = "/_fake/page/clock/advance") -> Answer:
    """A form by which the clock advances by a minute, if it is let in."""
    sent = {"content-type": "application/x-www-form-urlencoded", "content-length": "10", **headers}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in sent.items()]
    return await ask(fake.app, "POST", path, [b"seconds=60"], raw)


async def look(fake: FakeCodeQ, headers: dict[str, str], path: str = "/_fake/") -> int:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return (await ask(fake.app, "GET", path, (), raw)).status


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers",
    [
        HERE,
        {"host": OURS, "sec-fetch-site": "same-origin"},
        {**HERE, "sec-fetch-site": "same-origin"},
        {"host": "localhost:8080", "origin": "http://localhost:8080"},
    ],
)
async def test_a_form_of_this_page_is_accepted(headers: dict[str, str]) -> None:
    fake = FakeCodeQ(now=NOW)
    assert (await post(fake, headers)).status == 303
    assert fake.now == "2026-01-31T12:01:00Z"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers",
    [
        {"host": OURS, "origin": "https://evil.example"},
        {"host": OURS, "origin": "null"},
        {"host": OURS, "origin": "http://127.0.0.1:3000"},
        {**HERE, "sec-fetch-site": "cross-site"},
        {**HERE, "sec-fetch-site": "same-site"},
        {**HERE, "sec-fetch-site": "none"},
        {"host": OURS, "sec-fetch-site": "cross-site"},
        {"host": OURS},
        {"host": "evil.example", "origin": "http://evil.example"},
        {"host": "evil.example", "sec-fetch-site": "same-origin"},
    ],
)
async def test_a_form_of_another_site_changes_nothing(headers: dict[str, str]) -> None:
    fake = FakeCodeQ(now=NOW)
    for path in ("clock/advance", "clock/mode", "create", "reset", "state", "task/delete", "login"):
        assert (await post(fake, headers, f"/_fake/page/{path}")).status == 403
    assert fake.now == NOW


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": OURS}, 200),
        ({"host": OURS, "sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, 200),
        ({"host": OURS, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),  # a link
        ({"host": OURS, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),  # an image, a script
        ({"host": OURS, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, 403),
        ({"host": "evil.example"}, 403),  # DNS rebinding
        ({"host": OURS, "origin": "https://evil.example"}, 403),
    ],
)
async def test_a_document_is_shown_for_a_direct_visit_or_a_link(headers: dict[str, str], status: int) -> None:
    assert await look(FakeCodeQ(now=NOW), headers) == status


@pytest.mark.asyncio
async def test_without_the_control_api_there_is_no_page() -> None:
    app = application(FakeServer(Config(), WallClock("manual")), with_control=False)
    for path in ("/_fake/", "/_fake/api", "/_fake/page/tasks", "/_fake/page/page.js"):
        answer = await ask(app, "GET", path)
        assert (answer.status, answer.body) == (404, b"404 page not found")


@pytest.fixture
def locked() -> Iterator[FakeCodeQ]:
    with FakeCodeQ(now=NOW, control_token=TOKEN) as fake:
        yield fake


@pytest.fixture
def visitor(locked: FakeCodeQ) -> Iterator[httpx.Client]:
    """A browser that has not given the token yet."""
    origin = "http://codeq.test:8080"
    with locked.client("unknown", base_url=origin, headers={"origin": origin}) as client:
        yield client


def test_without_the_token_only_the_login_is_shown(locked: FakeCodeQ, visitor: httpx.Client) -> None:
    locked.enqueue("SECRET")
    for path in ("/_fake/", "/_fake/api", "/_fake/page/tasks", "/_fake/page/state.json", "/_fake/page/events"):
        reply = visitor.get(path)
        assert reply.status_code == 401
        assert "Control token" in text(reply.text)
        assert "SECRET" not in reply.text
    assert visitor.post("/_fake/page/reset").status_code == 401
    assert len(locked.tasks()) == 1


def test_the_token_opens_the_page(visitor: httpx.Client) -> None:
    back = "/_fake/page/tasks?q=x"
    wrong = visitor.post("/_fake/page/login", data={"token": "guess", "back": back})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
    assert "That is not this fake's control token." in text(wrong.text)
    opened = visitor.post("/_fake/page/login", data={"token": TOKEN, "back": back})
    assert (opened.status_code, opened.headers["location"]) == (303, back)
    cookie = opened.headers["set-cookie"]
    assert cookie.startswith("codeq-fake-8080=")
    assert TOKEN not in cookie
    assert {"HttpOnly", "Path=/_fake", "SameSite=strict"} <= set(cookie.split("; "))
    assert visitor.get(back).status_code == 200
    assert visitor.post("/_fake/page/clock/advance", data={"seconds": "1"}).status_code == 303


@pytest.mark.parametrize("token", ["pässwörd", "voilà"])
def test_a_token_beyond_ascii_opens_the_page(token: str) -> None:
    origin = "http://codeq.test:8080"
    with FakeCodeQ(control_token=token) as fake, fake.client("x", base_url=origin, headers={"origin": origin}) as http:
        assert http.post("/_fake/page/login", data={"token": token}).status_code == 303
        assert http.get("/_fake/").status_code == 200


def test_the_cookie_opens_the_page_and_not_the_control_api(visitor: httpx.Client) -> None:
    visitor.post("/_fake/page/login", data={"token": TOKEN})
    assert visitor.get("/_fake/tasks").status_code == 401


def test_logging_out_requires_the_token_again(visitor: httpx.Client) -> None:
    visitor.post("/_fake/page/login", data={"token": TOKEN})
    assert visitor.post("/_fake/page/logout").status_code == 303
    assert visitor.get("/_fake/").status_code == 401


def test_a_bearer_token_opens_the_page_too(locked: FakeCodeQ) -> None:
    with locked.client(TOKEN) as http:
        assert http.get("/_fake/").status_code == 200
        assert http.get("/_fake/", headers={"authorization": f"Basic {TOKEN}"}).status_code == 401


def test_the_login_form_is_small(visitor: httpx.Client) -> None:
    for length in ("10001", "9" * 50, "x", ""):
        reply = visitor.post("/_fake/page/login", headers={"content-length": length}, content=b"token=x")
        assert (reply.status_code, "at most 10000 bytes" in text(reply.text)) == (400, True)


@pytest.mark.parametrize("cookie", ["", "x", "0" * 64, "\u00e4"])
def test_an_invalid_cookie_opens_nothing(locked: FakeCodeQ, cookie: str) -> None:
    sent = f"codeq-fake-8080={cookie}".encode()
    with locked.client("unknown", base_url="http://codeq.test:8080") as http:
        assert http.get("/_fake/", headers={b"cookie": sent}).status_code == 401
