"""Canaries for the insides of asyncio: each says what an upgrade of Python has broken."""

from __future__ import annotations

import asyncio
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from codeq_fake.compat import asyncio as compat
from tests.in_process.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

WAITING = "asyncio no longer says what a task waits for: codeq_fake waits for quiet by it (clocks/quiet.py)"
PIPE = "asyncio no longer makes its own pipe in one method: a fake in process needs a loop that works without sockets"
READY = "asyncio no longer shows the callbacks that are ready: a virtual clock jumps only if there are none"
TIMERS = "asyncio no longer shows its timers in due order: virtual time jumps to the first one"
RESOLUTION = "asyncio no longer fires timers that are due within a resolution that can be set: virtual time needs it"
SHARED = "asyncio no longer lets a thread say which loop runs in it: blocking clients of a fake call its loop so"
WATCHER = "asyncio no longer names the thread that waits for a subprocess: virtual time would jump over its end"


def test_a_loop_runs_while_sockets_are_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    def blocked(*_: object, **__: object) -> None:
        raise RuntimeError("no sockets here")

    monkeypatch.setattr("socket.socket", blocked)
    with asyncio.Runner(loop_factory=compat.LoopWithoutSockets) as runner:
        assert runner.run(asyncio.to_thread(lambda: 1)) == 1, PIPE


def test_a_task_that_waits_can_be_told_from_one_that_runs_on() -> None:
    async def main() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(event.wait())
        assert not compat.is_waiting(task), WAITING
        await asyncio.sleep(0)
        assert compat.is_waiting(task), WAITING
        event.set()
        assert not compat.is_waiting(task), WAITING
        await task

    asyncio.run(main())


def test_callbacks_that_are_ready_can_be_seen() -> None:
    loop = asyncio.SelectorEventLoop()
    assert not compat.has_ready_callbacks(loop), READY
    loop.call_soon(lambda: None)
    assert compat.has_ready_callbacks(loop), READY
    loop.close()


def test_the_next_timer_can_be_seen() -> None:
    loop = asyncio.SelectorEventLoop()
    assert compat.next_timer(loop) is None, TIMERS
    loop.call_at(30, lambda: None)
    loop.call_at(10, lambda: None)
    loop.call_at(20, lambda: None)
    assert compat.next_timer(loop) == 10, TIMERS
    loop.close()


def test_timers_that_are_due_within_the_resolution_fire() -> None:
    loop, fired = asyncio.SelectorEventLoop(), list[str]()
    compat.set_resolution(loop, 100)
    loop.call_later(50, fired.append, "early")
    loop.call_later(150, fired.append, "too early")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert fired == ["early"], RESOLUTION
    loop.close()


@pytest.fixture
def shared() -> Iterator[compat.SharedLoop]:
    """A loop that runs in a thread, and waits."""
    loop = compat.SharedLoop()
    loop.set_debug(False)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    wait_for(lambda: loop.is_idle)
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_another_thread_calls_a_function_in_a_loop_that_waits(shared: compat.SharedLoop) -> None:
    found = shared.call_here(lambda: (asyncio.get_running_loop(), threading.current_thread()))
    assert found == (shared, threading.current_thread()), SHARED
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_a_loop_does_what_a_function_of_another_thread_leaves_to_it(shared: compat.SharedLoop) -> None:
    ready, due = threading.Event(), threading.Event()
    shared.call_here(partial(shared.call_soon, ready.set))
    assert ready.is_set(), "it gets a turn at once"
    shared.call_here(partial(shared.call_later, 0.001, due.set))
    assert due.wait(5), SHARED


def test_a_loop_is_not_idle_while_it_works_or_checks_threads(shared: compat.SharedLoop) -> None:
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        over.wait(5)

    shared.call_soon_threadsafe(work)
    assert begun.wait(5)
    assert not shared.is_idle
    over.set()
    wait_for(lambda: shared.is_idle)
    shared.set_debug(True)
    assert not shared.is_idle


def test_a_loop_that_has_ended_calls_nothing() -> None:
    loop = compat.SharedLoop()
    loop.close()
    with pytest.raises(RuntimeError, match="has ended"):
        loop.call_here(lambda: None)


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="there, no thread waits for subprocesses")
def test_a_thread_that_waits_for_a_subprocess_can_be_told() -> None:
    assert not any(map(compat.awaits_subprocess, threading.enumerate()))

    async def main() -> None:
        # Python 3.12 and later wait without a thread where the system can. Then there is none to be told.
        before = set(threading.enumerate())
        process = await asyncio.create_subprocess_exec("sleep", "0.2")
        started = set(threading.enumerate()) - before
        assert all(map(compat.awaits_subprocess, started)), WATCHER
        await process.wait()

    asyncio.run(main())
