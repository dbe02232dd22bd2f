"""asyncio: what an upgrade broke if this fails is that a worker's Ctrl-C would be passed on to `asyncio.run`."""

from __future__ import annotations

import asyncio
import signal

from codeq_client._compat.asyncio_runner import is_of_runner


def test_the_handler_of_asyncio_run_is_recognised() -> None:
    async def main() -> bool:
        return is_of_runner(signal.getsignal(signal.SIGINT))

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)  # `asyncio.run` replaces no other
    try:
        assert asyncio.run(main())
    finally:
        signal.signal(signal.SIGINT, previous)
    assert not is_of_runner(signal.default_int_handler)
