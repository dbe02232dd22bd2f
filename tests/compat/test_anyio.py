"""Canaries for the insides of anyio: each says what an upgrade has broken."""

from __future__ import annotations

import asyncio
import threading

import anyio.to_thread

from codeq_fake.compat.anyio import works_for

WORKERS = "anyio no longer says which of its worker threads are idle: virtual time would jump over a call in a thread"


def test_a_worker_thread_works_for_the_loop_that_called_it_and_is_idle_afterwards() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def working() -> list[threading.Thread]:
            return [thread for thread in threading.enumerate() if works_for(thread, loop)]

        assert working() == [], WORKERS
        assert await anyio.to_thread.run_sync(lambda: threading.current_thread() in working()), WORKERS
        assert working() == [], WORKERS

    asyncio.run(main())
