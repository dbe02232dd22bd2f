"""Invalid bodies are refused, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.control.support import get, refusal

if TYPE_CHECKING:
    import httpx

    from codeq_fake.testing import FakeCodeQ


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"[]", "the body must be a JSON object"),
        (b"5", "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b'{"ids": ["\\ud800"]}', "the body is not JSON"),
        (b'{"\\ud800": 1}', "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b'{"ids": ' + b"1" * 5000 + b"}", "the body is not JSON"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "clock"), ("POST", "clock/advance"), ("POST", "next"), ("POST", "reset"), ("PUT", "state")],
)
def test_a_body_must_be_an_object(http: httpx.Client, method: str, path: str, content: bytes, text: str) -> None:
    before = get(http, "state")
    assert refusal(http.request(method, f"/_fake/{path}", content=content)) == (400, text)
    assert get(http, "state") == before


def test_a_number_beyond_a_double_is_invalid_json(http: httpx.Client) -> None:
    assert refusal(http.post("/_fake/next", content=b'{"delays": [1e999]}')) == (400, "the body is not JSON")


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
