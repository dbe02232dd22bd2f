"""The handle FakeCodeQ shows and takes a state, and is set up as it is told."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.control import BadRequestError
from codeq_fake.server_settings import SettingsError
from codeq_fake.testing import FakeCodeQ
from tests.in_process.support import CLAIM, NOW, TASKS

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


def test_a_state_goes_to_another_fake_and_back(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A", {"a": 1})
    state = json.loads(json.dumps(fake.state()))
    with FakeCodeQ(clock="real", now=NOW) as other:
        other.restore(state)
        assert other.task(task.id).payload == {"a": 1}
        assert repr(other).startswith("<FakeCodeQ redis at 2026-01-31T12:00:0")
    fake.advance(3600)
    fake.reset()
    fake.restore(state)
    assert fake.state() == state


def test_a_restored_callback_that_is_overdue_is_sent() -> None:
    heard = threading.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        heard.set()
        await send({"type": "http.response.start", "status": 200 if hearing else 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    hearing = False
    with FakeCodeQ(now=NOW, webhooks={"http://app.test": app}) as fake, fake.client() as http:
        task = fake.enqueue("A", webhook="http://app.test/")
        http.post(CLAIM, json={"commands": ["A"]})
        http.post(f"{TASKS}/{task.id}/result", json={"status": "COMPLETED", "result": {}})
        fake.advance(1)
        state = {**fake.state(), "now": "2026-01-31T13:00:00Z"}
        heard.clear()
        hearing = True
        fake.restore(state)
        assert heard.wait(5)
        fake.advance(0)
        assert [callback["state"] for callback in fake.callbacks] == ["delivered"]


def test_a_restored_callback_is_sent_when_the_clock_gets_there_though_it_was_due_then_before() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with FakeCodeQ(now=NOW, webhooks={"http://app.test": app}) as fake:
        fake.enqueue("A", webhook="http://app.test/")
        task = fake.claim("A")
        assert task is not None
        fake.complete(task)
        fake.advance(1)
        fake.restore(fake.state())
        fake.advance(1)
        assert [len(callback["tries"]) for callback in fake.callbacks] == [1]


def test_a_state_that_is_none_changes_nothing(fake: FakeCodeQ) -> None:
    fake.enqueue("A")
    before = fake.state()
    for garbage in ({}, {**before, "broker": {}}, {**before, "now": "then"}, {**before, "profile": "mysql"}):
        with pytest.raises(BadRequestError):
            fake.restore(garbage)
    assert fake.state() == before


def test_the_handle_says_what_traffic_has_touched(fake: FakeCodeQ) -> None:
    with fake.client() as http:
        http.post(TASKS, json={"command": "A", "payload": 1})
    touched = {clause["id"] for clause in fake.contract()["clauses"] if clause["touched"]}
    assert "C1" in touched


def test_its_repr_says_where_it_stands(fake: FakeCodeQ) -> None:
    assert repr(fake) == "<FakeCodeQ redis at 2026-01-31T12:00:00Z (manual): no tasks>"
    fake.enqueue("A")
    fake.enqueue("A", delay=5)
    fake.enqueue("A", delay=5)
    assert repr(fake) == "<FakeCodeQ redis at 2026-01-31T12:00:00Z (manual): 1 ready, 2 delayed>"


def test_no_token_is_told() -> None:
    secrets = {
        "PRODUCER_AUTH_PROVIDER": "static",
        "PRODUCER_AUTH_CONFIG": '{"token": "secret-p", "raw": {"role": "ADMIN"}}',
        "WORKER_AUTH_PROVIDER": "static",
        "WORKER_AUTH_CONFIG": '{"token": "secret-w", "scopes": ["codeq:claim"], "eventTypes": ["*"]}',
        "WEBHOOK_HMAC_SECRET": "secret-h",
    }
    with FakeCodeQ(settings=secrets, control_token="secret-c") as fake:
        for token in ("secret-p", "secret-w", "secret-x"):
            with fake.client(token) as http:
                http.post(TASKS, json={"command": "A", "payload": 1})
                http.post(CLAIM, json={"commands": ["A"]})
        told = json.dumps([repr(fake), fake.state(), fake.requests, fake.callbacks, fake.timeline()])
    assert fake.tasks()
    assert "secret-" not in told


@pytest.mark.parametrize(
    ("options", "refusal", "text"),
    [
        ({"profile": "mysql"}, BadRequestError, "profile: found 'mysql', allowed are redis, kvrocks-2.8, kvrocks-2.9"),
        ({"settings": {"PORT": "x"}}, SettingsError, "PORT: found 'x'"),
        ({"yaml": "- a"}, SettingsError, "the YAML settings: found a list"),
        ({"identities": {"ann": {}}}, SettingsError, "identities: ann has kind None"),
        ({"webhook_allow": ["http://app"]}, ValueError, "'http://app' is neither a host name"),
        ({"webhooks": {"app": print}}, ValueError, "'app' is not an origin"),
        ({"now": "today"}, BadRequestError, "found 'today' where an RFC 3339 time"),
    ],
)
def test_a_set_up_that_cannot_be_is_named(options: dict[str, Any], refusal: type[Exception], text: str) -> None:
    with pytest.raises(refusal) as caught:
        FakeCodeQ(**options)
    assert str(caught.value).startswith(text)
