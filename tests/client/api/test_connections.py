"""Connections: whose they are, that each reply belongs to its request, and what replies may not do."""

from __future__ import annotations

import asyncio
import gc
import gzip
import ssl
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from codeq_client import BlockingCodeQ, CodeQ, NewTask, Task
from codeq_client._api import limits
from codeq_client.errors import BadReply, CertificateError, ClientClosed, ConfigurationError, Unavailable
from codeq_fake.testing import FakeCodeQ
from tests.client.api.support import TASK, StillClock, output_about_tasks

Answer = Callable[[httpx.Request], httpx.Response]


def get(answer: Answer) -> Task:
    with BlockingCodeQ("http://a.test", worker_token="w", retries=0, transport=httpx.MockTransport(answer)) as codeq:
        blocking = codeq.get("t-1")

    async def main() -> Task:
        transport = httpx.MockTransport(answer)
        async with CodeQ("http://a.test", worker_token="w", retries=0, transport=transport) as codeq:
            return await codeq.get("t-1")

    assert asyncio.run(main()) == blocking
    return blocking


FORKS = """
import os, sys
from codeq_client import BlockingCodeQ
ids = sys.argv[1:]
with BlockingCodeQ.from_env(retries=0) as codeq:
    codeq.get(ids[0])
    children = []
    for child in range(4):
        pid = os.fork()
        if not pid:
            os._exit(sum(codeq.get(ids[n % 4]).id != ids[n % 4] for n in range(child, child + 20)))
        children.append(pid)
    print(sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children))
"""


@pytest.mark.process
def test_forked_processes_get_no_replies_to_requests_of_each_other() -> None:
    assert output_about_tasks(FORKS) == ("0\n", "")


def test_a_reply_to_another_request_is_refused() -> None:
    ids: list[str] = []

    def echoes_the_one_before(request: httpx.Request) -> httpx.Response:
        ids.append(request.headers["x-request-id"])
        return httpx.Response(200, json=TASK, headers={"x-request-id": ids[0]})

    with pytest.raises(BadReply, match="the reply to another request"):
        get(echoes_the_one_before)
    assert len(set(ids)) == 2


def test_a_reply_about_another_task_is_refused() -> None:
    with pytest.raises(BadReply, match="about the task 't-2'"):
        get(lambda _request: httpx.Response(200, json={**TASK, "id": "t-2"}))


def test_a_proxy_may_replace_the_request_id() -> None:
    assert get(lambda _request: httpx.Response(200, json=TASK, headers={"x-request-id": "of the proxy"})).id == "t-1"


@pytest.mark.port
def test_a_client_may_be_used_in_one_event_loop_after_another() -> None:
    with FakeCodeQ(clock="real") as fake, fake.serve():
        task_id = fake.enqueue("X", {}).id
        codeq = CodeQ.from_env(fake.env, retries=0)

        async def read() -> str:
            async with codeq:
                return (await codeq.get(task_id)).id

        assert [asyncio.run(read()) for _ in range(3)] == [task_id] * 3


# Nothing can close a connection once its loop has ended: it is only dropped.
@pytest.mark.port
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_event_loop_that_has_ended_leaves_nothing_behind() -> None:
    with FakeCodeQ(clock="real") as fake, fake.serve():
        task_id = fake.enqueue("X", {}).id
        codeq = CodeQ.from_env(fake.env, retries=0)
        loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

        async def read() -> None:
            loops.append(weakref.ref(asyncio.get_running_loop()))
            assert (await codeq.get(task_id)).id == task_id

        for _ in range(4):
            asyncio.run(read())
        asyncio.run(codeq.aclose())  # in another loop: the connections of the last one go, too
        gc.collect()
        assert [loop() for loop in loops] == [None] * 4


class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body without end; `sent` counts what was read of it."""

    def __init__(self) -> None:
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        while self.sent < 10_000_000:
            self.sent += 1000
            yield bytes(1000)

    async def __aiter__(self) -> Any:
        for chunk in self:
            yield chunk


def test_a_reply_is_read_only_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_REPLY_BYTES", 100_000)
    bodies: list[Endless] = []

    def endless(_request: httpx.Request) -> httpx.Response:
        bodies.append(Endless())
        return httpx.Response(200, stream=bodies[-1])

    with pytest.raises(BadReply, match="larger than"):
        get(endless)
    assert bodies[0].sent == 101_000


@pytest.mark.parametrize("length", [str(10**9), "9" * 400])
def test_a_reply_that_says_it_is_too_large_is_not_read(length: str) -> None:
    with pytest.raises(BadReply, match="larger than 64 MiB"):
        get(lambda _request: httpx.Response(200, stream=Endless(), headers={"content-length": length}))


def test_a_compressed_reply_is_neither_asked_for_nor_read() -> None:
    def bomb(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        body = httpx.ByteStream(gzip.compress(bytes(1_000_000)))
        return httpx.Response(200, stream=body, headers={"content-encoding": "gzip"})

    with pytest.raises(BadReply, match="compressed"):
        get(bomb)


def refused(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def test_a_connection_error_names_the_server_but_not_its_password() -> None:
    transport = httpx.MockTransport(refused)
    with (
        BlockingCodeQ("http://me:secret@a.test:8080", worker_token="w", retries=0, transport=transport) as codeq,
        pytest.raises(Unavailable, match=r"no answer from http://a\.test:8080: refused$") as caught,
    ):
        codeq.get("t-1")
    assert "secret" not in repr(codeq) + repr(caught.value)


def test_a_connection_error_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@proxy.test:3128")
    transport = httpx.MockTransport(refused)
    with (
        BlockingCodeQ("http://a.test", worker_token="w", retries=0, transport=transport) as codeq,
        pytest.raises(Unavailable, match=r"http://a\.test through the proxy http://proxy\.test:3128: refused$"),
    ):
        codeq.get("t-1")


@pytest.mark.parametrize("url", ["http://me:se/cret@a.test", "http://me:se cret@a.test:x", "me:secret@a.test"])
def test_a_refused_url_does_not_show_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        BlockingCodeQ(url)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://a.test/v1/codeq", "http://a.test/base/v1/codeq/", "http://a.test/?x=1"])
def test_a_url_that_leads_to_no_route_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"/v1/codeq, which the client adds|query or a fragment"):
        BlockingCodeQ(url)


def test_an_untrusted_certificate_is_an_error_at_once() -> None:
    calls = []

    def untrusted(_request: httpx.Request) -> httpx.Response:
        calls.append(1)
        cause = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
        raise httpx.ConnectError(str(cause)) from cause

    transport = httpx.MockTransport(untrusted)
    with (
        BlockingCodeQ("https://a.test", worker_token="w", retries=9, transport=transport) as codeq,
        pytest.raises(CertificateError, match=r"https://a\.test: .*self-signed certificate.*set SSL_CERT_FILE"),
    ):
        codeq.wait_for_result("t-1", timeout=600)
    assert len(calls) == 1


@pytest.mark.parametrize("use", ["create", "create_batch", "wait_for_result", "complete"])
def test_a_closed_client_says_so_at_once(use: str) -> None:
    codeq = BlockingCodeQ("http://a.test", producer_token="p", worker_token="w", clock=StillClock())
    codeq.close()
    arguments: dict[str, tuple[Any, ...]] = {
        "create": ("X", {}),
        "create_batch": ([NewTask(command="X", payload={})] * 300,),
        "wait_for_result": ("t-1",),
        "complete": (Task(id="t-1", command="X", status="IN_PROGRESS"),),
    }
    with pytest.raises(ClientClosed, match=r"the client is closed: .*make another client"):
        getattr(codeq, use)(*arguments[use])
    assert codeq.core.clock.monotonic() == StillClock().monotonic(), "it waited for nothing"


@pytest.mark.asyncio
@pytest.mark.parametrize("transport", [None, httpx.AsyncHTTPTransport])
async def test_a_closed_asynchronous_client_says_so_at_once(transport: Any) -> None:
    async with CodeQ("http://a.test", producer_token="p", transport=transport) as codeq:
        pass
    with pytest.raises(ClientClosed):
        await codeq.create("X", {})


@contextmanager
def counting_connections() -> Iterator[tuple[str, list[Any]]]:
    """A server that answers each request after 10 ms, and lists its connections."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            made.append(self.client_address)

        def do_GET(self) -> None:
            never.wait(0.01)
            body = b'{"id":"t-1","command":"X","status":"PENDING"}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    made: list[Any] = []
    never = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", made
        finally:
            server.shutdown()
            serving.join()


@pytest.mark.port
def test_connections_are_used_again_and_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 4)

    async def main(url: str) -> None:
        async with CodeQ(url, worker_token="w", retries=0) as codeq:
            for _ in range(3):
                assert {task.id for task in await asyncio.gather(*[codeq.get("t-1") for _ in range(12)])} == {"t-1"}

    with counting_connections() as (url, made):
        asyncio.run(main(url))
        assert len(made) == 4
        with BlockingCodeQ(url, worker_token="w", retries=0) as codeq:
            threads = [threading.Thread(target=codeq.get, args=("t-1",)) for _ in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(made) <= 8
