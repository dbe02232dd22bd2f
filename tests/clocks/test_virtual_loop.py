"""The loop whose time jumps: over what, and over what not."""

from __future__ import annotations

import asyncio
import logging
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.clocks import virtual_loop
from codeq_fake.clocks.virtual_loop import NothingEverHappensError, VirtualTimeLoop, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PAUSE = 0.02  # real seconds; long enough for a loop to jump if it did


def time() -> float:
    return asyncio.get_running_loop().time()


def test_time_begins_at_0_and_is_there_at_once() -> None:
    async def story() -> list[float]:
        instants = [time()]
        await asyncio.sleep(36_000)
        instants.append(time())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        return [*instants, time()]

    assert run(story()) == [0, 36_000, 36_060]


@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_sleepers_wake_in_the_order_of_their_times_however_they_were_started(delays: list[int]) -> None:
    woken: list[tuple[float, float]] = []

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((seconds, time()))

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            for delay in delays:
                group.create_task(sleep(delay / 1000))

    run(story())
    assert [seconds for seconds, _ in woken] == sorted(delay / 1000 for delay in delays)
    assert all(at == seconds for seconds, at in woken)
    assert all(earlier <= later for (_, earlier), (_, later) in pairwise(woken))


def test_all_that_can_run_runs_before_time_moves_on() -> None:
    async def count(to: int) -> float:
        for _ in range(to):
            await asyncio.sleep(0)
        return time()

    async def story() -> float:
        counting = asyncio.create_task(count(1000))
        await asyncio.sleep(0.001)
        return counting.result()

    assert run(story()) == 0


async def in_executor(function: Callable[[], object]) -> None:
    await asyncio.to_thread(function)


async def in_anyio_thread(function: Callable[[], object]) -> None:
    await anyio.to_thread.run_sync(function)


@pytest.mark.parametrize("in_thread", [in_executor, in_anyio_thread])
def test_it_does_not_jump_while_a_thread_is_awaited(
    in_thread: Callable[[Callable[[], object]], Awaitable[None]],
) -> None:
    async def story() -> list[float]:
        instants = []
        for _ in range(2):  # the second time, a thread of the pool is taken again
            async with asyncio.timeout(10):
                await in_thread(lambda: threading.Event().wait(PAUSE))
            instants.append(time())
            await asyncio.sleep(3600)
        return [*instants, time()]

    assert run(story()) == [0, 3600, 7200]


def test_a_thread_that_is_slower_than_a_timer_is_overtaken_by_it() -> None:
    over = threading.Event()

    async def story() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(PAUSE):
                await asyncio.to_thread(over.wait)
        over.set()
        return time()

    assert run(story()) == PAUSE


def test_a_thread_that_asks_again_and_again_does_not_keep_time_from_passing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_loop, "QUICK", PAUSE)
    woken = threading.Event()

    def ask(loop: asyncio.AbstractEventLoop) -> None:
        while not woken.wait(PAUSE / 10):
            loop.call_soon_threadsafe(lambda: None)

    async def story() -> float:
        asking = asyncio.create_task(asyncio.to_thread(ask, asyncio.get_running_loop()))
        await asyncio.sleep(10 * PAUSE)
        woken.set()
        await asking
        return time()

    assert run(story()) >= 10 * PAUSE


@pytest.mark.process
def test_it_does_not_jump_while_a_subprocess_runs() -> None:
    async def story() -> float:
        process = await asyncio.create_subprocess_exec("sleep", str(PAUSE))
        async with asyncio.timeout(10):
            await process.wait()
        return time()

    assert run(story()) == 0


def test_a_thread_that_ends_without_a_word_is_not_waited_for() -> None:
    async def story() -> float:
        waiting = threading.Thread(target=threading.Event().wait, args=(PAUSE,), name="waitpid-of-a-subprocess")
        waiting.start()
        await asyncio.sleep(3600)
        waiting.join(timeout=0)
        assert not waiting.is_alive()
        return time()

    assert run(story()) == 3600


@pytest.mark.port
def test_it_does_not_jump_while_a_socket_is_open_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(virtual_loop, "QUICK", PAUSE / 2)

    async def story() -> float:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(host, port)
            assert await reader.read() == b""
        connected_at = time()
        await asyncio.sleep(PAUSE)
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(3600)
        return connected_at

    with caplog.at_level(logging.WARNING):
        assert run(story()) < PAUSE
    assert [record.getMessage()[:35] for record in caplog.records] == ["virtual time does not jump while th"]


def test_it_is_told_to_jump_in_vain_while_something_can_happen_before() -> None:
    async def story() -> list[bool]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.call_soon(lambda: None)
        jumped = [loop.jump_to(5)]
        await asyncio.sleep(0)
        timer = loop.call_at(5, lambda: None)
        jumped += [loop.jump_to(5), loop.jump_to(4.9)]
        timer.cancel()
        assert time() == 4.9
        return jumped

    assert run(story()) == [False, False, True]


def test_where_nothing_can_ever_happen_it_says_who_waits_instead_of_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_loop, "PATIENCE", PAUSE)

    async def wait_for_godot() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingEverHappensError, match="wait_for_godot"):
        run(wait_for_godot())


def test_a_thread_that_it_does_not_know_can_still_wake_it() -> None:
    async def story() -> float:
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()
        waker = threading.Timer(PAUSE, lambda: loop.call_soon_threadsafe(woken.set))
        waker.start()
        await woken.wait()
        waker.join()
        return time()

    assert run(story()) == 0
