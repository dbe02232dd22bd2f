"""Both clients have the same operations; here they run on an HTTP transport of the test."""

from __future__ import annotations

import asyncio
import inspect
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

import codeq_client
from codeq_client import BlockingCodeQ, CodeQ
from codeq_client._api.connections import connection_to
from codeq_client.errors import CodeQError, ConfigurationError, Unauthorized, Unavailable
from codeq_fake.testing import FakeCodeQ
from tests.client.api.support import TASK, StillClock

Answer = Callable[[httpx.Request], httpx.Response]


def public(kind: type) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in vars(kind) if not name.startswith("_")}


def test_both_clients_have_the_same_operations() -> None:
    asynchronous, blocking = public(CodeQ), public(BlockingCodeQ)
    assert set(asynchronous) - {"aclose", "on_hook_error", "twin"} == set(blocking) - {"close"}
    operations = [name for name in asynchronous if name not in {"aclose", "from_env", "on_hook_error", "run", "twin"}]
    assert len(operations) == 22
    for name in operations:
        assert inspect.signature(asynchronous[name]) == inspect.signature(blocking[name])
        assert asynchronous[name].__doc__ == blocking[name].__doc__


def test_every_public_name_is_listed_and_sorted() -> None:
    listed = codeq_client.__all__
    assert listed == sorted(listed)
    public_names = {name for name, value in vars(codeq_client).items() if not name.startswith("_")}
    assert {name for name in public_names if not inspect.ismodule(getattr(codeq_client, name))} - {
        "annotations"
    } == set(listed)


def test_the_asynchronous_client_sends_the_requests_of_the_core() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(202, json=TASK)

    async def main() -> None:
        transport = httpx.MockTransport(answer)
        async with CodeQ("http://codeq.test/base/", producer_token="p", transport=transport) as codeq:
            assert (await codeq.create("X", {"a": 1})).id == "t-1"

    asyncio.run(main())
    (request,) = requests
    assert str(request.url) == "http://codeq.test/base/v1/codeq/tasks"
    assert request.headers["authorization"] == "Bearer p"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content)["payload"] == {"a": 1}


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("slow"), False),
        (httpx.PoolTimeout("full"), False),
        (httpx.ReadTimeout("slow"), True),
        (httpx.WriteError("broken"), True),
        (httpx.RemoteProtocolError("closed"), True),
        (httpx.DecodingError("no gzip"), True),
        (OSError("no route"), True),
        (UnicodeEncodeError("ascii", "é", 0, 1, "no ASCII"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_transport_errors_say_whether_the_request_may_have_arrived(error: Exception, sent: bool) -> None:  # noqa: FBT001 - parametrized
    def answer(_request: httpx.Request) -> httpx.Response:
        raise error

    async def main() -> None:
        async with CodeQ("http://a.test", worker_token="w", retries=0, transport=httpx.MockTransport(answer)) as codeq:
            await codeq.get("t-1")

    with pytest.raises(Unavailable) as caught:
        asyncio.run(main())
    assert caught.value.sent is sent
    with (
        BlockingCodeQ("http://a.test", worker_token="w", retries=0, transport=httpx.MockTransport(answer)) as codeq,
        pytest.raises(Unavailable),
    ):
        codeq.get("t-1")


@pytest.mark.parametrize("token", ["tokén", "tok\nen", "tok\x00en"])
def test_a_token_that_is_not_a_header_value_is_neither_sent_nor_shown(token: str) -> None:
    with pytest.raises(ConfigurationError, match="not printable ASCII") as caught:
        BlockingCodeQ("http://a.test", worker_token=token)
    assert "tok\n" not in str(caught.value)
    assert "tokén" not in str(caught.value)


@contextmanager
def dripping() -> Iterator[str]:
    """Answer with one byte of the body every 20 ms, for 2 s."""

    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "100")
            self.end_headers()
            with suppress(OSError):
                for _ in range(100):
                    over.wait(0.02)
                    self.wfile.write(b" ")

        def log_message(self, *_: object) -> None: ...

    over = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()
            serving.join()


@pytest.mark.port
def test_a_slowly_trickling_answer_times_out() -> None:
    async def get(url: str) -> None:
        async with CodeQ(url, worker_token="w", retries=0, timeout=0.5) as codeq:
            await codeq.get("t-1")

    with dripping() as url:
        with pytest.raises(Unavailable, match="TimeoutError") as caught:
            asyncio.run(get(url))
        assert caught.value.sent
        with (
            BlockingCodeQ(url, worker_token="w", retries=0, timeout=0.5) as codeq,
            pytest.raises(Unavailable, match="TimeoutError"),
        ):
            codeq.get("t-1")


def failing() -> str:
    raise OSError("no token today")


async def asynchronous() -> str:
    return "a"


def test_token_providers_may_be_plain_or_asynchronous() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        good = request.headers["authorization"] == "Bearer a"
        return httpx.Response(200, json=TASK) if good else httpx.Response(401, json={"error": "invalid token"})

    async def fetch(token: Any) -> str:
        transport = httpx.MockTransport(answer)
        async with CodeQ("http://a.test", worker_token=token, retries=0, transport=transport) as codeq:
            return (await codeq.get("t-1")).id

    assert asyncio.run(fetch(lambda: "a")) == "t-1"
    assert asyncio.run(fetch(asynchronous)) == "t-1"
    with pytest.raises(Unauthorized):
        asyncio.run(fetch(lambda: "b"))
    with pytest.raises(Unavailable, match="no token today"):
        asyncio.run(fetch(failing))


class Issuer:
    """A token provider that waits for `go_on`."""

    def __init__(self) -> None:
        self.asked = 0
        self.threads: set[int] = set()
        self.began, self.go_on = threading.Event(), threading.Event()

    def plain(self) -> str:
        self.asked += 1
        self.threads.add(threading.get_ident())
        self.began.set()
        assert self.go_on.wait(5)
        return "a"

    async def asynchronous(self) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked == 1:
            raise OSError("no token yet")
        return "a"


def good(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=TASK)


def test_a_plain_provider_is_called_once_for_all_waiting_calls_and_does_not_block_the_loop() -> None:
    issuer = Issuer()

    async def main() -> None:
        transport = httpx.MockTransport(good)
        async with CodeQ("http://a.test", worker_token=issuer.plain, retries=0, transport=transport) as codeq:
            calls = [asyncio.create_task(codeq.get("t-1")) for _ in range(50)]
            assert await asyncio.to_thread(issuer.began.wait, 5)
            calls[0].cancel()
            await asyncio.sleep(0)
            issuer.go_on.set()
            fetched = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(fetched[0], asyncio.CancelledError), "and does not cancel the others"
        assert not any(isinstance(task, BaseException) for task in fetched[1:])

    asyncio.run(main())
    assert issuer.asked == 1
    assert threading.get_ident() not in issuer.threads


def test_on_a_clock_for_one_thread_a_plain_provider_is_called_in_the_event_loop() -> None:
    threads: set[threading.Thread] = set()

    def provider() -> str:
        threads.add(threading.current_thread())
        return "a"

    async def main() -> None:
        transport = httpx.MockTransport(good)
        async with CodeQ("http://a.test", worker_token=provider, transport=transport, clock=StillClock()) as codeq:
            assert (await codeq.get("t-1")).id == "t-1"

    asyncio.run(main())
    assert threads == {threading.main_thread()}


def test_a_failed_provider_call_fails_all_waiting_calls_and_is_repeated_for_the_next() -> None:
    issuer = Issuer()

    async def main() -> None:
        transport = httpx.MockTransport(good)
        async with CodeQ("http://a.test", worker_token=issuer.asynchronous, retries=0, transport=transport) as codeq:
            failures = await asyncio.gather(*[codeq.get("t-1") for _ in range(9)], return_exceptions=True)
            assert all(isinstance(failure, Unavailable) for failure in failures)
            assert issuer.asked == 1
            assert (await codeq.get("t-1")).id == "t-1"

    asyncio.run(main())
    assert issuer.asked == 2


def test_a_provider_that_does_not_answer_times_out() -> None:
    async def never() -> str:
        await asyncio.Event().wait()
        return "a"

    async def main() -> None:
        async with CodeQ("http://a.test", worker_token=never, retries=0, timeout=0.01) as codeq:
            with pytest.raises(Unavailable, match="the token provider failed: TimeoutError"):
                await codeq.get("t-1")

    asyncio.run(asyncio.wait_for(main(), 5))


def test_the_blocking_client_refuses_an_asynchronous_provider() -> None:
    for provider, error in ((asynchronous, ConfigurationError), (failing, Unavailable)):
        with BlockingCodeQ("http://a.test", worker_token=provider, retries=0) as codeq, pytest.raises(error):
            codeq.get("t-1")


@pytest.mark.parametrize("url", ["", "codeq.test", "ftp://codeq.test", "http://", "http://[::1"])
def test_a_url_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        CodeQ(url)


@pytest.mark.parametrize(
    ("url", "checked"), [("https://a.test", True), ("HTTPS://a.test", True), ("http://a.test", False)]
)
def test_certificates_are_verified_for_https(url: str, checked: bool) -> None:  # noqa: FBT001 - parametrized
    tls = connection_to(url)["verify"]
    assert (isinstance(tls, ssl.SSLContext) and tls.verify_mode is ssl.CERT_REQUIRED) is checked


def test_a_twin_has_the_same_settings_and_its_own_connections() -> None:
    codeq = CodeQ("https://a.test", worker_token="w", timeout=5)
    twin = codeq.twin()
    assert (twin.core, twin.base_url) == (codeq.core, codeq.base_url)
    assert vars(twin)["_by_loop"] is not vars(codeq)["_by_loop"]


def test_settings_come_from_the_environment() -> None:
    environ = {"CODEQ_BASE_URL": "http://a.test/", "CODEQ_PRODUCER_TOKEN": "p", "CODEQ_WORKER_TOKEN": "w"}
    codeq = CodeQ.from_env(environ, timeout=5)
    assert repr(codeq) == "CodeQ('http://a.test')"
    assert {role.value: token.text for role, token in codeq.core.tokens.items()} == {
        "producer": "p",
        "worker": "w",
        "reader": "w",
        "admin": "p",
    }
    assert codeq.core.timeout == 5
    with pytest.raises(ConfigurationError, match="CODEQ_BASE_URL"):
        BlockingCodeQ.from_env({})


@pytest.mark.port
def test_the_blocking_client_completes_a_task_on_the_fake() -> None:
    with FakeCodeQ() as fake, fake.serve(), BlockingCodeQ.from_env(fake.env) as codeq:
        created = codeq.create("X", {"a_b": None, "cD": [1.5]})
        task = codeq.claim(["X"])
        assert task
        assert task.payload == {"a_b": None, "cD": [1.5]}
        codeq.heartbeat(task.id)
        codeq.complete(task, "done")
        assert codeq.wait_for_result(created.id) == "done"
        assert codeq.queue_stats("X").ready == 0
        with pytest.raises(CodeQError):
            codeq.complete(task, "again")


@pytest.mark.process
def test_the_library_of_the_asynchronous_client_is_not_loaded_for_a_blocking_one() -> None:
    program = """
import sys
from codeq_client import BlockingCodeQ, Worker
from codeq_client import task_cli
BlockingCodeQ("http://codeq.test", producer_token="p").close()
print("aiohttp" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
