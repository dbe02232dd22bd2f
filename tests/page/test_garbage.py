"""Anything a browser, or who pretends to be one, may send: the page answers, with a document or a refusal."""

from __future__ import annotations

import asyncio
import json
from encodings.aliases import aliases
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_from_bytes, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeq_fake.page.actions import ACTIONS
from codeq_fake.page.pages import PAGES
from codeq_fake.testing import FakeCodeQ
from tests.documents.support import pieces
from tests.http.support import ask, request_scope
from tests.page.support import NOW, tell

if TYPE_CHECKING:
    from starlette.types import Message

pytestmark = pytest.mark.slow

HERE = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
FORM = b"application/x-www-form-urlencoded"

texts = st.one_of(
    st.sampled_from(["", "0", "1", "-1", "1e9", "9e999999", "ready", "real", "NaN", "..", "2026-01-31T12:00:01Z"]),
    pieces,
    st.text(st.characters(exclude_categories=()), max_size=20),
)
NAMES = (
    "q id n sheet state status command tenant seconds amount unit to mode back payload priority delay "
    "do on worker task times seed recipe how headers body token max_attempts webhook nth status retryAfter probability"
)
fields = st.dictionaries(st.sampled_from(NAMES.split()), texts, max_size=5)


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    with FakeCodeQ(now=NOW, seed=1) as fake, fake.client() as http:
        tell(http)
        return fake.state()


async def look(state: dict[str, Any], path: str, query: bytes) -> int:
    fake = FakeCodeQ(now=NOW)
    fake.restore(state)
    before = fake.state()
    answer = await ask(fake.app, "GET", f"{path}?{quote_from_bytes(query, safe='=&%+')}", (), HERE)
    assert fake.state() == before
    return answer.status


@pytest.mark.parametrize("path", [path for path in PAGES if path != "/_fake/page/events"])
@settings(max_examples=10)
@given(data=st.data())
def test_any_query_is_answered(state: dict[str, Any], path: str, data: st.DataObject) -> None:
    query = data.draw(st.one_of(st.binary(max_size=20), fields.map(_urlencoded)))
    assert asyncio.run(look(state, path, query)) in {200, 400, 404}


async def act(state: dict[str, Any], path: str, body: bytes, kind: bytes = FORM, cookie: bytes = b"") -> int:
    fake = FakeCodeQ(now=NOW)
    fake.restore(state)
    sent = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"cookie", cookie)]
    return (await ask(fake.app, "POST", path, [body], [*HERE, *sent])).status


@pytest.mark.parametrize("path", ACTIONS)
@settings(max_examples=10)
@given(data=st.data())
def test_any_form_is_accepted_or_refused(state: dict[str, Any], path: str, data: st.DataObject) -> None:
    body = data.draw(st.one_of(st.binary(max_size=20), fields.map(_urlencoded)))
    assert asyncio.run(act(state, path, body)) in {303, 400, 404}


def _urlencoded(form: dict[str, str]) -> bytes:
    return urlencode(form, errors="surrogatepass").encode()


def _multipart(form: dict[str, str], is_file: bool) -> bytes:  # noqa: FBT001 - generated
    end = b'"; filename="x' if is_file else b""
    parts = [
        b'--x\r\ncontent-disposition: form-data; name="%s%s"\r\n\r\n%s\r\n'
        % (name.encode(), end, value.encode(errors="surrogatepass"))
        for name, value in form.items()
    ]
    return b"".join([*parts, b"--x--\r\n"])


MULTIPART = b"multipart/form-data; boundary=x"
binary = st.binary(max_size=20)
kinds = st.one_of(
    st.just(MULTIPART),
    st.sampled_from(sorted(set(aliases.values()))).map(lambda name: MULTIPART + b"; charset=" + name.encode()),
    binary.map(lambda junk: MULTIPART + b"; " + junk),
    binary,
)


@pytest.mark.parametrize("path", [*ACTIONS, "/_fake/page/login", "/_fake/page/logout"])
@settings(max_examples=10)
@given(body=st.one_of(st.builds(_multipart, fields, st.booleans()), binary), kind=kinds, cookie=binary)
def test_a_form_of_any_type_is_accepted_or_refused(
    state: dict[str, Any], path: str, body: bytes, kind: bytes, cookie: bytes
) -> None:
    assert asyncio.run(act(state, path, body, kind, b"codeq-fake-said=" + cookie)) in {303, 400, 404}


@given(message=st.one_of(texts, texts.map(lambda text: json.dumps({"text": text, "problem": text}))))
def test_any_message_in_the_cookie_is_shown_or_ignored(message: str) -> None:
    cookie = (b"cookie", b"codeq-fake-said=" + quote(message, errors="surrogatepass").encode())
    assert asyncio.run(ask(FakeCodeQ(now=NOW).app, "GET", "/_fake/", (), [*HERE, cookie])).status == 200


@pytest.mark.asyncio
async def test_a_client_that_hangs_up_while_sending_a_form_does_no_harm() -> None:
    app = FakeCodeQ(now=NOW).app
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = request_scope("POST", "/_fake/page/reset", [*HERE, (b"content-type", FORM), (b"content-length", b"10")])
    await app(scope, receive, send)
    assert sent[0]["status"] == 400


@pytest.mark.parametrize("headers", [{"host": "localhost:x"}, {"host": "localhost:"}, {"host": "[::1]:99999"}, {}])
def test_any_host_of_this_machine_is_answered(headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert asyncio.run(ask(FakeCodeQ(now=NOW).app, "GET", "/_fake/", (), raw)).status == 200


TIMES = ("created_at", "updated_at", "visible_at", "lease_until", "lease_expiry")


@pytest.mark.parametrize("instant", [-(1 << 67), -1, 0, (1 << 68) - 1])
def test_a_state_with_the_strangest_times_is_shown(state: dict[str, Any], instant: int) -> None:
    strange = json.loads(json.dumps(state))
    for task in strange["broker"]["tasks"]:
        # Only a delayed task has a delay, and only a task that a worker has has a lease.
        task.update({name: instant for name in TIMES if task[name] or name in ("created_at", "updated_at")})
        task["history"] = [[instant, *happening[1:]] for happening in task["history"]]

    async def look_around() -> None:
        fake = FakeCodeQ(now=NOW)
        fake.restore(strange)
        ids = [task["id"] for task in strange["broker"]["tasks"]]
        for path in ["/_fake/", "/_fake/page/tasks", *(f"/_fake/page/task?id={task_id}" for task_id in ids)]:
            assert (await ask(fake.app, "GET", path, (), HERE)).status == 200, path

    asyncio.run(look_around())
