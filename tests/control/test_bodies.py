"""Invalid bodies are refused, and change nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeq_fake.testing import FakeCodeQ
from tests.control.support import NOW, get, refusal
from tests.documents.support import broken
from tests.http.support import ask

if TYPE_CHECKING:
    import httpx


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"[]", "the body must be a JSON object"),
        (b"5", "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b"{", "the body is not JSON: Expecting property name"),
        (b"\xff", "the body is not JSON: 'utf-8' codec can't decode byte 0xff in position 0"),
        (b'{"\\ud800": 1}', "the body is not JSON: it has half a surrogate pair, which is no Unicode text"),
        (b'{"\xed\xa0\x80": 1}', "the body is not JSON: it has half a surrogate pair, which is no Unicode text"),
        (b"[" * 100_000, "the body is not JSON: it nests deeper than 100 levels"),
        (b'{"ids": ' + b"1" * 5000 + b"}", "the body is not JSON: Exceeds the limit (4300 digits)"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "clock"), ("POST", "clock/advance"), ("POST", "next"), ("POST", "reset"), ("PUT", "state")],
)
def test_a_body_must_be_an_object(http: httpx.Client, method: str, path: str, content: bytes, text: str) -> None:
    before = get(http, "state")
    status, reason = refusal(http.request(method, f"/_fake/{path}", content=content))
    assert (status, reason[: len(text)]) == (400, text)
    assert get(http, "state") == before


@pytest.mark.parametrize(
    ("path", "content", "text"),
    [
        ("next", b'{"delays": [1e999]}', "the body is not JSON: 1e999 is too large for a number"),
        ("next", b'{"ids": ["\\ud800"]}', "the body is not JSON: it has half a surrogate pair"),
        ("next", b'{"ids": ["\xed\xa0\x80"]}', "the body is not JSON: it has half a surrogate pair"),
        ("reset", b'{"yaml": "%s"}' % (b"[" * 3000), "the YAML settings: no valid YAML (line 1: it nests deeper"),
        ("reset", b'{"identities": %s1%s}' % (b'{"a":' * 200, b"}" * 200), "the body is not JSON: it nests deeper"),
        (
            "reset",
            b'{"settings": {"PRODUCER_AUTH_CONFIG": "%s"}}' % (b"[" * 3000),
            "PRODUCER_AUTH_CONFIG: no valid JSON",
        ),
        ("reset", b'{"yaml": "env: \\"\\\\ud800\\""}', "the YAML settings: no valid YAML (line 1: it has half"),
        ("faults", b'{"do": "delay", "seconds": %s}' % (b"9" * 400), "seconds: found 999"),
        (
            "faults",
            b'{"do": "refuse", "body": %s%s}' % (b"[" * 200, b"]" * 200),
            "the body is not JSON: it nests deeper",
        ),
    ],
)
def test_a_value_that_no_reply_could_repeat_is_refused(
    http: httpx.Client, path: str, content: bytes, text: str
) -> None:
    before = get(http, "state")
    status, reason = refusal(http.post(f"/_fake/{path}", content=content))
    assert (status, reason[: len(text)]) == (400, text)
    assert get(http, "state") == before


def test_emoji_and_other_text_is_fine(http: httpx.Client) -> None:
    assert http.post("/_fake/next", content=b'{"ids": ["\\ud83d\\ude00", "\xc3\xa9"]}').json() == {
        "ids": 2,
        "delays": 0,
    }
    assert http.post("/v1/codeq/tasks", json={"command": "A", "payload": 1}).json()["id"] == "\U0001f600"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_fake"),
        ("GET", "/_fake/nothing"),
        ("GET", "/_fake/clock/"),
        ("DELETE", "/_fake/clock"),
        ("POST", "/_fake/health"),
        ("GET", "/_fake/clock/advance"),
        ("PATCH", "/_fake/state"),
        ("OPTIONS", "/_fake/reset"),
    ],
)
def test_an_unknown_call_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    assert refusal(http.request(method, path)) == (404, f"there is no {method} {path}")


def test_a_path_that_only_looks_like_the_control_api_is_the_contracts(http: httpx.Client) -> None:
    reply = http.get("/_fakes")
    assert (reply.status_code, reply.text) == (404, "404 page not found")


def test_a_state_of_the_year_9999_is_restored(codeq: FakeCodeQ) -> None:
    codeq.advance(to="9999-12-31T23:00:00Z")
    codeq.enqueue("A", 1)
    state = codeq.state()
    codeq.restore(state)
    assert codeq.state() == state


GOOD = {
    "PUT clock": '{"now": "2026-01-31T12:00:01Z", "mode": "manual"}',
    "POST clock/advance": '{"seconds": 1.5}',
    "POST next": '{"ids": ["a", "b"], "delays": [1, 2]}',
    "POST faults": '{"on": "claim", "do": "refuse", "status": 503, "body": {"a": 1}, "headers": {"X-A": "b"}}',
    "POST reset": (
        '{"profile": "redis", "settings": {"MAX_ATTEMPTS_DEFAULT": "7"}, "yaml": "env: dev", "clock": "manual", '
        '"now": "2026-01-31T12:00:01Z", "identities": {"a": {"kind": "worker", "claims": {"sub": "a"}}}}'
    ),
    "PUT state": '{"profile": "redis", "now": "2026-01-31T12:00:01Z", "broker": {"version": 1, "tasks": []}}',
}


async def called(call: str, body: bytes) -> list[int]:
    """The statuses of a call with this body, and of the calls that show what it left."""
    fake = FakeCodeQ(now=NOW)
    method, _, path = call.partition(" ")
    here = [(b"host", b"localhost")]
    answers = [await ask(fake.app, method, f"/_fake/{path}", [body], here)]
    for shown in ("/_fake/state", "/_fake/faults", "/_fake/", "/_fake/page/faults"):
        answers += [await ask(fake.app, "GET", shown, (), here)]
    return [answer.status for answer in answers]


@pytest.mark.slow
@pytest.mark.parametrize("call", GOOD)
@settings(max_examples=20)
@given(data=st.data())
def test_any_body_is_used_or_refused(call: str, data: st.DataObject) -> None:
    body = data.draw(broken(GOOD[call])).encode(errors="surrogatepass")
    status, *shown = asyncio.run(called(call, body))
    assert (status in {200, 400, 404, 409}, shown) == (True, [200] * 4)
