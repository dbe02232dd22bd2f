"""What can happen to a host, as its peers see it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from itertools import pairwise

import pytest

from codeq_fake.simulation import Host, World
from codeq_fake.simulation.network import GIVES_UP
from codeq_fake.simulation.runs import run_once
from tests.simulation.support import run

PORT = 7000


class Peers:
    """A host that sends a tick each second, and another one that notes what it receives, and how it ends."""

    def __init__(self, world: World) -> None:
        self.received: list[float] = []
        self.end: object = None
        world.process("sender")(self._send)
        world.process("receiver", restart=False)(self._receive)
        self.sender = world.hosts["sender"]
        self._world = world

    async def _send(self, _: Host) -> None:
        await asyncio.start_server(self._tick, port=PORT)
        await asyncio.get_running_loop().create_future()

    async def _tick(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b".")
            await asyncio.sleep(1)

    async def _receive(self, _: Host) -> None:
        await asyncio.sleep(1)
        reader, _writer = await asyncio.open_connection("sender", PORT)
        try:
            while tick := await reader.read(1):
                self.received.append(self._world.now())
                assert tick == b"."
            self.end = "end"
        except ConnectionResetError:
            self.end = "reset"


def peers_after(happens: Callable[[Peers], None], *, seconds: float = 30) -> Peers:
    seen: list[Peers] = []

    async def test(world: World) -> None:
        peers = Peers(world)
        seen.append(peers)
        await asyncio.sleep(10.5)
        happens(peers)
        await asyncio.sleep(seconds)

    run(test)
    return seen[0]


@pytest.mark.slow
def test_peers_of_a_killed_process_see_a_reset_after_what_is_in_flight() -> None:
    peers = peers_after(lambda peers: peers.sender.kill())
    assert peers.end == "reset"
    assert len(peers.received) == 10


def test_peers_of_a_host_without_power_see_nothing() -> None:
    peers = peers_after(lambda peers: peers.sender.kill(power=True))
    assert peers.end is None
    assert len(peers.received) == 10


@pytest.mark.parametrize(
    ("back_after", "end", "seconds"), [(60, ConnectionResetError, 60), (None, TimeoutError, GIVES_UP)]
)
def test_who_sends_to_a_host_without_power_hears_of_it_when_tcp_does(
    back_after: float | None, end: type[OSError], seconds: float
) -> None:
    ends: list[tuple[type[OSError], float]] = []

    async def listen(_: Host) -> None:
        kept: list[object] = []  # a stream without references closes its connection
        await asyncio.start_server(lambda *streams: kept.append(streams), port=PORT)
        await asyncio.get_running_loop().create_future()

    async def test(world: World) -> None:
        async def send(_: Host) -> None:
            await asyncio.sleep(1)
            reader, writer = await asyncio.open_connection("listener", PORT)
            await asyncio.sleep(1)
            world.hosts["listener"].kill(power=True)
            if back_after is not None:
                world.at(world.now() + back_after, world.hosts["listener"].restart)
            began = world.now()
            writer.write(b"x")
            try:
                await reader.read()
            except OSError as error:
                ends.append((type(error), round(world.now() - began)))

        world.process("listener")(listen)
        world.process("sender", restart=False)(send)
        await asyncio.sleep(1000)

    run(test)
    assert ends[-1:] == [(end, round(seconds))]


def test_a_host_that_stands_still_goes_on_later() -> None:
    def pause(peers: Peers) -> None:
        peers.sender.pause()
        asyncio.get_running_loop().call_later(20, peers.sender.resume)

    received = peers_after(pause, seconds=25).received
    assert max(later - earlier for earlier, later in pairwise(received)) > 19
    assert received[-1] > 33


def test_a_process_is_another_one_after_a_restart() -> None:
    starts, finally_ran = [], []

    async def program(host: Host) -> None:
        starts.append(host.name)
        try:
            await asyncio.sleep(1000)
        finally:
            finally_ran.append(host.name)

    async def test(world: World) -> None:
        starts.clear()  # a run that loads modules is done again
        world.process("worker")(program)
        await asyncio.sleep(5)
        world.hosts["worker"].kill()
        world.hosts["worker"].restart()
        await asyncio.sleep(5)
        assert not finally_ran  # a killed process runs nothing
        world.hosts["worker"].stop()  # without a handler, SIGTERM kills
        assert not world.hosts["worker"].is_up

    run(test)
    assert starts == ["worker", "worker"]


@pytest.mark.parametrize("end", [lambda: sys.exit(3), lambda: None, lambda: 1 / 0], ids=["exit", "return", "error"])
def test_a_supervisor_starts_a_process_again_that_has_ended(end: Callable[[], object]) -> None:
    starts = []

    async def program(_: Host) -> None:
        starts.append(1)
        await asyncio.sleep(1)
        end()

    async def test(world: World) -> None:
        world.process("worker")(program)
        await asyncio.sleep(30)

    run(test)
    assert len(starts) > 2


def test_tasks_that_a_program_leaves_behind_are_cancelled_at_its_end() -> None:
    ended, left_behind = list[str](), list[asyncio.Task[None]]()

    async def forever() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("cancelled")

    async def program(_: Host) -> None:
        left_behind.append(asyncio.create_task(forever()))
        await asyncio.sleep(1)

    async def test(world: World) -> None:
        ended.clear()  # as above
        world.process("worker", restart=False)(program)
        await asyncio.sleep(2)
        assert ended == ["cancelled"]

    run(test)


def test_what_was_to_happen_to_a_host_does_not_after_the_run() -> None:
    ended = list[str]()

    async def program(_: Host) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(40)
            ended.append("by itself")

    async def test(world: World) -> None:
        world.process("worker", restart=False)(program)
        await asyncio.sleep(1)
        world.hosts["worker"].stop()  # and in 30 s a kill
        world.at(10, world.hosts["worker"].pause)
        await asyncio.sleep(1)

    run(test)
    assert ended[-1:] == ["by itself"]


def test_an_error_that_ends_a_program_fails_the_run() -> None:
    async def program(_: Host) -> None:
        await asyncio.sleep(3)
        raise KeyError("no such order")

    async def test(world: World) -> None:
        world.process("worker", restart=False)(program)
        await asyncio.sleep(10)

    outcome = run_once(test, 1)
    assert [(lost.host, round(lost.at)) for lost in outcome.scene.evidence.errors] == [("worker", 3)]
    assert "worker ended at 3.0 s with KeyError" in str(outcome.violations[0])
