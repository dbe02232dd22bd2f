"""Input that no browser sends by itself, but that other programs of this machine can: it is refused in words."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.http.support import ask
from tests.page.support import NOW, text

if TYPE_CHECKING:
    import httpx

    from tests.http.support import Answer

HERE = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
FORM = b"application/x-www-form-urlencoded"


def post(path: str, body: bytes, *headers: tuple[bytes, bytes], kind: bytes = FORM, length: bytes = b"") -> Answer:
    """A form as these bytes."""
    sent = [(b"content-type", kind), (b"content-length", length or b"%d" % len(body)), *headers]
    return asyncio.run(ask(FakeCodeQ(now=NOW).app, "POST", f"/_fake/page/{path}", [body], [*HERE, *sent]))


@pytest.mark.parametrize(
    "message",
    [b'{"text": "\\ud800"}', b"[" * 100_000, b'{"text": %s}' % (b"[" * 5000), b"9" * 5000, b'{"text": "\xed\xa0\x80"}'],
)
def test_a_cookie_that_another_program_set_does_not_lock_the_browser_out(message: bytes) -> None:
    cookie = (b"cookie", b"codeq-fake-said=" + quote(message, safe="[").encode())
    assert asyncio.run(ask(FakeCodeQ(now=NOW).app, "GET", "/_fake/", (), [*HERE, cookie])).status == 200


@pytest.mark.parametrize("query", ["", "q=A&"])
@pytest.mark.parametrize("path", ["tasks", "callbacks", "requests"])
def test_a_sheet_far_beyond_the_last_one_is_empty(browser: httpx.Client, path: str, query: str) -> None:
    for sheet in (2, 10**17, 10**18 - 1):
        assert browser.get(f"/_fake/page/{path}?{query}sheet={sheet}").status_code == 200


@pytest.mark.parametrize("payload", [r'{"<\ud800>": "\ud83d"}', r'["<\ud800>"]'])
def test_half_a_surrogate_pair_in_a_request_is_shown_as_its_escape(browser: httpx.Client, payload: str) -> None:
    body = f'{{"command": "A", "payload": {payload}}}'
    task = browser.post("/v1/codeq/tasks", content=body).raise_for_status().json()
    n = browser.get("/_fake/requests").json()["requests"][-1]["n"]
    assert r"<\ud800>" in text(browser.get(f"/_fake/page/request?n={n}").text)
    for path in (f"/_fake/page/task?id={task['id']}", "/_fake/page/requests", "/_fake/page/tasks", "/_fake/"):
        assert browser.get(path).status_code == 200


def test_half_a_surrogate_pair_in_a_restored_payload_is_shown_as_its_escape(
    fake: FakeCodeQ, browser: httpx.Client
) -> None:
    task = fake.enqueue("A", "x")
    state = fake.state()
    state["broker"]["tasks"][0]["payload"] = r'["a\ud800b"]'
    fake.restore(state)
    assert r"a\ud800b" in text(browser.get(f"/_fake/page/task?id={task.id}").text)


@pytest.mark.parametrize("amount", ["9e999999", "-9e999999", "1e-999999", "9" * 1000, "1e13", "NaN", "Infinity", "x"])
@pytest.mark.parametrize("unit", ["s", "min", "h", "d", "x"])
def test_any_amount_of_time_is_used_or_refused(amount: str, unit: str) -> None:
    assert post("clock/advance", f"amount={amount}&unit={unit}".encode()).status == 303


MULTIPART = b'--x\r\ncontent-disposition: form-data; name="token"\r\n\r\n+2AA-\\ud800\xff\r\n--x--\r\n'


@pytest.mark.parametrize("charset", [b"undefined", b"utf-7", b"unicode_escape", b"utf-16", b"idna", b"a\x00b", b"none"])
def test_a_form_in_another_encoding_is_refused(charset: bytes) -> None:
    answer = post("login", MULTIPART, kind=b"multipart/form-data; boundary=x; charset=" + charset)
    assert (answer.status, "a form of this page is in UTF-8" in text(answer.body.decode())) == (400, True)


@pytest.mark.parametrize("charset", [b"", b"; charset=utf-8", b'; charset="UTF-8"'])
def test_a_form_in_utf_8_is_read(charset: bytes) -> None:
    assert post("login", MULTIPART, kind=b"multipart/form-data; boundary=x" + charset).status == 303


@pytest.mark.parametrize("length", [b"0" * 20 + b"200006", b"0" * 5000, b"00", b"+1", b"1_0", b"9" * 19, b"\xb2"])
def test_a_length_that_is_no_plain_number_passes_no_limit(length: bytes) -> None:
    answer = post("login", b"token=" + b"x" * 200_000, length=length)
    assert (answer.status, "at most 10000 bytes" in text(answer.body.decode())) == (400, True)


def test_a_form_in_chunks_passes_no_limit() -> None:
    chunked = (b"transfer-encoding", b"chunked")
    assert post("login", b"token=" + b"x" * 200_000, chunked, length=b"10").status == 400
