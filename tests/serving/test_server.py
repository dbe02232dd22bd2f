"""The fake on a port: how it listens, how it answers over a socket, how it ends, and clients that vanish."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from codeq_fake import page
from codeq_fake.clocks import WallClock, let_tasks_run
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.server_settings import Settings
from codeq_fake.serving import server
from codeq_fake.serving.application import application
from codeq_fake.serving.server import PortTakenError, listen, loading_ahead, served, url_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = [pytest.mark.port, pytest.mark.timeout(30)]

TASKS = "/v1/codeq/tasks"
TOKEN = {"authorization": "Bearer dev-token"}


@asynccontextmanager
async def serving(clock: WallClock | None = None, **mounts: Any) -> AsyncIterator[tuple[FakeServer, httpx.AsyncClient]]:
    runtime = FakeServer(Config(mounts=mounts), clock or WallClock("manual"))
    async with (
        served(application(runtime), runtime, listen("127.0.0.1", 0)) as url,
        httpx.AsyncClient(base_url=url, headers=TOKEN, timeout=5, trust_env=False) as http,
    ):
        yield runtime, http


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that no event announces."""
    while not condition():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)


class Caller:
    """A client by hand: one connection, one request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def claims(cls, http: httpx.AsyncClient, wait_seconds: int = 30) -> Caller:
        caller = cls(*await asyncio.open_connection(http.base_url.host, http.base_url.port))
        body = json.dumps({"commands": ["A"], "waitSeconds": wait_seconds})
        head = f"POST {TASKS}/claim HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dev-token\r\n"
        caller.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        return caller

    async def answer(self) -> bytes:
        """The first line of the answer."""
        return await self.reader.readline()

    async def hang_up(self, *, at_once: bool) -> None:
        if at_once:
            self.writer.transport.abort()
        self.writer.close()


# Listening.


def test_a_free_port_is_picked_and_told() -> None:
    with listen("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        assert (host, url_of(listener)) == ("127.0.0.1", f"http://127.0.0.1:{port}")
        assert port > 0


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6_is_listened_on_and_told() -> None:
    try:
        listener = listen("::1", 0)
    except PortTakenError:
        pytest.skip("this machine has no IPv6 loopback")
    with listener:
        assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_small_packets_are_sent_at_once() -> None:
    # asyncio turns Nagle's algorithm off for sockets that say TCP, and for no others.
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_taken_port_is_named() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            listen("127.0.0.1", port)
    assert str(caught.value) == f"cannot listen on 127.0.0.1 port {port}: Address already in use"
    listen("127.0.0.1", port).close()


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(PortTakenError, match=r"cannot listen on 192\.0\.2\.1 port 0: "):
        listen("192.0.2.1", 0)


# Answering.


@pytest.mark.asyncio
async def test_it_answers_over_a_socket() -> None:
    async with serving() as (_, http):
        created = await http.post(TASKS, json={"command": "A", "payload": {"a": 1}})
        claimed = await http.post(f"{TASKS}/claim", json={"commands": ["A"]})
        empty = await http.post(f"{TASKS}/claim", json={"commands": ["A"]})
        assert [created.status_code, claimed.status_code, empty.status_code] == [202, 200, 204]
        assert claimed.json()["id"] == created.json()["id"]
        assert empty.content == b""
        assert "server" not in created.headers
        assert (await http.head(TASKS)).status_code == 404
        assert (await http.get("/_fake/health")).json()["status"] == "ok"


@pytest.mark.asyncio
async def test_many_clients_are_served_at_once() -> None:
    async with serving() as (_, http):
        created = await asyncio.gather(*(http.post(TASKS, json={"command": "A", "payload": n}) for n in range(50)))
        claimed = await asyncio.gather(*(http.post(f"{TASKS}/claim", json={"commands": ["A"]}) for _ in range(50)))
        assert {reply.json()["id"] for reply in created} == {reply.json()["id"] for reply in claimed}


@pytest.mark.asyncio
async def test_a_large_reply_arrives_whole() -> None:
    async with serving() as (_, http):
        payload = "x" * 5_000_000
        reply = await http.post(TASKS, json={"command": "A", "payload": payload})
        assert json.loads(reply.json()["payload"]) == payload


@pytest.mark.asyncio
async def test_metrics_are_read_by_prometheus() -> None:
    async with serving() as (_, http):
        await http.post(TASKS, json={"command": 'A "quoted"\\\n', "payload": 1})
        reply = await http.get("/metrics")
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        samples = [sample for family in text_string_to_metric_families(reply.text) for sample in family.samples]
        created = [sample for sample in samples if sample.name == "codeq_task_created_total"]
        assert [(sample.labels, sample.value) for sample in created] == [({"command": 'A "quoted"\\\n'}, 1.0)]
        assert {sample.name for sample in samples} >= {"codeq_queue_depth", "codeq_subscriptions_active"}


@pytest.mark.asyncio
async def test_a_long_poll_over_a_socket_ends_with_the_clock() -> None:
    async with serving() as (runtime, http):
        caller = await Caller.claims(http)
        await until(lambda: runtime.waiters.parked == 1)
        advanced = await http.post("/_fake/clock/advance", json={"seconds": 30})
        assert advanced.json()["fired"] == 120
        assert await caller.answer() == b"HTTP/1.1 204 No Content\r\n"
        await caller.hang_up(at_once=False)


@pytest.mark.asyncio
async def test_an_advance_waits_for_a_receiver_elsewhere_and_for_what_it_asks() -> None:
    async with serving() as (_, http):

        async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await http.post(TASKS, json={"command": "FOLLOW_UP", "payload": 1})
            writer.write(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")
            await reader.read()
            writer.close()

        async with await asyncio.start_server(hear, "127.0.0.1", 0) as receiver:
            webhook = f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}/"
            created = await http.post(TASKS, json={"command": "A", "payload": 1, "webhook": webhook})
            await http.post(f"{TASKS}/claim", json={"commands": ["A"]})
            result = {"status": "COMPLETED", "result": {}}
            await http.post(f"{TASKS}/{created.json()['id']}/result", json=result)
            await http.post("/_fake/clock/advance", json={"seconds": 30})
            follow_ups = (await http.get("/_fake/tasks?command=FOLLOW_UP")).json()["tasks"]
            [callback] = (await http.get("/_fake/callbacks")).json()["callbacks"]
            assert (len(follow_ups), len(callback["tries"]), callback["state"]) == (5, 5, "failed")


# Clients that vanish.


@pytest.mark.asyncio
@pytest.mark.parametrize("at_once", [True, False], ids=["reset", "closed"])
async def test_a_client_that_closes_its_connection_gets_no_task(at_once: bool) -> None:  # noqa: FBT001 - a column
    async with serving() as (runtime, http):
        caller = await Caller.claims(http)
        await until(lambda: runtime.waiters.parked == 1)
        await caller.hang_up(at_once=at_once)
        created = await http.post(TASKS, json={"command": "A", "payload": 1})
        await http.post("/_fake/clock/advance", json={"seconds": 30})
        task = (await http.get(f"{TASKS}/{created.json()['id']}")).json()
        assert (task["status"], task.get("attempts")) == ("PENDING", None)
        assert runtime.waiters.parked == 0
        claimed = await http.post(f"{TASKS}/claim", json={"commands": ["A"]})
        assert claimed.json()["attempts"] == 1


@pytest.mark.asyncio
async def test_a_client_that_vanishes_just_before_time_moves_gets_no_task() -> None:
    async with serving() as (runtime, http):
        caller = await Caller.claims(http)
        await until(lambda: runtime.waiters.parked == 1)
        created = await http.post(TASKS, json={"command": "A", "payload": 1})
        caller.writer.transport.abort()
        await runtime.advance(by=30_000_000_000)
        task = (await http.get(f"{TASKS}/{created.json()['id']}")).json()
        assert task["status"] == "PENDING"


@pytest.mark.asyncio
async def test_on_a_real_clock_too_a_client_that_vanishes_gets_no_task() -> None:
    async with serving(WallClock()) as (runtime, http):
        caller = await Caller.claims(http)
        await until(lambda: runtime.waiters.parked == 1)
        await caller.hang_up(at_once=False)
        await until(lambda: runtime.waiters.parked == 0)
        created = await http.post(TASKS, json={"command": "A", "payload": 1})
        await http.post("/_fake/clock/advance", json={"seconds": 30})
        assert (await http.get(f"{TASKS}/{created.json()['id']}")).json()["status"] == "PENDING"


@pytest.mark.asyncio
async def test_a_client_that_vanishes_while_it_sends_a_state_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (_, http):
        before = (await http.get("/_fake/state")).json()
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(b'PUT /_fake/state HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"profile":')
        await writer.drain()
        writer.close()
        assert await reader.read() == b""
        await let_tasks_run()
        assert (await http.get("/_fake/state")).json() == before
    assert caplog.records == []


@pytest.mark.asyncio
@pytest.mark.parametrize("closing", ["reset", "closed"])
async def test_clients_that_send_and_vanish_take_no_other_clients_reply_away(
    caplog: pytest.LogCaptureFixture, closing: str
) -> None:
    async with serving() as (_, http):
        address = (http.base_url.host, http.base_url.port)
        sound = [socket.create_connection(address) for _ in range(20)]
        body = b'{"command": "A", "payload": 1}'
        head = f"POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dev-token\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        for _ in range(10):
            vanishing = [socket.create_connection(address) for _ in range(10)]
            await asyncio.sleep(0.01)  # so that all of them are connected, and their requests come in one turn
            for client in sound[:10]:
                client.sendall(request)
            for client in vanishing:
                client.sendall(request * 3)
            for client in sound[10:]:
                client.sendall(request)
            for client in vanishing:
                if closing == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            for client in sound:
                client.setblocking(False)  # noqa: FBT003 - the socket module's own way
                async with asyncio.timeout(2):
                    reply = await asyncio.get_running_loop().sock_recv(client, 10_000)
                assert reply.startswith(b"HTTP/1.1 202 ")
        for client in sound:
            client.close()
    assert caplog.records == []


# Its end.


@pytest.mark.asyncio
async def test_when_it_ends_parked_polls_are_answered(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(WallClock()) as (runtime, http):
        callers = [await Caller.claims(http) for _ in range(5)]
        await until(lambda: runtime.waiters.parked == 5)
    assert [await caller.answer() for caller in callers] == [b"HTTP/1.1 204 No Content\r\n"] * 5
    for caller in callers:
        await caller.hang_up(at_once=False)
    assert caplog.records == []


@pytest.mark.asyncio
async def test_when_it_ends_a_producer_whose_notice_hangs_is_answered() -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def app(*_: object) -> None:
        asked.set()
        await never.wait()

    async with serving(WallClock(), **{"http://app.test": app}) as (_, http):
        body = {"callbackUrl": "http://app.test/", "eventTypes": ["A"]}
        await http.post("/v1/codeq/workers/subscriptions", json=body)
        other = httpx.AsyncClient(base_url=http.base_url, headers=TOKEN, timeout=5, trust_env=False)
        creating = asyncio.create_task(other.post(TASKS, json={"command": "A", "payload": 1}))
        await asked.wait()
    assert (await creating).status_code == 202
    await other.aclose()


@pytest.mark.asyncio
async def test_when_it_ends_a_request_that_hangs_is_dropped_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with listen("127.0.0.1", 0) as deaf:
        keys = {"jwksUrl": f"http://127.0.0.1:{deaf.getsockname()[1]}/", "issuer": "i", "audience": "a"}
        config = dict.fromkeys(("PRODUCER_AUTH_CONFIG", "WORKER_AUTH_CONFIG"), json.dumps(keys))
        runtime = FakeServer(Config(settings=Settings.from_env(config)), WallClock())
        async with served(application(runtime), runtime, listen("127.0.0.1", 0)) as url:
            signed = {"authorization": "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.e30.AAAA"}
            client = httpx.AsyncClient(timeout=5, trust_env=False)
            asking = asyncio.create_task(client.get(f"{url}/v1/codeq/admin/queues", headers=signed))
            heard, _ = await asyncio.to_thread(deaf.accept)
        with heard, pytest.raises(httpx.RemoteProtocolError):
            await asking
        await client.aclose()
    assert caplog.records == []


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(6))
async def test_when_it_ends_a_connection_that_has_just_come_is_closed(turns: int) -> None:
    async with serving() as (_, http):
        client = socket.create_connection((http.base_url.host, http.base_url.port or 0))
        for _ in range(turns):  # of the event loop, which needs three to accept a connection
            await asyncio.sleep(0)
    client.settimeout(10)
    with client, suppress(ConnectionResetError):
        assert await asyncio.to_thread(client.recv, 1) == b""


@pytest.mark.asyncio
async def test_when_it_has_ended_its_port_is_free() -> None:
    async with serving() as (_, http):
        port = http.base_url.port
        await http.get("/metrics")
    assert port is not None
    listen("127.0.0.1", port).close()


@pytest.mark.asyncio
@pytest.mark.parametrize(("lives", "compiled"), [("at once", 0), ("longer", 3)])
async def test_templates_are_compiled_for_a_server_that_does_not_end_at_once(
    monkeypatch: pytest.MonkeyPatch, lives: str, compiled: int
) -> None:
    done: list[int] = []

    def compiling() -> Iterator[None]:
        for number in range(3):
            done.append(number)
            yield

    monkeypatch.setattr(page, "loaded_ahead", compiling)
    if lives == "longer":
        monkeypatch.setattr(server, "_BEFORE_TEMPLATES", 0)
    with loading_ahead():
        if lives == "longer":
            await until(lambda: len(done) == compiled)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert len(done) == compiled
