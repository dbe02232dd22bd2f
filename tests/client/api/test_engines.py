"""Both libraries that send requests keep the same promises, against a server that does what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from codeq_client import CodeQ, SystemClock
from codeq_client._api import calls, limits
from codeq_client.errors import BadReply, CertificateError, CodeQError, Unavailable
from tests.client.api.support import TASK, output_about_tasks

pytestmark = pytest.mark.port

Transports = dict[str, Any]
with_both_engines = pytest.mark.parametrize(
    "engine", [{}, {"transport": httpx.AsyncHTTPTransport}], ids=["aiohttp", "httpx"]
)

Write = Callable[[asyncio.StreamWriter], Awaitable[None]]

BODY = json.dumps(TASK).encode()
FINE = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Server:
    """Answers each request with what `answers` holds next, and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.answers: list[bytes | Write] = []
        self.connections = 0
        self.closed = asyncio.Event()
        self.asked = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                self.requests.append(head + await reader.readexactly(length[0] if length else 0))
                self.asked.set()
                answer = self.answers.pop(0) if self.answers else FINE
                if isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    await answer(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.closed.set()
            writer.close()


@asynccontextmanager
async def served(
    engine: Transports, *, tls: ssl.SSLContext | None = None, **settings: Any
) -> AsyncIterator[tuple[Server, CodeQ]]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    try:
        async with CodeQ(url, worker_token="w", producer_token="p", retries=0, **(settings | engine)) as codeq:
            yield server, codeq
    finally:
        listening.close()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def say_nothing(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0)


async def trickle(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await asyncio.sleep(0.02)


@pytest.mark.asyncio
@with_both_engines
@pytest.mark.parametrize("is_reused", [False, True])
async def test_a_request_is_sent_once_though_its_connection_breaks(engine: Transports, *, is_reused: bool) -> None:
    async with served(engine) as (server, codeq):
        if is_reused:
            await codeq.create("X", {})
        server.answers, server.requests[:] = [hang_up], []
        with pytest.raises(Unavailable) as caught:
            await codeq.claim(["X"])
        assert (len(server.requests), caught.value.sent) == (1, True)
        assert (await codeq.get("t-1")).id == "t-1"


@pytest.mark.asyncio
async def test_a_large_request_that_is_refused_before_it_was_read_is_called_large() -> None:
    """A library does not read the refusal of a server that hangs up: httpx never, and aiohttp not always."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with CodeQ(url, producer_token="p", retries=0, transport=httpx.AsyncHTTPTransport) as codeq:
            with pytest.raises(CodeQError, match=r"HTTP 413|does the server take a request of 8,000,\d+ bytes\?"):
                await codeq.create("X", "x" * 8_000_000)


@pytest.mark.asyncio
@with_both_engines
async def test_a_refused_connection_has_sent_nothing(engine: Transports) -> None:
    async with CodeQ("http://127.0.0.1:9", worker_token="w", retries=0, **engine) as codeq:
        with pytest.raises(Unavailable) as caught:
            await codeq.claim(["X"])
    assert not caught.value.sent


@pytest.mark.asyncio
@with_both_engines
async def test_a_connection_that_is_made_too_late_sends_nothing(engine: Transports) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(3):  # as many as a listener holds that accepts none, and a few more
            client = waiting.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        async with CodeQ(url, worker_token="w", **engine) as codeq:
            began = codeq.core.clock.monotonic()
            with pytest.raises(Unavailable) as caught:
                await codeq.run(codeq.core.send(calls.get("t-1"), retries=0, send_by=began + 0.3))
            assert codeq.core.clock.monotonic() - began < 8
    assert not caught.value.sent


@pytest.mark.asyncio
@with_both_engines
@pytest.mark.parametrize("answer", [say_nothing, trickle], ids=lambda answer: answer.__name__)
async def test_the_time_of_a_request_is_limited(engine: Transports, answer: Write) -> None:
    async with served(engine) as (server, codeq):
        await codeq.get("t-1")
        calm, codeq.core = codeq.core, replace(codeq.core, timeout=0.3)
        server.answers = [answer]
        clock = SystemClock()
        began = clock.monotonic()
        with pytest.raises(Unavailable) as caught:
            await codeq.get("t-1")
        assert caught.value.sent
        assert 0.25 < clock.monotonic() - began < 8
        codeq.core = calm
        assert (await codeq.get("t-1")).id == "t-1"


@pytest.mark.asyncio
@with_both_engines
async def test_a_cancelled_request_closes_its_connection(engine: Transports) -> None:
    async with served(engine) as (server, codeq):
        server.answers = [say_nothing]
        call = asyncio.create_task(codeq.get("t-1"))
        await asyncio.wait_for(server.asked.wait(), 20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(server.closed.wait(), 20)
        assert (await codeq.get("t-1")).id == "t-1"
        assert server.connections == 2


GZIPPED = gzip.compress(bytes(100_000))
REFUSED: dict[str, bytes] = {
    "larger than": b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n{}",
    "larger": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"10000\r\n%b\r\n" % bytes(0x10000) * 4,
    "compressed": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b"
    % (len(GZIPPED), GZIPPED),
    "another request": b"HTTP/1.1 200 OK\r\nx-request-id: codeq-client-1\r\ncontent-length: 2\r\n\r\n{}",
}


@pytest.mark.asyncio
@with_both_engines
@pytest.mark.parametrize("says", REFUSED)
async def test_a_reply_that_must_not_be_read_ends_its_connection(
    engine: Transports, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_REPLY_BYTES", 200_000)
    async with served(engine) as (server, codeq):
        server.answers = [REFUSED[says]]
        with pytest.raises(BadReply, match=says):
            await codeq.get("t-1")
        assert (await codeq.get("t-1")).id == "t-1"
        assert b"accept-encoding: identity" in server.requests[0].lower()


@pytest.mark.asyncio
@with_both_engines
async def test_a_redirect_is_not_followed(engine: Transports) -> None:
    async with served(engine) as (server, codeq):
        server.answers = [b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"]
        with pytest.raises(CodeQError, match="a redirect to /elsewhere"):
            await codeq.create("X", {})
        assert len(server.requests) == 1


@pytest.mark.asyncio
@with_both_engines
async def test_what_a_server_says_unasked_is_no_reply(engine: Transports) -> None:
    other = FINE.replace(b"t-1", b"t-2")
    async with served(engine) as (server, codeq):
        server.answers = [FINE + other]
        assert (await codeq.get("t-1")).id == "t-1"
        with contextlib.suppress(BadReply):  # httpx reads it, and its task's id tells
            assert (await codeq.get("t-1")).id == "t-1"


@pytest.mark.asyncio
@with_both_engines
@pytest.mark.parametrize("path", ["", "/a%20b"])
async def test_ids_and_paths_are_sent_as_they_are(engine: Transports, path: str) -> None:
    async with served(engine) as (server, codeq):
        url = codeq.base_url.replace("//", "//user:secret@") + path
        async with CodeQ(url, worker_token="w", retries=0, **engine) as other:
            with pytest.raises(BadReply):
                await other.get("a bc%2F?ü")
        line = server.requests[0].split(b"\r\n")[0].decode()
        assert line == f"GET {path}/v1/codeq/tasks/a%20bc%252F%3F%C3%BC HTTP/1.1"


@pytest.fixture
def certified(tmp_path: Path) -> Path:
    """A self-signed certificate of `localhost` with its key, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.fromtimestamp(SystemClock().time(), UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=9))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    file = tmp_path / "certificate.pem"
    file.write_bytes(secret + certificate)
    return file


@pytest.mark.asyncio
@with_both_engines
@pytest.mark.parametrize("is_trusted", [False, True])
async def test_only_a_trusted_certificate_is_accepted(
    engine: Transports, certified: Path, monkeypatch: pytest.MonkeyPatch, *, is_trusted: bool
) -> None:
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certified))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certified)
    async with served(engine, tls=tls) as (server, codeq):
        if is_trusted:
            assert (await codeq.get("t-1")).id == "t-1"
        else:
            with pytest.raises(CertificateError, match="certificate verify failed"):
                await codeq.get("t-1")
        assert len(server.requests) == int(is_trusted)


FORKS = """
import asyncio, gc, os, sys
from codeq_client import CodeQ, SystemClock
ids = sys.argv[1:]
codeq = CodeQ.from_env(retries=0)

async def read(ids):
    return sum([(await codeq.get(task_id)).id != task_id for task_id in ids])

with asyncio.Runner() as runner:
    wrong = runner.run(read(ids))
    children = []
    for child in range(2):
        pid = os.fork()
        if not pid:
            codeq._by_loop.clear()
            gc.collect()
            with asyncio.Runner() as own:
                sys.exit(own.run(read(ids * 3)))
        children.append(pid)
    wrong += sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)
    print(wrong + runner.run(read(ids)))
"""


@pytest.mark.process
def test_a_forked_process_takes_no_connection_of_its_parent() -> None:
    assert output_about_tasks(FORKS) == ("0\n", "")
