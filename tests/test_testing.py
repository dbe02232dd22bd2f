"""The handle FakeCodeQ: from blocking code, from coroutines, from several threads and loops at once."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from codeq_fake.activity import let_tasks_run
from codeq_fake.control import BadRequestError, ConflictError, UnknownTaskError
from codeq_fake.core import errors
from codeq_fake.server import PortTakenError
from codeq_fake.settings import SettingsError
from codeq_fake.testing import FakeCodeQ
from tests.http.direct import bearer, request_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Message, Receive, Scope, Send

NOW = "2026-01-31T12:00:00Z"
CLAIM = "/v1/codeq/tasks/claim"
TASKS = "/v1/codeq/tasks"


@pytest.fixture
def fake() -> Iterator[FakeCodeQ]:
    with FakeCodeQ(now=NOW, profile="redis", seed=1) as made:
        yield made


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def fake_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("codeq-fake")]


class Parked:
    """Long polls of blocking clients, each in a thread of its own, that have arrived at the fake."""

    def __init__(self, fake: FakeCodeQ, threads: ThreadPoolExecutor, count: int = 1, **body: Any) -> None:
        self.arrived = threading.Semaphore(0)

        def claim() -> httpx.Response:
            with fake.client(timeout=30) as http:
                self.arrived.release()
                return http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30, **body})

        self.claims = [threads.submit(claim) for _ in range(count)]
        for _ in range(count):
            self.arrived.acquire(timeout=5)
        _wait_for(lambda: len(fake._runtime.polls) == count)  # noqa: SLF001 - that a poll is parked shows nowhere else

    @property
    def statuses(self) -> list[int]:
        return [claim.result(timeout=5).status_code for claim in self.claims]


def _wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so that nothing tells of."""
    beat = threading.Event()
    for _ in range(500):
        if condition():
            return
        beat.wait(0.01)
    raise AssertionError("it did not happen")


# Blocking.


def test_a_blocking_client_speaks_to_the_fake(fake: FakeCodeQ) -> None:
    with fake.client() as http:
        created = http.post(TASKS, json={"command": "A", "payload": {"a": 1}})
        claimed = http.post(CLAIM, json={"commands": ["A"]})
    assert (created.status_code, claimed.status_code) == (202, 200)
    assert claimed.json()["id"] == created.json()["id"]
    assert claimed.headers["content-type"] == "application/json; charset=utf-8"


def test_a_client_brings_its_own_token_headers_and_options(fake: FakeCodeQ) -> None:
    with fake.client("wrong", headers={"X-Request-Id": "mine"}, base_url="http://elsewhere.test/v1") as http:
        reply = http.post("/codeq/tasks", json={})
    assert (reply.status_code, reply.headers["x-request-id"]) == (401, "mine")
    with fake.client("wrong", headers={"Authorization": "Bearer dev-token"}) as http:
        assert http.get("/v1/codeq/admin/queues").status_code == 200


def test_parked_polls_of_several_threads_end_when_another_advances(
    fake: FakeCodeQ, threads: ThreadPoolExecutor
) -> None:
    parked = Parked(fake, threads, 3)
    fake.enqueue("A")
    fake.advance(10)
    fake.enqueue("A")
    fake.advance(20)
    assert sorted(parked.statuses) == [200, 200, 204]
    assert fake.now == "2026-01-31T12:00:30Z"


def test_several_threads_may_work_at_once(fake: FakeCodeQ, threads: ThreadPoolExecutor) -> None:
    def work(number: int) -> str:
        with fake.client() as http:
            http.post(TASKS, json={"command": "A", "payload": number}).raise_for_status()
            fake.advance(1)
            claimed = http.post(CLAIM, json={"commands": ["A"]}).raise_for_status().json()
            return fake.task(claimed["id"]).id

    done = list(threads.map(work, range(20)))
    assert len(set(done)) == 20
    assert fake.now == "2026-01-31T12:00:20Z"


def test_a_read_timeout_is_kept_and_the_poll_is_gone(fake: FakeCodeQ) -> None:
    with (
        fake.client(timeout=0.02) as http,
        pytest.raises(httpx.ReadTimeout, match=r"within 0\.02 s; on a manual clock"),
    ):
        http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30})
    task = fake.enqueue("A")
    fake.advance(30)
    assert fake.task(task.id).status == "PENDING"


def test_a_blocking_call_in_a_running_loop_says_what_to_do(fake: FakeCodeQ) -> None:
    async def story() -> None:
        for call in (lambda: fake.advance(1), lambda: fake.client().get("/metrics")):
            with pytest.raises(RuntimeError, match=r"use aadvance\(\) and async_client\(\)"):
                call()

    asyncio.run(story())
    assert fake.now == NOW
    assert fake.requests == []


# Coroutines.


def test_an_async_client_and_aadvance_share_the_running_loop(fake: FakeCodeQ) -> None:
    async def story() -> None:
        async with fake.async_client() as http:
            parked = asyncio.create_task(http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30}))
            await let_tasks_run()
            await http.post(TASKS, json={"command": "A", "payload": 1, "delaySeconds": 10})
            await fake.aadvance(60)
            assert parked.done()
            assert (await parked).json()["leaseUntil"] == "2026-01-31T12:05:10Z"
            assert [task.status for task in fake.tasks()] == ["IN_PROGRESS"]

    asyncio.run(story())
    assert fake_threads() == []


def test_an_async_client_keeps_its_read_timeout(fake: FakeCodeQ) -> None:
    async def story() -> None:
        async with fake.async_client(timeout=0.02) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30})
        fake.enqueue("A")
        await fake.aadvance(30)

    asyncio.run(story())
    assert [task.status for task in fake.tasks()] == ["PENDING"]


def test_looking_and_enqueuing_work_in_a_coroutine(fake: FakeCodeQ) -> None:
    async def story() -> None:
        task = fake.enqueue("A")
        fake.next(ids=["next"])
        state = fake.state()
        fake.restore(state)
        fake.freeze()
        assert fake.task(task.id).status == "PENDING"
        assert (fake.requests, fake.callbacks) == ([], [])
        assert "1 ready" in repr(fake)
        fake.reset()
        assert fake.tasks() == []

    asyncio.run(story())


def test_one_loop_after_another_may_use_a_fake(fake: FakeCodeQ) -> None:
    async def story() -> None:
        async with fake.async_client() as http:
            await http.post(TASKS, json={"command": "A", "payload": 1})
        await fake.aadvance(1)

    asyncio.run(story())
    fake.advance(1)
    asyncio.run(story())
    assert fake.now == "2026-01-31T12:00:03Z"
    assert len(fake.tasks()) == 2


# Threads and loops that meet.


class Elsewhere:
    """An event loop in a thread of its own, such as that of an application under test."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def start(self, fake: FakeCodeQ, method: str, path: str, **options: Any) -> Any:
        """A request from there, by the application alone: a future of its reply."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(fake.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://fake.test", timeout=30) as http:
                headers = {"authorization": "Bearer dev-token"}
                return await http.request(method, path, headers=headers, **options)

        return asyncio.run_coroutine_threadsafe(ask(), self.loop)


POLL = {"commands": ["A"], "waitSeconds": 30}


def test_an_application_in_a_loop_of_its_own_finds_a_fake_that_lives_in_a_thread(fake: FakeCodeQ) -> None:
    fake.advance(0)  # it lives in its own thread now
    with Elsewhere() as elsewhere:
        parked = elsewhere.start(fake, "POST", CLAIM, json=POLL)
        _wait_for(lambda: len(fake._runtime.polls) == 1)  # noqa: SLF001 - as above
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
        _wait_for(lambda: len(fake._runtime.polls) == 1)  # noqa: SLF001 - as above
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
        _wait_for(lambda: len(fake._runtime.polls) == 1)  # noqa: SLF001 - as above
        parked.cancel()
        _wait_for(lambda: len(fake._runtime.polls) == 0)  # noqa: SLF001 - as above
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


# Time.


@pytest.mark.parametrize(
    ("to", "now"),
    [
        ("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.5Z"),
        (datetime(2026, 2, 1, tzinfo=UTC), "2026-02-01T00:00:00Z"),
        (datetime(2026, 2, 1, microsecond=1, tzinfo=timezone(timedelta(hours=1))), "2026-01-31T23:00:00.000001Z"),
    ],
)
def test_advance_goes_to_an_instant(fake: FakeCodeQ, to: str | datetime, now: str) -> None:
    fake.advance(to=to)
    assert fake.now == now


@pytest.mark.parametrize(
    ("seconds", "now"),
    [(0.1, "2026-01-31T12:00:00.1Z"), (1e-9, "2026-01-31T12:00:00.000000001Z"), (86_400, "2026-02-01T12:00:00Z")],
)
def test_advance_goes_on_by_seconds(fake: FakeCodeQ, seconds: float, now: str) -> None:
    fake.advance(seconds)
    assert fake.now == now


def test_advance_wants_one_way_to_go(fake: FakeCodeQ) -> None:
    for wrong in ({}, {"seconds": 1, "to": "2027-01-01T00:00:00Z"}):
        with pytest.raises(BadRequestError, match="either"):
            fake.advance(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConflictError, match="time never goes back"):
        fake.advance(-1)
    with pytest.raises(ConflictError, match="time never goes back"):
        fake.advance(to="2026-01-31T11:00:00Z")
    assert fake.now == NOW


def test_a_time_without_a_zone_is_refused(fake: FakeCodeQ) -> None:
    naive = datetime(2027, 1, 1)  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match=r"without a zone says nothing: give it a tzinfo"):
        fake.advance(to=naive)
    with pytest.raises(ValueError, match="without a zone"):
        FakeCodeQ(now=naive)


def test_a_clock_is_frozen_and_let_run() -> None:
    with FakeCodeQ(clock="real", now=NOW) as fake:
        assert fake.now < fake.now
        fake.freeze()
        stands = fake.now
        assert fake.now == stands
        fake.thaw()
        assert stands < fake.now < "2026-01-31T12:01:00"


def test_timers_of_a_real_clock_need_no_caller(threads: ThreadPoolExecutor) -> None:
    with FakeCodeQ(clock="real") as fake:
        parked = Parked(fake, threads)
        fake.enqueue("A")
        assert parked.statuses == [200]


# Tasks.


def test_enqueue_creates_a_task_as_a_producer_would(fake: FakeCodeQ) -> None:
    task = fake.enqueue(
        "A", {"ä": [1, 2.5, None]}, priority=12, webhook="http://app.test/", max_attempts=2, delay=60, tenant="acme"
    )
    assert (task.command, task.payload, task.status, task.location) == (
        "A",
        {"ä": [1, 2.5, None]},
        "PENDING",
        "DELAYED_ZSET",
    )
    assert (task.priority, task.attempts, task.max_attempts, task.tenant) == (9, 0, 2, "acme")
    assert (task.worker, task.lease_until, task.error, task.result) == (None, None, None, None)
    assert task.claimable == {"now": False, "reason": "it is delayed (C7)", "since": "2026-01-31T12:01:00Z"}
    assert [line["what"] for line in task.history] == ["created"]
    assert fake.task(task.id) == task


@pytest.mark.parametrize("payload", [None, False, 0, "", [], {}, "text", [1, {"a": "\u2028<"}]])
def test_a_payload_is_what_was_given(fake: FakeCodeQ, payload: Any) -> None:
    assert fake.enqueue("A", payload).payload == payload


@pytest.mark.parametrize(
    ("command", "payload", "fields", "why"),
    [
        (" ", None, {}, errors.InvalidCommand),
        ("A", None, {"webhook": "nowhere"}, errors.InvalidWebhook),
        ("A", None, {"delay": -1}, errors.InvalidDelay),
        ("A", float("nan"), {}, ValueError),
        ("A", object(), {}, TypeError),
    ],
)
def test_what_cannot_be_enqueued_changes_nothing(
    fake: FakeCodeQ, command: str, payload: object, fields: dict[str, Any], why: type[Exception]
) -> None:
    with pytest.raises(why):
        fake.enqueue(command, payload, **fields)
    assert fake.tasks() == []


def test_a_result_is_shown(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A")
    with fake.client() as http:
        claimed = http.post(CLAIM, json={"commands": ["A"], "leaseSeconds": 60}).json()
        held = fake.task(task.id)
        http.post(f"{TASKS}/{claimed['id']}/result", json={"status": "COMPLETED", "result": {"pages": 3}})
    assert (held.status, held.worker, held.lease_until) == ("IN_PROGRESS", "worker-dev", "2026-01-31T12:01:00Z")
    done = fake.task(task.id)
    assert (done.status, done.result, done.attempts) == ("COMPLETED", {"pages": 3}, 1)


def test_tasks_are_filtered_and_never_cut(fake: FakeCodeQ) -> None:
    for number in range(1002):
        fake.enqueue("A" if number else "B", tenant="acme" if number == 1 else "dev")
    assert len(fake.tasks()) == 1002
    assert [task.command for task in fake.tasks(command="b")] == ["B"]
    assert len(fake.tasks(tenant="acme")) == 1
    assert fake.tasks(status="COMPLETED") == []


def test_an_unknown_task_is_named(fake: FakeCodeQ) -> None:
    for look in (fake.task, fake.expire):
        with pytest.raises(UnknownTaskError, match="no task nobody"):
            look("nobody")


def test_a_lease_can_be_ended(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A")
    with pytest.raises(ConflictError, match="not in progress"):
        fake.expire(task.id)
    with fake.client() as http:
        http.post(CLAIM, json={"commands": ["A"]})
        fake.next(delays=[0])
        fake.expire(task.id)
        http.post(CLAIM, json={"commands": ["A"]})
        assert http.post(CLAIM, json={"commands": ["A"]}).json()["attempts"] == 3


def test_enqueue_sends_notices_before_it_returns(fake: FakeCodeQ) -> None:  # U4
    with fake.client() as http:
        http.post(
            "/v1/codeq/workers/subscriptions", json={"callbackUrl": "http://203.0.113.1/", "eventTypes": ["A"]}
        ).raise_for_status()
    fake.enqueue("A")
    assert [(notice["kind"], notice["state"]) for notice in fake.callbacks] == [("queue_ready", "blocked")]

    async def in_a_coroutine() -> None:
        with pytest.raises(RuntimeError, match="would stop it"):
            fake.enqueue("A", priority=1)

    asyncio.run(in_a_coroutine())
    assert len(fake.tasks()) == 1


def test_next_refuses_what_is_taken(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A")
    with pytest.raises(ConflictError, match="is taken"):
        fake.next(ids=[task.id])
    fake.next(ids=["a"])
    assert fake.enqueue("A").id == "a"


# State.


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


# Set up.


@pytest.mark.parametrize(
    ("options", "refusal", "text"),
    [
        ({"profile": "mysql"}, BadRequestError, "profile: found 'mysql', allowed are redis, kvrocks-2.8, kvrocks-2.9"),
        ({"settings": {"PORT": "x"}}, SettingsError, "PORT: found 'x'"),
        ({"yaml": "- a"}, SettingsError, "the YAML settings: found a list"),
        ({"identities": {"ann": {}}}, SettingsError, "identities: ann has kind None"),
        ({"webhook_allow": ["http://app"]}, ValueError, "'http://app' is neither a host name"),
        ({"webhooks": {"app": None}}, ValueError, "'app' is no origin"),
        ({"now": "today"}, BadRequestError, "found 'today' where an RFC 3339 time"),
    ],
)
def test_a_set_up_that_cannot_be_is_named(options: dict[str, Any], refusal: type[Exception], text: str) -> None:
    with pytest.raises(refusal) as caught:
        FakeCodeQ(**options)
    assert str(caught.value).startswith(text)


# Its end.


def test_closing_ends_the_thread_and_may_be_repeated(fake: FakeCodeQ) -> None:
    fake.close()
    fake.advance(1)
    assert fake_threads() == ["codeq-fake"]
    fake.close()
    fake.close()
    assert fake_threads() == []
    assert fake.now == "2026-01-31T12:00:01Z"


def test_closing_answers_who_waits(fake: FakeCodeQ, threads: ThreadPoolExecutor) -> None:
    parked = Parked(fake, threads, 2)
    fake.close()
    assert parked.statuses == [204, 204]


def test_a_closed_fake_can_be_used_again(fake: FakeCodeQ) -> None:
    fake.advance(1)
    fake.close()
    with fake.client() as http:
        assert http.post(TASKS, json={"command": "A", "payload": 1}).status_code == 202
    fake.advance(1)
    assert fake.now == "2026-01-31T12:00:02Z"


def test_two_fakes_have_nothing_in_common() -> None:
    with FakeCodeQ(now=NOW) as one, FakeCodeQ(now=NOW) as other, one.client() as http:
        http.post(TASKS, json={"command": "A", "payload": 1, "idempotencyKey": "k"})
        one.advance(60)
        assert (len(one.tasks()), other.tasks(), other.requests, other.now) == (1, [], [], NOW)
        with other.client() as there:
            there.post(TASKS, json={"command": "A", "payload": 2, "idempotencyKey": "k"})
        assert [task.payload for task in other.tasks()] == [2]


# On a port.


def test_a_fake_on_a_port_is_the_same_fake(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A")
    with fake.serve() as served:
        assert served is fake
        assert fake.env == {
            "CODEQ_BASE_URL": fake.url,
            "CODEQ_PRODUCER_TOKEN": "dev-token",
            "CODEQ_WORKER_TOKEN": "dev-token",
            "CODEQ_ADMIN_TOKEN": "dev-token",
        }
        headers = {"authorization": "Bearer dev-token"}
        reply = httpx.post(f"{fake.url}{CLAIM}", headers=headers, json={"commands": ["A"]}, trust_env=False)
        assert reply.json()["id"] == task.id
        assert httpx.get(f"{fake.url}/_fake/health", trust_env=False).json()["now"] == NOW
    assert fake.task(task.id).status == "IN_PROGRESS"
    with pytest.raises(RuntimeError, match="on no port"):
        _ = fake.url


def test_a_fake_may_be_served_again(fake: FakeCodeQ) -> None:
    for _ in range(2):
        with fake.serve():
            assert httpx.get(f"{fake.url}/metrics", trust_env=False).status_code == 200


def test_a_taken_port_is_named(fake: FakeCodeQ) -> None:
    with FakeCodeQ() as other, other.serve():
        port = int(other.url.rpartition(":")[2])
        with pytest.raises(PortTakenError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            fake.serve(port=port).__enter__()


@pytest.mark.parametrize(("token", "status"), [(None, 404), ("t", 200)])
def test_other_machines_reach_the_control_api_by_its_token_alone(token: str | None, status: int) -> None:
    with FakeCodeQ(control_token=token) as fake, fake.serve(host="0.0.0.0"):  # noqa: S104 - that is the point
        url = fake.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - as above
        headers = {"authorization": f"Bearer {token}"}
        assert httpx.get(f"{url}/_fake/health", headers=headers, trust_env=False).status_code == status
        assert httpx.get(f"{url}/metrics", trust_env=False).status_code == 200


def test_a_fake_may_be_served_beside_a_running_loop(fake: FakeCodeQ) -> None:
    async def story() -> None:
        with fake.serve():
            async with httpx.AsyncClient(base_url=fake.url, trust_env=False) as http:
                assert (await http.get("/metrics")).status_code == 200
            await fake.aadvance(1)

    asyncio.run(story())
    assert fake.now == "2026-01-31T12:00:01Z"


def test_a_fake_that_lives_in_the_running_loop_cannot_be_served_there(fake: FakeCodeQ) -> None:
    async def story() -> None:
        await fake.aadvance(1)
        with pytest.raises(RuntimeError, match=r"call serve\(\) before them"):
            fake.serve().__enter__()

    asyncio.run(story())
