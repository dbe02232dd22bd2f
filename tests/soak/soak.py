"""One soak: a server in a separate process, all clients beside it, and what was measured."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak.hostile import Hostile
from tests.soak.probe import Probe
from tests.soak.sound import Sound
from tests.soak.verdict import MORE_DESCRIPTORS, Report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

#: How much of the time is warm-up: what is loaded or remembered once is not growth.
_WARM_UP = 0.4
#: How long the server gets to let go of what it has open, and to end (s): a try of a callback may take 15 s.
_CALM = 60.0
_ROOT = Path(__file__).parents[2]
_SETTINGS = {
    "RESULT_WEBHOOK_MAX_ATTEMPTS": "2",
    "RESULT_WEBHOOK_BASE_BACKOFF_SECONDS": "1",
    "RESULT_WEBHOOK_MAX_BACKOFF_SECONDS": "1",
}


async def soak(seconds: float, *, seed: int | None = None) -> Report:
    """Let hostile and sound clients use one server for so long, and return what was measured."""
    report, chance = Report(seconds=seconds), random.Random(seed)
    async with _server(report) as (process, host, port):
        sound = Sound(f"http://{host}:{port}", report.counts, report.wrong)
        hostile = Hostile(host, port, chance, report.counts)
        report.descriptors.append(_descriptors(process.pid))
        async with _probing(host, port, process.pid, report):
            await _use(sound, hostile, _measure(process.pid, seconds, report))
        await _calm(process.pid, report)
    return report


async def _use(sound: Sound, hostile: Hostile, measuring: Coroutine[None, None, None]) -> None:
    """Let all clients use the server until all has been measured."""
    stop = asyncio.Event()
    async with AsyncExitStack() as receivers, asyncio.TaskGroup() as clients:
        await sound.receivers(receivers)
        for client, number in sound.clients.items():
            for _ in range(number):
                clients.create_task(sound.run(client, stop))
        for nasty, number in hostile.clients.items():
            for _ in range(number):
                clients.create_task(hostile.run(nasty, stop))
        try:
            await measuring
        finally:
            stop.set()


@asynccontextmanager
async def _server(report: Report) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, int]]:
    command = str(Path(sys.executable).with_name("codeq-fake"))
    options = ("--port", "0", "--json", "--log", "none", "--journal-size", "500")
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            command,
            "serve",
            *options,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **_SETTINGS},
        )
        try:
            assert process.stdout is not None
            url = json.loads(await process.stdout.readline())["url"]
            host, _, port = url.removeprefix("http://").rpartition(":")
            yield process, host, int(port)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            report.exit_code = await asyncio.wait_for(process.wait(), _CALM)
            errors.seek(0)
            report.stderr = errors.read().decode(errors="replace")


@asynccontextmanager
async def _probing(host: str, port: int, pid: int, report: Report) -> AsyncIterator[None]:
    """Probe the server from a separate process: the other clients do not hold it up."""
    command = (sys.executable, "-m", "tests.soak.probe", host, str(port), str(pid))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=_ROOT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    reading = asyncio.create_task(_read(process.stdout, report))
    try:
        yield
    finally:
        process.stdin.close()
        await reading
        await process.wait()


async def _read(probes: asyncio.StreamReader, report: Report) -> None:
    async for line in probes:
        report.probes.append(Probe(**json.loads(line)))


async def _measure(pid: int, seconds: float, report: Report) -> None:
    await asyncio.sleep(seconds * _WARM_UP)
    end = time.monotonic() + seconds * (1 - _WARM_UP)
    while time.monotonic() < end:
        report.memory.append(_memory(pid))
        report.descriptors.append(_descriptors(pid))
        await asyncio.sleep(min(1.0, seconds / 10))


async def _calm(pid: int, report: Report) -> None:
    """Wait until the server has let go of its connections, and measure a last time."""
    end = time.monotonic() + _CALM
    while _descriptors(pid) > report.descriptors[0] + MORE_DESCRIPTORS and time.monotonic() < end:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.1)
    report.memory.append(_memory(pid))
    report.descriptors.append(_descriptors(pid))


def _memory(pid: int) -> int:
    """The resident memory of a process, in bytes."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
