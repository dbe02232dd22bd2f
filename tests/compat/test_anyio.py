"""Canaries for the insides of anyio: each says what an upgrade has broken."""

from __future__ import annotations

import asyncio
import threading

import anyio.to_thread
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from codeq_fake.compat.anyio import run_in_process, works_for

WORKERS = "anyio no longer says which of its worker threads are idle: virtual time would jump over a call in a thread"
ANSWERS = "anyio no longer reads answers of worker processes as before: a body of 60 MB would hold up all others"


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
