"""Anything a browser, or who pretends to be one, may send: the page answers, with a document or a refusal."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeq_fake.page.actions import ACTIONS
from codeq_fake.page.pages import PAGES
from codeq_fake.testing import FakeCodeQ
from tests.http.support import ask, request_scope
from tests.page.support import NOW, tell

if TYPE_CHECKING:
    from starlette.types import Message

pytestmark = pytest.mark.slow

HERE = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
FORM = (b"content-type", b"application/x-www-form-urlencoded")

texts = st.one_of(
    st.sampled_from(["", "0", "1", "-1", "1e9", "9" * 5000, "ready", "real", "NaN", "..", "2026-01-31T12:00:01Z"]),
    st.text(max_size=20),
)
NAMES = (
    "q id n sheet state status command tenant seconds amount unit to mode back payload priority delay "
    "do on worker task times seed how headers body"
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
    query = data.draw(st.one_of(st.binary(max_size=20), fields.map(lambda drawn: urlencode(drawn).encode())))
    assert asyncio.run(look(state, path, query)) in {200, 400, 404}


async def act(state: dict[str, Any], path: str, body: bytes) -> int:
    fake = FakeCodeQ(now=NOW)
    fake.restore(state)
    length = (b"content-length", str(len(body)).encode())
    return (await ask(fake.app, "POST", path, [body], [*HERE, FORM, length])).status


@pytest.mark.parametrize("path", ACTIONS)
@settings(max_examples=10)
@given(data=st.data())
def test_any_form_is_accepted_or_refused(state: dict[str, Any], path: str, data: st.DataObject) -> None:
    body = data.draw(st.one_of(st.binary(max_size=20), fields.map(lambda drawn: urlencode(drawn).encode())))
    assert asyncio.run(act(state, path, body)) in {303, 400, 404}


@pytest.mark.asyncio
async def test_a_client_that_hangs_up_while_sending_a_form_does_no_harm() -> None:
    app = FakeCodeQ(now=NOW).app
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = request_scope("POST", "/_fake/page/reset", [*HERE, FORM, (b"content-length", b"10")])
    await app(scope, receive, send)
    assert sent[0]["status"] == 400


@pytest.mark.parametrize("headers", [{"host": "localhost:x"}, {"host": "localhost:"}, {"host": "[::1]:99999"}, {}])
def test_any_host_of_this_machine_is_answered(headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert asyncio.run(ask(FakeCodeQ(now=NOW).app, "GET", "/_fake/", (), raw)).status == 200


@pytest.mark.parametrize("instant", [-(1 << 67), -1, 0, (1 << 68) - 1])
def test_a_state_with_the_strangest_times_is_shown(state: dict[str, Any], instant: int) -> None:
    strange = json.loads(json.dumps(state))
    for task in strange["broker"]["tasks"]:
        task.update(
            visible_at=instant, lease_expiry=instant, lease_until=instant, created_at=instant, updated_at=instant
        )
        task["history"] = [[instant, *happening[1:]] for happening in task["history"]]

    async def look_around() -> None:
        fake = FakeCodeQ(now=NOW)
        fake.restore(strange)
        ids = [task["id"] for task in strange["broker"]["tasks"]]
        for path in ["/_fake/", "/_fake/page/tasks", *(f"/_fake/page/task?id={task_id}" for task_id in ids)]:
            assert (await ask(fake.app, "GET", path, (), HERE)).status == 200, path

    asyncio.run(look_around())
