"""Descriptors: a server goes on where the system allows few open files."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from codeq_fake.serving import descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = str(Path(sys.executable).with_name("codeq-fake"))
TASKS = "/v1/codeq/tasks"
LOOK = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def serving(limit: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server below a limit of open files, and its URL."""
    command = ["sh", "-c", f'ulimit {limit} && exec "$0" serve --port 0 --json --log none "$@"', COMMAND, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


@pytest.mark.slow(seconds=10)
@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="sockets are not limited there")
def test_more_clients_than_files_are_refused_and_the_others_are_answered() -> None:
    with serving("-n 256") as (process, url), ExitStack() as stack:
        address = ("127.0.0.1", httpx.URL(url).port)
        sound = [stack.enter_context(socket.create_connection(address, 5)) for _ in range(50)]
        for client in sound:
            client.sendall(LOOK[:10])
        flood = [stack.enter_context(socket.create_connection(address, 5)) for _ in range(400)]
        for client in sound:
            client.sendall(LOOK[10:])
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
        for client in flood:
            client.close()
        assert httpx.get(f"{url}/_fake/health", timeout=5, trust_env=False).status_code == 200
        process.terminate()
        _, said = process.communicate(timeout=10)
    first, *others = said.splitlines()
    limits = "at most 96 connections and 64 callbacks at once"
    assert first == f"codeq-fake: 256 files may be open (ulimit -n), so {limits}"
    assert others
    assert all("connections: 96 are open (--max-connections)" in line for line in others)


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")


async def _never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer):
        await reader.read()


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sockets are not limited there")
def test_more_callbacks_than_files_wait_and_none_fails_for_lack_of_one() -> None:
    asyncio.run(_call_back_a_lot())


async def _call_back_a_lot() -> None:
    async with (
        await asyncio.start_server(_refuse, "127.0.0.1", 0, backlog=1000) as refusing,
        await asyncio.start_server(_never_answer, "127.0.0.1", 0, backlog=1000) as silent,
    ):
        with serving("-n 120", "--clock", "manual") as (_, url):
            headers = {"authorization": "Bearer dev-token"}
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20, trust_env=False) as http:
                for receiver in (silent, refusing) * 70:
                    hook = f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}/"
                    await http.post(TASKS, json={"command": "A", "payload": 1, "webhook": hook})
                    task = (await http.post(f"{TASKS}/claim", json={"commands": ["A"]})).json()
                    await http.post(f"{TASKS}/{task['id']}/result", json={"status": "COMPLETED", "result": {}})
                advanced = await http.post("/_fake/clock/advance", json={"seconds": 10})
                metrics = await http.get("/metrics")
                callbacks = (await http.get("/_fake/callbacks")).json()["callbacks"]
    assert (advanced.status_code, metrics.status_code) == (200, 200)
    outcomes = Counter(each["error"] or each["status"] for callback in callbacks for each in callback["tries"])
    assert outcomes == {503: 210}  # after 0, 2 and 6 s; the others have 15 s


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="reads the limit from /proc")
def test_a_server_raises_its_limit_of_open_files() -> None:
    with serving("-Sn 256") as (process, _):
        limits = Path(f"/proc/{process.pid}/limits").read_text(encoding="utf-8")
        [line] = [line for line in limits.splitlines() if line.startswith("Max open files")]
        soft, hard = line.split()[3:5]
        assert int(soft) == min(int(hard), 65_536) > 256


@pytest.mark.parametrize(
    ("available", "connections", "backlog"), [(65_536, 4096, 2048), (1024, 576, 128), (256, 96, 32), (64, 1, 8)]
)
def test_files_are_left_for_all_else(
    monkeypatch: pytest.MonkeyPatch, available: int, connections: int, backlog: int
) -> None:
    monkeypatch.setattr(descriptors, "limit", lambda: available)
    limits = descriptors.limits(callbacks=descriptors.callbacks())
    assert (limits.connections, limits.backlog) == (connections, backlog)
    assert descriptors.callbacks(10) == 10
