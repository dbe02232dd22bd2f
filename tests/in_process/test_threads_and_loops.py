"""The handle FakeCodeQ where threads and event loops meet."""

from __future__ import annotations

import asyncio
import json
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from codeq_fake.in_process.event_loop import Home
from codeq_fake.testing import FakeCodeQ
from tests.http.support import bearer, request_scope
from tests.in_process.support import CLAIM, POLL, TASKS, Elsewhere, fake_threads, wait_for

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


def test_an_application_in_a_loop_of_its_own_finds_a_fake_that_lives_in_a_thread(fake: FakeCodeQ) -> None:
    fake.advance(0)  # it lives in its own thread now
    with Elsewhere() as elsewhere:
        parked = elsewhere.start(fake, "POST", CLAIM, json=POLL)
        wait_for(lambda: fake.parked_claims == 1)
        task = fake.enqueue("A", {"big": "x" * 100_000})
        fake.advance(1)
        assert parked.result(timeout=5).json()["id"] == task.id


def test_an_application_in_a_loop_of_its_own_is_only_ever_asked_there(fake: FakeCodeQ) -> None:
    fake.advance(0)
    loops: list[asyncio.AbstractEventLoop] = []

    async def receive() -> Message:
        loops.append(asyncio.get_running_loop())
        return {"type": "http.request", "body": b'{"command":"A","payload":1}', "more_body": False}

    async def send(message: Message) -> None:
        loops.append(asyncio.get_running_loop())
        assert message.get("status", 202) == 202

    with Elsewhere() as elsewhere:
        scope = request_scope("POST", TASKS, bearer("dev-token"))
        asyncio.run_coroutine_threadsafe(fake.app(scope, receive, send), elsewhere.loop).result(timeout=5)  # type: ignore[arg-type]
        assert loops == [elsewhere.loop] * 3
    assert len(fake.tasks()) == 1


def test_blocking_code_finds_a_fake_that_lives_in_an_applications_loop(fake: FakeCodeQ) -> None:
    with Elsewhere() as elsewhere:
        elsewhere.start(fake, "GET", "/metrics").result(timeout=5)  # it lives there now
        parked = elsewhere.start(fake, "POST", CLAIM, json=POLL)
        wait_for(lambda: fake.parked_claims == 1)
        task = fake.enqueue("A")
        fake.advance(1)
        assert parked.result(timeout=5).json()["id"] == task.id
        with fake.client() as http:
            assert http.get(f"{TASKS}/{task.id}").json()["status"] == "IN_PROGRESS"
        assert fake_threads() == []
    fake.advance(1)  # that loop has ended: the fake moves on
    assert fake.now == "2026-01-31T12:00:02Z"


def test_a_client_of_another_loop_that_vanishes_gets_no_task(fake: FakeCodeQ) -> None:
    fake.advance(0)
    with Elsewhere() as elsewhere:
        parked = elsewhere.start(fake, "POST", CLAIM, json=POLL)
        wait_for(lambda: fake.parked_claims == 1)
        parked.cancel()
        wait_for(lambda: fake.parked_claims == 0)
    task = fake.enqueue("A")
    fake.advance(30)
    assert fake.task(task.id).status == "PENDING"


def test_coroutines_of_another_loop_may_advance(fake: FakeCodeQ) -> None:
    fake.advance(1)

    async def story() -> None:
        await fake.aadvance(1)
        async with fake.async_client() as http:
            await http.post(TASKS, json={"command": "A", "payload": 1})

    asyncio.run(story())
    assert (fake.now, len(fake.tasks())) == ("2026-01-31T12:00:02Z", 1)


def test_a_worker_thread_of_a_coroutine_may_block(fake: FakeCodeQ) -> None:
    async def story() -> None:
        await fake.aadvance(1)
        await asyncio.to_thread(fake.advance, 1)
        with fake.client() as http:
            reply = await asyncio.to_thread(http.post, TASKS, json={"command": "A", "payload": 1})
        assert reply.status_code == 202

    asyncio.run(story())
    assert (fake.now, len(fake.tasks())) == ("2026-01-31T12:00:02Z", 1)
    assert fake_threads() == []


def test_a_mounted_application_may_look_at_the_fake() -> None:
    seen: list[str] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        task_id = json.loads((await receive())["body"])["taskId"]
        seen.append(mounting.task(task_id).status)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with FakeCodeQ(webhooks={"http://app.test": app}) as mounting, mounting.client() as http:
        task = mounting.enqueue("A", webhook="http://app.test/")
        http.post(CLAIM, json={"commands": ["A"]})
        http.post(f"{TASKS}/{task.id}/result", json={"status": "COMPLETED", "result": {}})
        mounting.advance(0)
    assert seen == ["COMPLETED"]


class _Interrupt(Exception):
    """What a signal handler raises, as those of time limits do."""


def test_a_signal_handler_runs_after_the_call_that_it_interrupts() -> None:
    home, steps = Home(), list[str]()
    home.call_for_blocking(steps.clear)  # its thread has started, and waits

    def work() -> None:
        steps.append("begun")
        signal.raise_signal(signal.SIGTERM)
        steps.append("ended")

    def handle(*_: object) -> None:
        home.call(partial(steps.append, "handled"))
        raise _Interrupt

    before = signal.signal(signal.SIGTERM, handle)
    try:
        with pytest.raises(_Interrupt):
            home.call_for_blocking(work)
    finally:
        signal.signal(signal.SIGTERM, before)
        home.close(partial(asyncio.sleep, 0))
    assert steps == ["begun", "ended", "handled"]


class _InterruptedHome(Home):
    """A home that a signal interrupts while it looks for its event loop."""

    handled: list[str]

    @property
    def is_copy(self) -> bool:
        if not self.handled:
            self.handled.append("begun")
            signal.raise_signal(signal.SIGTERM)
        return super().is_copy


def test_a_signal_handler_may_call_a_fake_that_just_looks_for_its_loop() -> None:
    home = _InterruptedHome()
    home.handled = ["not yet"]
    home.call_for_blocking(home.handled.clear)
    before = signal.signal(signal.SIGTERM, lambda *_: home.call_for_blocking(partial(home.handled.append, "handled")))
    try:
        home.call_for_blocking(partial(home.handled.append, "called"))
    finally:
        signal.signal(signal.SIGTERM, before)
        home.close(partial(asyncio.sleep, 0))
    assert home.handled == ["begun", "handled", "called"]
