"""Descriptors: a server goes on where the system allows few open files."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from codeq_fake.serving import descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = str(Path(sys.executable).with_name("codeq-fake"))
LOOK = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def serving(limit: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server below a limit of open files, and its URL."""
    command = ["sh", "-c", f'ulimit {limit} && exec "$0" serve --port 0 --json --log none', COMMAND]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="sockets are not limited there")
def test_more_clients_than_files_are_refused_and_the_others_are_answered() -> None:
    with serving("-n 512") as (process, url), ExitStack() as stack:
        address = ("127.0.0.1", httpx.URL(url).port)
        sound = [stack.enter_context(socket.create_connection(address, 5)) for _ in range(50)]
        for client in sound:
            client.sendall(LOOK[:10])
        flood = [stack.enter_context(socket.create_connection(address, 5)) for _ in range(900)]
        for client in sound:
            client.sendall(LOOK[10:])
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
        for client in flood:
            client.close()
        assert httpx.get(f"{url}/_fake/health", timeout=5, trust_env=False).status_code == 200
        process.terminate()
        _, said = process.communicate(timeout=10)
    first, *others = said.splitlines()
    assert first == "codeq-fake: 512 files may be open (ulimit -n), so at most 256 connections"
    assert others
    assert all("connections: 256 are open (--max-connections)" in line for line in others)


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
    limits = descriptors.limits()
    assert (limits.connections, limits.backlog) == (connections, backlog)
    assert descriptors.limits(connections=10, head_bytes=2048, head_seconds=5).head_bytes == 2048
