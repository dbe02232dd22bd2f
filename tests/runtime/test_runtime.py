"""Advancing the clock: all that falls due happens in order and is complete when it returns. And the reset of a fake."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from codeq_fake import faults
from codeq_fake.clocks import let_tasks_run
from codeq_fake.control import BadRequestError, ConflictError
from codeq_fake.runtime import webhook_deliveries
from codeq_fake.testing import FakeCodeQ
from tests.webhooks.support import answer, receiving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from codeq_fake.faults import Rule

pytestmark = pytest.mark.asyncio

NOW = "2026-01-31T12:00:00Z"
HOOK = "http://app.test/done"
MOVER = ContextVar("MOVER", default="none")


@dataclass
class Application:
    """The receiver of callbacks: it answers with the next status, then with 200."""

    statuses: list[int] = field(default_factory=list)
    heard: list[dict[str, Any]] = field(default_factory=list)
    then: Callable[[], Awaitable[object]] | None = None
    """Called before it answers."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        self.heard.append(json.loads((await receive())["body"]))
        self.asked.set()
        if self.then is not None:
            await self.then()
        status = self.statuses.pop(0) if self.statuses else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Worker:
    """Calls a fake as producer and worker."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def post(self, path: str, **body: Any) -> Any:
        reply = await self._http.post(f"/v1/codeq{path}", json=body)
        reply.raise_for_status()
        return reply.json() if reply.content else None

    async def create(self, command: str = "A", **fields: Any) -> str:
        created = await self.post("/tasks", command=command, payload={}, **fields)
        return str(created["id"])

    async def claim(self, command: str = "A", **fields: Any) -> Any:
        return await self.post("/tasks/claim", commands=[command], **fields)

    async def complete(self, **fields: Any) -> str:
        """Create, claim and complete a task; its callback is then being sent."""
        task_id = await self.create(**fields)
        await self.claim()
        await self.post(f"/tasks/{task_id}/result", status="COMPLETED", result={"ok": True})
        return task_id


@asynccontextmanager
async def playing(app: Application | None = None, **options: Any) -> AsyncIterator[tuple[FakeCodeQ, Worker]]:
    webhooks = {"http://app.test": app} if app is not None else {}
    fake = FakeCodeQ(**{"now": NOW, "profile": "redis", "seed": 1, "webhooks": webhooks, **options})
    async with fake.async_client(timeout=None) as http:
        yield fake, Worker(http)


def tries(fake: FakeCodeQ, index: int = 0) -> list[tuple[str, int | None]]:
    """Minute, second and status of each try of a callback."""
    return [(tried["at"][14:-1], tried["status"]) for tried in fake.callbacks[index]["tries"]]


# Callbacks.


async def test_callbacks_are_retried_at_their_instants() -> None:  # W3
    async with playing(Application([503] * 5)) as (fake, worker):
        await worker.complete(webhook=HOOK)
        await fake.aadvance(29.999)
        assert tries(fake) == [("00:00", 503), ("00:02", 503), ("00:06", 503), ("00:14", 503)]
        assert fake.callbacks[0]["state"] == "pending"
        await fake.aadvance(0.001)
        assert tries(fake)[4:] == [("00:30", 503)]
        assert fake.callbacks[0]["state"] == "failed"
        await fake.aadvance(3600)
        assert len(tries(fake)) == 5


async def test_the_first_try_is_over_when_the_next_advance_returns_even_by_nothing() -> None:
    app = Application()
    async with playing(app) as (fake, worker):
        task_id = await worker.complete(webhook=HOOK)
        await fake.aadvance(0)
        assert [heard["taskId"] for heard in app.heard] == [task_id]
        assert fake.callbacks[0]["state"] == "delivered"


@pytest.mark.port
async def test_callbacks_to_a_loopback_receiver_are_settled_too() -> None:
    async with receiving({"/done": answer(500)}) as receiver, playing() as (fake, worker):
        await worker.complete(webhook=f"{receiver.url}/done")
        await fake.aadvance(14)
        assert tries(fake) == [("00:00", 500), ("00:02", 500), ("00:06", 500), ("00:14", 500)]
        assert len(receiver.received) == 4


async def test_the_requests_that_a_callback_causes_are_settled_too() -> None:
    app = Application([500])
    async with playing(app) as (fake, worker):
        app.then = lambda: worker.create("FOLLOW_UP")
        await worker.complete(webhook=HOOK)
        await fake.aadvance(2)
        follow_ups = fake.tasks(command="FOLLOW_UP")
        assert [task.history[0]["at"] for task in follow_ups] == [NOW, "2026-01-31T12:00:02Z"]


async def test_a_callback_that_follows_from_a_callback_is_settled_too() -> None:
    app = Application()
    async with playing(app) as (fake, worker):

        async def once_more() -> None:
            app.then = None
            await worker.complete(webhook=HOOK)

        app.then = once_more
        await worker.complete(webhook=HOOK)
        await fake.aadvance(0)
        assert [callback["state"] for callback in fake.callbacks] == ["delivered", "delivered"]


async def test_a_hanging_receiver_costs_one_real_second_and_15_of_the_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_deliveries, "PATIENCE", 0.02)
    app, never = Application(), asyncio.Event()
    app.then = never.wait
    async with playing(app) as (fake, worker):
        await worker.complete(webhook=HOOK)
        await fake.aadvance(3600)
        assert tries(fake) == [("00:00", None), ("00:17", None), ("00:36", None), ("00:59", None), ("01:30", None)]
        assert {tried["error"] for tried in fake.callbacks[0]["tries"]} == {"no answer within 15 s"}
        assert fake.callbacks[0]["state"] == "failed"


async def test_a_receiver_may_wait_for_the_fakes_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_deliveries, "PATIENCE", 0.02)
    app = Application()
    async with playing(app) as (fake, worker):
        app.then = lambda: worker.claim("NOTHING", waitSeconds=10)
        await worker.complete(webhook=HOOK)
        await fake.aadvance(14)
        assert fake.callbacks[0]["state"] == "delivered"


async def test_a_callback_does_not_run_in_the_context_of_the_caller_that_advances_the_clock() -> None:
    app = Application([503])
    async with playing(app) as (fake, worker):
        await worker.complete(webhook=HOOK)
        await fake.aadvance(0)
        token = MOVER.set("a test")
        seen: list[str] = []

        async def look() -> None:
            seen.append(MOVER.get())

        app.then = look
        await fake.aadvance(2)
        MOVER.reset(token)
        assert seen == ["none"]


# Everything together, in due order.


async def test_things_of_every_kind_happen_in_due_order() -> None:
    app = Application([503, 200])
    async with playing(app, settings={"BACKOFF_POLICY": "fixed", "BACKOFF_BASE_SECONDS": "1"}) as (fake, worker):
        order: list[str] = []

        async def note(name: str, claim: Awaitable[Any]) -> None:
            found = await claim
            order.append(f"{name} {fake.now[14:-1]} {found and found['attempts']}")

        async def note_callback() -> None:
            order.append(f"callback {fake.now[14:-1]}")

        app.then = note_callback
        await worker.complete(webhook=HOOK)  # tried at 0 and at 2
        await worker.create("LATE", delaySeconds=1)  # due at 1
        await worker.create("LEASED")
        await worker.claim("LEASED", leaseSeconds=3)  # counts as over at 2.5, requeued for 3.5, floored to 3
        polls = [
            asyncio.create_task(note("late", worker.claim("LATE", waitSeconds=30))),
            asyncio.create_task(note("leased", worker.claim("LEASED", waitSeconds=30))),
            asyncio.create_task(note("empty", worker.claim("EMPTY", waitSeconds=4))),
        ]
        await fake.aadvance(60)
        await asyncio.gather(*polls)
        assert order == ["callback 00:00", "late 00:01 1", "callback 00:02", "leased 00:03 3", "empty 00:04 None"]


async def test_a_worker_that_claims_again_does_so_within_the_same_advance() -> None:
    async with playing() as (fake, worker):
        claimed: list[str] = []

        async def work() -> None:
            while task := await worker.claim(waitSeconds=30):
                claimed.append(fake.now[14:-1])
                await worker.post(f"/tasks/{task['id']}/result", status="COMPLETED", result={})

        for delay in (0, 10, 20, 40):
            await worker.create(delaySeconds=delay)
        working = asyncio.create_task(work())
        await fake.aadvance(120)
        assert working.done()
        assert claimed == ["00:00", "00:10", "00:20", "00:40"]


async def test_sweeps_happen_at_their_instants() -> None:  # U9
    async with playing() as (fake, worker):
        subscribed = await worker.post("/workers/subscriptions", callbackUrl=HOOK, ttlSeconds=59)
        renewal = f"/workers/subscriptions/{subscribed['subscriptionId']}/heartbeat"
        await fake.aadvance(59.999)
        await worker.post(renewal, ttlSeconds=1)  # it had expired, but was not swept yet
        await fake.aadvance(60.001)
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            await worker.post(renewal)


async def test_concurrent_advances_add_up() -> None:
    async with playing() as (fake, _):
        await asyncio.gather(fake.aadvance(60), fake.aadvance(60), fake.aadvance(0.5))
        assert fake.now == "2026-01-31T12:02:00.5Z"


async def test_time_never_goes_back_and_a_refusal_changes_nothing() -> None:
    async with playing() as (fake, worker):
        await worker.create()
        before = fake.state()
        for refused in ({"to": "2026-01-31T11:59:59Z"}, {"seconds": -1}):
            with pytest.raises(ConflictError, match="time never goes back: it is 2026-01-31T12:00:00Z"):
                await fake.aadvance(**refused)
        with pytest.raises(BadRequestError, match="year 9999"):
            await fake.aadvance(1e12)
        with pytest.raises(BadRequestError, match="either"):
            await fake.aadvance()  # type: ignore[call-overload]
        assert fake.state() == before


async def test_a_poll_parked_on_a_manual_clock_ends_on_a_real_one_and_the_other_way_round() -> None:
    async with playing() as (fake, worker):
        parked = asyncio.create_task(worker.claim(waitSeconds=1))
        await let_tasks_run()
        fake.thaw()
        fake.freeze()
        await let_tasks_run()
        assert not parked.done()
        await worker.create()
        fake.thaw()
        assert (await asyncio.wait_for(parked, 5))["status"] == "IN_PROGRESS"


async def test_a_real_clock_is_advanced_through_what_is_parked() -> None:
    async with playing(Application([503]), clock="real") as (fake, worker):
        await worker.complete(webhook=HOOK)
        parked = asyncio.create_task(worker.claim("B", waitSeconds=30))
        await worker.create("B", delaySeconds=20)
        await fake.aadvance(60)
        assert parked.done()
        assert fake.callbacks[0]["state"] == "delivered"
        assert "2026-01-31T12:01:00" <= fake.now < "2026-01-31T12:02:00"


# Starting over.


@pytest.fixture(params=["reset", "restore"])
def start_over(request: pytest.FixtureRequest) -> Callable[[FakeCodeQ], None]:
    """Replaces the state of a fake by an empty one."""
    empty = FakeCodeQ(now=NOW, profile="redis").state()
    return FakeCodeQ.reset if request.param == "reset" else lambda fake: fake.restore(empty)


async def test_a_reset_empties_state_and_journals_and_keeps_settings_and_clock() -> None:
    async with playing(settings={"MAX_ATTEMPTS_DEFAULT": "7"}) as (fake, worker):
        await worker.complete(webhook=HOOK)
        fake.next(ids=["queued"], delays=[1])
        await fake.aadvance(60)
        fake.reset()
        fresh = FakeCodeQ(now="2026-01-31T12:01:00Z", profile="redis")
        assert fake.state() == fresh.state()
        assert (fake.requests, fake.callbacks, fake.tasks()) == ([], [], [])
        task_id = await worker.create()
        assert task_id != "queued"
        assert fake.task(task_id).max_attempts == 7


async def test_a_reset_cancels_deliveries_without_a_trace() -> None:
    app, go_on = Application(), asyncio.Event()
    app.then = go_on.wait
    async with playing(app) as (fake, worker):
        await worker.complete(webhook=HOOK)
        await app.asked.wait()
        fake.reset()
        empty = fake.state()
        go_on.set()
        await fake.aadvance(0)
        assert fake.callbacks == []
        assert fake.state() == {**empty, "now": fake.now}


async def test_a_reset_answers_the_producer_whose_notice_hangs() -> None:
    app, never = Application(), asyncio.Event()
    app.then = never.wait
    async with playing(app) as (fake, worker):
        for _ in range(2):
            await worker.post("/workers/subscriptions", callbackUrl=HOOK, eventTypes=["A"])
        creating = asyncio.create_task(worker.create())
        await app.asked.wait()
        fake.reset()
        assert await creating
        assert len(app.heard) == 1
        assert (fake.tasks(), fake.callbacks) == ([], [])
        assert fake.state()["broker"]["tally"]["deliveries"] == []


async def test_a_reset_ends_parked_polls_and_their_timers() -> None:
    async with playing() as (fake, worker):
        parked = [asyncio.create_task(worker.claim(waitSeconds=30)) for _ in range(3)]
        await let_tasks_run()
        fake.reset()
        assert await asyncio.gather(*parked) == [None] * 3
        task_id = await worker.create()
        await fake.aadvance(30)
        assert fake.task(task_id).status == "PENDING"


@pytest.mark.parametrize("rule", [faults.hang(on="create"), faults.delay(5, on="create")], ids=["hang", "delay"])
async def test_a_held_request_does_nothing_in_the_next_state(
    rule: Rule, start_over: Callable[[FakeCodeQ], None]
) -> None:
    async with playing() as (fake, worker):
        with fake.faults(rule) as fault:
            held = asyncio.create_task(worker.create())
            await let_tasks_run()
            assert fault.fired == 1
            start_over(fake)
            with pytest.raises(httpx.RemoteProtocolError, match="disconnected"):
                await held
            await fake.aadvance(60)
        assert (fake.tasks(), fake.requests) == ([], [])


async def test_a_poll_of_the_last_state_is_not_in_the_journal_of_the_next(
    start_over: Callable[[FakeCodeQ], None],
) -> None:
    async with playing() as (fake, worker):
        parked = asyncio.create_task(worker.claim(waitSeconds=30))
        await let_tasks_run()
        start_over(fake)
        assert await parked is None
        assert fake.requests == []
        assert fake.contract()["summary"]["touched"] == 0


async def test_an_advance_does_not_move_the_clock_of_the_next_state(start_over: Callable[[FakeCodeQ], None]) -> None:
    app, never = Application(), asyncio.Event()
    app.then = never.wait
    async with playing(app) as (fake, worker):
        await worker.complete(webhook=HOOK)
        advance = asyncio.create_task(fake.aadvance(3600))
        await app.asked.wait()
        start_over(fake)
        with pytest.raises(ConflictError, match="reset or got another state"):
            await advance
        assert fake.now == NOW


async def test_a_sleeper_sleeps_on_when_the_state_is_replaced(start_over: Callable[[FakeCodeQ], None]) -> None:
    """It is the test's own code that sleeps."""
    async with playing() as (fake, _):
        asleep = asyncio.create_task(fake.sleep(60))
        await fake.aadvance(20)
        start_over(fake)
        await fake.aadvance(39)
        assert not asleep.done()
        await fake.aadvance(1)
        assert asleep.done()


async def test_two_fakes_are_independent() -> None:
    async with playing() as (one, worker), playing() as (other, waiting):
        parked = asyncio.create_task(waiting.claim(waitSeconds=5))
        await worker.create(idempotencyKey="k")
        await one.aadvance(60)
        assert not parked.done()
        assert (other.tasks(), other.callbacks, other.now) == ([], [], NOW)
        await other.aadvance(5)
        assert await parked is None
