"""Support for the tests of webhooks: a receiver on a loopback port that can misbehave, and the recorded requests."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from codeq_contract.recordings.shipped import FOLDER


@dataclass(frozen=True)
class Received:
    """A request as it came; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers each path as `answers` says, with 200 what is not in it."""

    answers: Mapping[str, bytes]
    hangs_up: bool
    """Whether it closes a connection itself; else it waits for the caller to do so."""
    port: int = 0
    received: list[Received] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a request has come."""
    connections: set[asyncio.Task[None] | None] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def seen(self) -> list[tuple[str, str, bytes]]:
        """Method, target and body of each request."""
        return [(request.method, request.target, request.body) for request in self.received]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self.connections.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError):  # the caller hung up without a word
            request = await _read(reader)
            self.received.append(request)
            self.asked.set()
            writer.write(self.answers.get(request.target, answer(200)))
        if not self.hangs_up:
            await reader.read()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Received:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Received(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def answer(status: int, location: str | None = None, *, length: int = 0) -> bytes:
    """Write the head of an answer; a `length` promises a body that never comes."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {length}"]
    if location is not None:
        lines.append(f"Location: {location}")
    return "\r\n".join([*lines, "", ""]).encode()


@asynccontextmanager
async def receiving(
    answers: Mapping[str, bytes] | None = None, *, hangs_up: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Listen on a new loopback port. At the end, wait until all callers have disconnected."""
    receiver = Receiver(answers or {}, hangs_up)
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls) as server:
        receiver.port = server.sockets[0].getsockname()[1]
        yield receiver
        await asyncio.gather(*filter(None, receiver.connections))


@dataclass(frozen=True)
class Recorded:
    """A request that the real server sent to a webhook. `secret` is its setting."""

    path: str
    headers: Mapping[str, str]
    body: str
    secret: str

    @property
    def json(self) -> dict[str, Any]:
        """The decoded body."""
        body: dict[str, Any] = json.loads(self.body)
        return body


def recorded(pattern: str = "*/*") -> Iterator[Recorded]:
    """All recorded POST requests to webhooks in the matching files."""
    for file in sorted(FOLDER.glob(f"v0.3.3/{pattern}.jsonl.gz")):
        header, *lines = gzip.decompress(file.read_bytes()).rstrip(b"\n").split(b"\n")
        secret = json.loads(header)["settings"].get("WEBHOOK_HMAC_SECRET", "")
        for line in map(json.loads, lines):
            if line["kind"] == "callback" and line["method"] == "POST":
                yield Recorded(line["path"], line["headers"], line["body"], secret)
