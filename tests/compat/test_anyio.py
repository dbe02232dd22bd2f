"""Canaries for the insides of anyio: each says what an upgrade has broken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import anyio.to_thread
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from codeq_fake.compat.anyio import calls_on_threads_by, numbered_scopes, run_in_process
from codeq_fake.compat.anyio_threads import works_for

WORKERS = "anyio no longer says which of its worker threads are idle: virtual time would jump over a call in a thread"
ANSWERS = "anyio no longer reads answers of worker processes as before: a body of 60 MB would hold up all others"

SCOPES = "anyio no longer makes its cancel scopes by a class of one module: a simulated world could not be repeated"
CALLS = "anyio no longer calls functions on threads by a method of its backend: a simulated world would start threads"


def test_a_worker_thread_works_for_the_loop_that_called_it_and_is_idle_afterwards() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def working() -> list[threading.Thread]:
            return [thread for thread in threading.enumerate() if works_for(thread, loop)]

        assert working() == [], WORKERS
        assert await anyio.to_thread.run_sync(lambda: threading.current_thread() in working()), WORKERS
        assert working() == [], WORKERS

    asyncio.run(main())


@pytest.mark.process
def test_the_answer_of_a_worker_process_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    async def copy(*_: object) -> bytes:
        raise AssertionError(ANSWERS)

    monkeypatch.setattr(BufferedByteReceiveStream, "receive_exactly", copy)
    assert asyncio.run(run_in_process(bytes, 300_000)) == bytes(300_000), ANSWERS


def test_cancel_scopes_are_numbered() -> None:
    async def main() -> None:
        scopes = [anyio.CancelScope() for _ in range(20)]
        assert [hash(scope) for scope in scopes] == list(range(1, 21)), SCOPES
        async with anyio.create_task_group() as group:
            assert hash(group.cancel_scope) == 21, SCOPES

    with numbered_scopes():
        asyncio.run(main())


def test_calls_on_threads_can_be_led_elsewhere() -> None:
    async def call(_: object, function: Callable[..., object], *args: object) -> object:
        return [function(*args)]

    async def main() -> None:
        with calls_on_threads_by(call):
            got: object = await anyio.to_thread.run_sync(threading.get_ident)
        assert got == [threading.get_ident()], CALLS

    asyncio.run(main())
