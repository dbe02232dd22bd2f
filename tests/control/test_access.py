"""Access to the control API: this machine or the token, and no web page of another site."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from codeq_fake.http.host_guard import is_bound_to_loopback
from codeq_fake.testing import FakeCodeQ
from tests.http.support import ask

if TYPE_CHECKING:
    from tests.http.support import Answer

pytestmark = pytest.mark.asyncio

NO_TOKEN = "the control API of this fake needs its bearer token"
TOKEN = "between-us"
OURS = "127.0.0.1:8080"  # where tests.http.support says that its requests arrive


async def call(
    fake: FakeCodeQ, headers: dict[str, str], method: str = "POST", path: str = "/_fake/clock/advance"
) -> Answer:
    """A call over loopback; it advances by a minute if it is let in."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return await ask(fake.app, method, path, [b'{"seconds":60}'], raw)


def allowed(answer: Answer) -> bool:
    return answer.status == 200


def reason(answer: Answer) -> str:
    [(key, text)] = json.loads(answer.body).items()
    assert key == "error"
    return str(text)


@pytest.mark.parametrize(
    "host", [OURS, "127.0.0.1", "localhost:8080", "LOCALHOST", "[::1]:8080", "127.0.0.2:1", "codeq.localhost:8080"]
)
async def test_every_name_of_this_machine_is_allowed(host: str) -> None:
    assert allowed(await call(FakeCodeQ(), {"host": host}))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example:8080", "10.0.0.1:8080", "[::1", "@localhost"]
)
async def test_a_name_that_resolves_to_this_machine_is_refused(host: str) -> None:  # DNS rebinding
    fake = FakeCodeQ()
    before = fake.state()
    answer = await call(fake, {"host": host})
    assert answer.status == 403
    assert reason(answer) == (f"call this fake as localhost, not as {host}; with --control-token any name is allowed")
    assert fake.state() == before


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://evil.example:8080",
        "null",
        "http://localhost",
        "http://127.0.0.1:9090",
        "file://",
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
async def test_a_page_of_another_origin_is_refused(origin: str, token: str | None) -> None:
    fake = FakeCodeQ(control_token=token)
    before = fake.state()
    answer = await call(fake, {"host": OURS, "origin": origin, "authorization": f"Bearer {TOKEN}"})
    assert (answer.status, reason(answer)) == (403, f"a page of {origin} may not call this fake")
    assert fake.state() == before


@pytest.mark.parametrize("origin", [f"http://{OURS}", f"https://{OURS}", f"HTTP://{OURS}"])
async def test_a_page_of_the_fake_is_allowed(origin: str) -> None:
    assert allowed(await call(FakeCodeQ(), {"host": OURS, "origin": origin}))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_fake/health"),
        ("GET", "/_fake/state"),
        ("PUT", "/_fake/state"),
        ("POST", "/_fake/reset"),
        ("GET", "/_fake/nothing"),
    ],
)
async def test_every_call_is_checked(method: str, path: str) -> None:
    assert (await call(FakeCodeQ(), {"host": "evil.example"}, method, path)).status == 403
    assert (await call(FakeCodeQ(control_token=TOKEN), {"host": OURS}, method, path)).status == 401


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
async def test_the_token_opens_the_control_api_under_any_name(given: str) -> None:
    fake = FakeCodeQ(control_token=TOKEN)
    assert allowed(await call(fake, {"host": "fake.example:8080", "authorization": given}))


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff"],
)
async def test_anything_but_the_token_is_unauthorized(given: str) -> None:
    fake = FakeCodeQ(control_token=TOKEN)
    before = fake.state()
    answer = await call(fake, {"host": OURS, "authorization": given})
    told = "this is not the bearer token of this fake's control API" if given[7:] else NO_TOKEN
    assert (answer.status, reason(answer)) == (401, told if given.startswith("Bearer") else NO_TOKEN)
    assert fake.state() == before


@pytest.mark.parametrize("token", ["pässwörd", "voilà", "日本語", "a\udcff"])
async def test_a_token_beyond_ascii_is_sent_in_utf_8(token: str) -> None:
    fake = FakeCodeQ(control_token=token)
    for path, sent in (("/_fake/health", token), ("/_fake/", token), ("/_fake/health", f"{token} ")):
        value = b"Bearer " + sent.encode(errors="surrogateescape")
        answer = await ask(fake.app, "GET", path, (), [(b"host", OURS.encode()), (b"authorization", value)])
        assert answer.status == 200
    assert (await call(fake, {"host": OURS, "authorization": "Bearer dev-token"})).status == 401


async def test_tokens_of_the_contract_do_not_open_the_control_api() -> None:
    answer = await call(FakeCodeQ(control_token=TOKEN), {"host": OURS, "authorization": "Bearer dev-token"})
    assert answer.status == 401


async def test_calls_in_process_may_use_any_name() -> None:
    fake = FakeCodeQ()
    async with fake.async_client(base_url="http://wherever.example") as client:
        assert (await client.get("/_fake/health")).status_code == 200


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - not listened on
        ("::", False),
        ("192.168.0.1", False),
        ("localhost.evil.example", False),
        ("notlocalhost", False),
        ("", False),
    ],
)
async def test_loopback_hosts_are_recognized(host: str, loopback: bool) -> None:  # noqa: FBT001 - a column of the table
    assert is_bound_to_loopback(host) is loopback
