"""One soak: a server in a separate process, all clients beside it, and what was measured."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak.hostile import Hostile
from tests.soak.report import Report
from tests.soak.sound import Sound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: How often a probe asks (s).
_PROBE = 0.1
#: How much of the time is warm-up: what is loaded or remembered once is not growth.
_WARM_UP = 0.4
#: How long the server gets to let go of what it has open (s): a try of a callback may take 15 s.
_CALM = 20.0
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
        stop, no_probe = asyncio.Event(), threading.Event()
        probing = asyncio.create_task(asyncio.to_thread(_probe, host, port, report, no_probe))
        try:
            async with AsyncExitStack() as receivers, asyncio.TaskGroup() as clients:
                await sound.receivers(receivers)
                for client, number in sound.clients.items():
                    for _ in range(number):
                        clients.create_task(sound.run(client, stop))
                for nasty, number in hostile.clients.items():
                    for _ in range(number):
                        clients.create_task(hostile.run(nasty, stop))
                try:
                    await _measure(process.pid, seconds, report)
                finally:
                    stop.set()
        finally:
            no_probe.set()
            await probing
        await _calm(process.pid, report)
    return report


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
            report.exit_code = await asyncio.wait_for(process.wait(), 10)
            errors.seek(0)
            report.stderr = errors.read().decode(errors="replace")


def _probe(host: str, port: int, report: Report, stop: threading.Event) -> None:
    """Ask again and again how the server is, in a separate thread: the other clients do not hold it up."""
    while not stop.wait(_PROBE):
        began = time.perf_counter()
        connection = http.client.HTTPConnection(host, port, timeout=10)
        try:
            connection.request("GET", "/_fake/health")
            reply = connection.getresponse()
            if reply.status != http.client.OK or json.loads(reply.read())["status"] != "ok":
                report.wrong.append(f"probe: {reply.status}")
        except (OSError, http.client.HTTPException) as error:
            report.wrong.append(f"probe: {type(error).__name__}: {error}")
        finally:
            connection.close()
        report.probes.append(time.perf_counter() - began)


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
    while _descriptors(pid) > report.descriptors[0] and time.monotonic() < end:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.1)
    report.memory.append(_memory(pid))
    report.descriptors.append(_descriptors(pid))


def _memory(pid: int) -> int:
    """The resident memory of a process, in bytes."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
