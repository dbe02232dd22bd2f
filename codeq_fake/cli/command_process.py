"""The command of `codeq-fake run`: a process that ends with this one, and gets its signals."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from codeq_fake.serving.server import loading_ahead, stop_signals

from .output import tell

#: How far apart the members of a process group may get the same signal (s).
_SAME_MOMENT = 0.3


async def end_of(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command to its end and forward signals. Returns its exit code, or 128 + n if signal n ended it."""
    # Handled before the command runs, so that no signal can end this process and leave the command alone.
    received: asyncio.Queue[int] = asyncio.Queue()
    for number in stop_signals():
        asyncio.get_running_loop().add_signal_handler(number, received.put_nowait, number)
    async with _group_member() as member:  # there before the command, which may get a signal as soon as it runs
        try:
            process = await asyncio.create_subprocess_exec(*command, env=environment)
        except OSError as error:
            tell(f"cannot run {command[0]}: {error.strerror}")
            return 127 if isinstance(error, FileNotFoundError) else 126
        forwarding = asyncio.create_task(_forward_all(received, member, process))
        with loading_ahead():  # after the signal handlers, because it blocks the event loop
            code = await process.wait()
        forwarding.cancel()
        await asyncio.wait({forwarding})
    return code if code >= 0 else 128 - code


async def _forward_all(
    received: asyncio.Queue[int], member: asyncio.subprocess.Process, process: asyncio.subprocess.Process
) -> None:
    """Send the signals that this process receives to the command, unless its whole process group received them.

    A terminal signals the group, as do many supervisors. A command that gets a signal twice ends in another way: a
    worker, for example, stops waiting for its tasks.
    """
    await _forward(await received.get(), member, process)
    while True:
        async with _group_member() as next_member:
            await _forward(await received.get(), next_member, process)


async def _forward(number: int, member: asyncio.subprocess.Process, process: asyncio.subprocess.Process) -> None:
    """Send a signal to the command, unless it ends the `member` of the process group, too."""
    try:
        # Not `wait_for`: in Python 3.11 it takes no notice of a cancellation at the moment at which the member ends.
        async with asyncio.timeout(_SAME_MOMENT):
            await member.wait()
    except TimeoutError:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                # Not `send_signal`: it collects a process that has just ended, and asyncio misses its exit code then.
                os.kill(process.pid, number)


@asynccontextmanager
async def _group_member() -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of this group that does nothing. It ends with 0 at the end, or earlier by a signal to the group."""
    member = await asyncio.create_subprocess_exec(
        *(sys.executable, "-ISc", "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); os.read(0, 1)"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield member
    finally:
        if member.stdin is not None:
            member.stdin.close()
        await member.wait()
