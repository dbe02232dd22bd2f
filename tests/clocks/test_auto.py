"""The auto clock: one time for the fake and for all that runs in its event loop."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from codeq_fake.clocks import FollowsItsLoopError
from codeq_fake.faults import delay, hang
from codeq_fake.payloads import Callback
from codeq_fake.testing import FakeCodeQ, run

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

NOW = "2026-01-31T12:00:00Z"
SINCE = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
CLAIM = "/v1/codeq/tasks/claim"


def fake(**options: Any) -> FakeCodeQ:
    return FakeCodeQ(clock="auto", now=NOW, **options)


def test_a_sleep_moves_the_fake_and_an_advance_moves_the_sleeper() -> None:
    async def story() -> None:
        codeq = fake()
        await asyncio.sleep(10)
        assert codeq.now == "2026-01-31T12:00:10Z"
        sleeper = asyncio.create_task(asyncio.sleep(20, "awake"))
        await codeq.aadvance(20)
        assert sleeper.done()
        await codeq.aadvance(to="2026-01-31T13:00:00Z")
        assert asyncio.get_running_loop().time() == 3600
        await codeq.sleep(1)
        assert codeq.time() == SINCE + 3601

    run(story())


def test_an_advance_ends_at_its_instant_to_the_nanosecond() -> None:
    async def story() -> None:
        codeq = fake()
        for instant in ("2026-03-31T12:00:00.123456789Z", "2026-07-14T01:02:03.000000001Z", "2027-01-01T00:00:00.3Z"):
            await codeq.aadvance(to=instant)
            assert codeq.now == instant

    run(story())


def test_each_sleeper_wakes_at_its_time_whatever_else_happens_between() -> None:
    async def story() -> None:
        codeq = fake()
        woken: list[float] = []

        async def sleep(seconds: float) -> None:
            await codeq.sleep(seconds)
            woken.append(codeq.time() - SINCE)

        await asyncio.gather(sleep(10), asyncio.sleep(10), sleep(20), asyncio.sleep(15), sleep(20.5), sleep(20.25))
        assert woken == [10, 20, 20.25, 20.5]

    run(story())


def test_two_advances_at_once_overlap_as_two_sleeps_do() -> None:
    async def story() -> None:
        codeq = fake()
        await asyncio.gather(codeq.aadvance(10), codeq.aadvance(15))
        assert codeq.time() == SINCE + 15

    run(story())


def test_a_fake_made_before_its_loop_begins_with_its_first_use_there() -> None:
    codeq = fake()
    task = codeq.enqueue("A", 1, delay=5)

    async def story() -> str:
        assert codeq.now == NOW
        async with codeq.async_client() as http:
            await asyncio.sleep(5)
            claimed: str = (await http.post(CLAIM, json={"commands": ["A"]})).json()["id"]
            return claimed

    assert run(story()) == task.id
    assert codeq.now == "2026-01-31T12:00:05Z"


def test_it_goes_on_in_the_next_loop_and_stands_still_between_two() -> None:
    codeq = fake()

    async def story() -> None:
        codeq.time()
        await asyncio.sleep(10)

    for seconds in (10, 20):
        run(story())
        assert codeq.time() == SINCE + seconds


def test_leases_delays_and_long_polls_end_at_their_time() -> None:
    async def story() -> None:
        codeq = fake(profile="redis")
        async with codeq.async_client(timeout=60) as http:
            task = codeq.enqueue("A", 1, delay=7)
            reply = await http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30, "leaseSeconds": 60})
            assert (reply.json()["id"], codeq.time()) == (task.id, SINCE + 7)
            codeq.next(delays=[1])
            await asyncio.sleep(59.4)
            assert not codeq.task(task.id).claimable["now"]
            # Over from 66.5 s on (K8), seen at the try of 66.65 s; after 1 s, to the whole second, it is there (K7).
            reply = await http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30})
            assert (reply.json()["attempts"], codeq.time()) == (3, SINCE + 67.15)

    run(story())


def test_a_clients_timeout_is_measured_by_the_same_time() -> None:
    async def story() -> None:
        codeq = fake()
        async with codeq.async_client(timeout=5) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30})
        assert codeq.time() == SINCE + 5

    run(story())


def test_a_receiver_in_process_may_take_its_time() -> None:
    instants: list[float] = []

    async def story() -> list[Callback]:
        async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
            instants.append(codeq.time() - SINCE)
            await asyncio.sleep(20 if len(instants) == 1 else 10)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        codeq = fake(webhooks={"http://app.test": slow})
        codeq.enqueue("A", 1, webhook="http://app.test/done")
        async with codeq.async_client() as http:
            claimed = (await http.post(CLAIM, json={"commands": ["A"]})).json()
            await http.post(f"/v1/codeq/tasks/{claimed['id']}/result", json={"status": "COMPLETED", "result": {}})
        await codeq.aadvance(26)
        assert codeq.callbacks[0]["state"] == "pending"
        await codeq.aadvance(1)
        return codeq.callbacks

    [callback] = run(story())
    assert callback["state"] == "delivered"
    # The first try is given up after 15 s, the second comes 2 s later (W2, W3).
    assert instants == [0, 17]


def test_faults_that_take_time_take_that_of_the_loop() -> None:
    async def story() -> None:
        codeq = fake()
        async with codeq.async_client(timeout=60) as http:
            with codeq.faults(delay(40)):
                await http.get("/metrics")
            assert codeq.time() == SINCE + 40
            with codeq.faults(hang()), pytest.raises(httpx.ReadTimeout):
                await http.get("/metrics")
            assert codeq.time() == SINCE + 100

    run(story())


def test_threads_may_call_the_fake_while_time_waits_for_them() -> None:
    async def story() -> None:
        codeq = fake()

        def enqueue_and_claim() -> int:
            codeq.enqueue("A", 1)
            with codeq.client() as http:
                return http.post(CLAIM, json={"commands": ["A"]}).status_code

        asyncio.get_running_loop().call_later(3600, pytest.fail, "time jumped")
        assert await asyncio.to_thread(enqueue_and_claim) == 200
        assert codeq.now == NOW

    run(story())


def test_a_parked_poll_does_not_jump_over_a_thread() -> None:
    async def story() -> None:
        codeq = fake()
        async with codeq.async_client(timeout=60) as http:
            poll = asyncio.create_task(http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30}))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(threading.Event().wait, 0.02)
            assert codeq.time() == SINCE + 0.3
            assert (await poll).status_code == 204
            assert codeq.time() == SINCE + 30

    run(story())


def test_the_same_story_goes_the_same_way_each_time() -> None:
    async def worker(codeq: FakeCodeQ) -> None:
        async with codeq.async_client(timeout=60) as http:
            while (reply := await http.post(CLAIM, json={"waitSeconds": 10, "leaseSeconds": 5})).status_code == 200:
                await asyncio.sleep(7 if reply.json()["attempts"] == 1 else 1)
                result = {"status": "COMPLETED", "result": {"ok": True}}
                await http.post(f"/v1/codeq/tasks/{reply.json()['id']}/result", json=result)

    async def story() -> str:
        codeq = fake(seed=1)
        for number in range(5):
            codeq.enqueue("A", number, delay=number)
        await asyncio.gather(*(worker(codeq) for _ in range(3)))
        return codeq.timeline()

    assert run(story()) == run(story())


def test_a_state_can_be_taken_back() -> None:
    async def story() -> None:
        codeq = fake()
        task = codeq.enqueue("A", 1, delay=100)
        state = codeq.state()
        await asyncio.sleep(1000)
        codeq.restore(state)
        assert codeq.now == NOW
        await asyncio.sleep(100)
        assert codeq.task(task.id).claimable["now"]

    run(story())


def test_it_cannot_be_frozen_or_set_to_another_mode() -> None:
    async def story() -> None:
        codeq = fake()
        with pytest.raises(FollowsItsLoopError):
            codeq.freeze()
        with pytest.raises(FollowsItsLoopError):
            codeq.thaw()
        async with codeq.async_client() as http:
            reply = await http.put("/_fake/clock", json={"mode": "manual"})
            assert (reply.status_code, "follows its event loop" in reply.json()["error"]) == (409, True)
            assert (await http.get("/_fake/clock")).json() == {"now": NOW, "mode": "auto"}
            assert (await http.post("/_fake/reset", json={"now": "2027-01-01T00:00:00Z"})).json()["clock"] == "auto"

    run(story())


def test_without_a_virtual_loop_it_says_what_to_do() -> None:
    codeq = fake()

    async def story() -> None:
        with pytest.raises(FollowsItsLoopError, match=r"codeq_fake\.testing\.run\(main\(\)\)"):
            codeq.time()

    asyncio.run(story())
    for blocking in (
        lambda: codeq.advance(1),
        lambda: codeq.client().get("/metrics"),
        lambda: codeq.serve().__enter__(),
    ):
        with pytest.raises(RuntimeError, match='use clock="manual"'):
            blocking()


def test_a_loop_of_another_library_will_do_if_it_says_when_it_may_jump() -> None:
    class OtherLoop(asyncio.SelectorEventLoop):
        def looks_outside(self) -> bool:
            return True

        def jump_to(self, _: float) -> bool:
            return False

    async def story() -> None:
        codeq = fake()
        await codeq.aadvance(0.01)
        assert codeq.time() >= SINCE + 0.01

    with asyncio.Runner(loop_factory=OtherLoop) as runner:
        runner.run(story())


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="found 'atuo', allowed are manual, auto and real"):
        FakeCodeQ(clock="atuo")  # type: ignore[arg-type]  # the point


def test_await_until_tells_what_happened_instead() -> None:
    async def story() -> None:
        codeq = fake()
        task = codeq.enqueue("A", 1, delay=10)
        await codeq.await_until(lambda: codeq.task(task.id).claimable["now"])
        assert codeq.time() == SINCE + 10
        with pytest.raises(AssertionError, match=r"not true within 1 s\nnow "):
            await codeq.await_until(lambda: False, within=1)

    run(story())
