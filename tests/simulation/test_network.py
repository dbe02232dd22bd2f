"""One set of tests runs on the simulated network and on real sockets of this machine: both do the same."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from codeq_fake.simulation.runs import Draws, surroundings

HOST = "127.0.0.1"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Run = Callable[[Coroutine[Any, Any, None]], None]


def run_simulated(main: Coroutine[Any, Any, None]) -> None:
    with surroundings(Draws(1)) as around:
        around.loop.run_until_complete(main)


@pytest.fixture(
    params=[
        pytest.param(asyncio.run, id="sockets", marks=pytest.mark.port),
        pytest.param(run_simulated, id="simulated"),
    ]
)
def run(request: pytest.FixtureRequest) -> Run:
    chosen: Run = request.param
    return chosen


async def served(serve: Serve) -> tuple[asyncio.AbstractServer, int]:
    server = await asyncio.start_server(serve, HOST, 0)
    return server, server.sockets[0].getsockname()[1]


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def test_what_is_written_arrives_in_order_and_whole(run: Run) -> None:
    sent = bytes(range(256)) * 8192  # 2 MiB

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(sent)))
        await closed(writer)

    async def main() -> None:
        server, port = await served(echo)
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(sent)
        assert await reader.read() == sent
        await closed(writer)
        server.close()

    run(main())


def test_a_side_that_sends_no_more_can_still_receive(run: Run) -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"got " + await reader.read())
        await closed(writer)

    async def main() -> None:
        server, port = await served(answer_at_the_end)
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"all")
        writer.write_eof()
        assert await reader.read() == b"got all"
        await closed(writer)
        server.close()

    run(main())


def test_a_connection_that_is_closed_with_unread_data_is_reset(run: Run) -> None:
    async def main() -> None:
        is_sent = asyncio.Event()

        async def close_unread(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
            accepted.set()
            await is_sent.wait()
            await asyncio.sleep(0.1)  # on its way
            writer.close()

        accepted = asyncio.Event()
        server, port = await served(close_unread)
        reader, writer = await asyncio.open_connection(HOST, port)
        await accepted.wait()
        writer.write(b"unread")
        is_sent.set()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        server.close()

    run(main())


def test_an_abort_is_an_ordinary_end_for_a_peer_whose_data_were_read(run: Run) -> None:
    async def abort(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async def main() -> None:
        server, port = await served(abort)
        reader, writer = await asyncio.open_connection(HOST, port)
        assert await reader.read() == b""
        writer.close()
        server.close()

    run(main())


def test_an_abort_without_lingering_is_a_reset(run: Run) -> None:
    async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def main() -> None:
        server, port = await served(reset)
        reader, writer = await asyncio.open_connection(HOST, port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        server.close()

    run(main())


def test_data_for_a_closed_connection_reset_it(run: Run) -> None:
    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await closed(writer)

    async def main() -> None:
        server, port = await served(close)
        reader, writer = await asyncio.open_connection(HOST, port)
        assert await reader.read() == b""
        with pytest.raises(ConnectionError):  # noqa: PT012 - which write meets the reset is a matter of time
            for _ in range(100):
                writer.write(b"late")
                await writer.drain()
                await asyncio.sleep(0.01)
        server.close()

    run(main())


def test_a_port_on_which_nothing_listens_refuses(run: Run) -> None:
    async def main() -> None:
        server, port = await served(_never_called)
        server.close()
        await server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)

    run(main())


async def _never_called(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    raise AssertionError("nothing connects")


def test_a_sender_waits_for_a_reader_that_does_not_read(run: Run) -> None:
    sent = bytes(16 * 1024 * 1024)

    async def main() -> None:
        reads, received = asyncio.Event(), asyncio.get_running_loop().create_future()

        async def read_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reads.wait()
            received.set_result(len(await reader.read()))
            writer.close()

        server, port = await served(read_late)
        _reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(sent)
        draining = asyncio.ensure_future(writer.drain())
        await asyncio.sleep(0.2)
        assert not draining.done()
        reads.set()
        await draining
        writer.write_eof()
        assert await received == len(sent)
        writer.close()
        server.close()

    run(main())


def test_a_name_that_is_no_host_of_the_world_is_not_found() -> None:
    async def main() -> None:
        with pytest.raises(socket.gaierror, match="no host of this world"):
            await asyncio.open_connection("example.com", 80)

    run_simulated(main())


def test_data_that_trickle_are_no_earlier_than_the_latency_of_their_way() -> None:
    """Two kinds of bad weather at once: the slower one counts."""
    with surroundings(Draws(1)) as around:

        async def main() -> None:
            arrived = asyncio.Event()

            async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readexactly(1)
                arrived.set()
                await closed(writer)

            server, port = await served(receive)
            _, writer = await asyncio.open_connection(HOST, port)
            link = around.network.link("test", "test")
            link.delay, link.trickle = 8.0, 100
            before = asyncio.get_running_loop().time()
            writer.write(b"x")
            await arrived.wait()
            assert asyncio.get_running_loop().time() - before >= 8
            await closed(writer)
            server.close()

        around.loop.run_until_complete(main())


def test_what_is_under_way_arrives_soon_after_the_end_of_a_trickle_in_its_order() -> None:
    sent = bytes(range(250)) * 4
    with surroundings(Draws(1)) as around:

        async def main() -> None:
            loop = asyncio.get_running_loop()
            received: asyncio.Future[bytes] = loop.create_future()

            async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                received.set_result(await reader.readexactly(len(sent)))
                assert await reader.read() == b""  # the end comes after the data
                await closed(writer)

            server, port = await served(receive)
            _, writer = await asyncio.open_connection(HOST, port)
            around.network.trickle("test", "test", 20)
            writer.write(sent)
            writer.write_eof()
            await asyncio.sleep(5)
            assert not received.done()
            around.network.trickle("test", "test", 0)
            before = loop.time()
            assert await received == sent
            assert loop.time() - before < 1
            await closed(writer)
            server.close()

        around.loop.run_until_complete(main())
