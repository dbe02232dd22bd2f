"""Canaries for the insides of asyncio: each says what an upgrade of Python has broken."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from codeq_fake.compat import asyncio as compat

WAITING = "asyncio no longer says what a task waits for: codeq_fake waits for quiet by it (clocks/quiet.py)"
PIPE = "asyncio no longer makes its own pipe in one method: a fake in process needs a loop that works without sockets"
READY = "asyncio no longer shows the callbacks that are ready: a virtual clock jumps only if there are none"
TIMERS = "asyncio no longer shows its timers in due order: virtual time jumps to the first one"
RESOLUTION = "asyncio no longer fires timers that are due within a resolution that can be set: virtual time needs it"
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
