"""What a program in a world gets of the machine: clocks, chance, threads, signals, and what is refused."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise

import anyio
import anyio.to_thread
import pytest

from codeq_fake.simulation import Host, World, escapes
from codeq_fake.simulation.escapes import SENTRY, EscapedError
from codeq_fake.simulation.loop import SimulatedLoop
from codeq_fake.simulation.runs import run_once
from tests.simulation.support import COMMAND, codeq_worker, run

Facts = list[object]


def facts_of(program: Callable[[Host, Facts], Awaitable[None]], seed: int = 1, *, seconds: float = 100) -> Facts:
    """What a program notes that runs alone on one host."""
    facts: Facts = []

    async def test(world: World) -> None:
        facts.clear()  # a run that loads modules is done again

        async def on_host(host: Host) -> None:
            await program(host, facts)

        world.process("alone", restart=False)(on_host)
        await asyncio.sleep(seconds)

    outcome = run_once(test, seed)
    for lost in outcome.scene.evidence.errors:
        raise lost.error
    return facts


async def sleep_and_read_clocks(_: Host, facts: Facts) -> None:
    def clocks() -> list[float]:
        return [time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), datetime.now(UTC).timestamp()]

    before = clocks()
    await asyncio.sleep(10)
    facts += [round(after - earlier, 6) for earlier, after in zip(before, clocks(), strict=True)]
    facts.append(datetime.now(UTC).year)


def test_all_clocks_show_virtual_time() -> None:
    assert facts_of(sleep_and_read_clocks) == [10, 10, 10, 10, 2024]


def test_a_wall_clock_can_be_wrong_on_one_host() -> None:
    seen: dict[str, float] = {}

    async def read(host: Host) -> None:
        await asyncio.sleep(5)
        seen[host.name] = time.time()

    async def test(world: World) -> None:
        world.process("clock", count=2)(read)
        world.hosts["clock-2"].skew(-30)
        await asyncio.sleep(6)

    run(test)
    assert round(seen["clock-1"] - seen["clock-2"]) == 30


async def draw(_: Host, facts: Facts) -> None:
    facts += [random.random(), random.Random().random(), uuid.uuid1(), uuid.uuid4(), os.urandom(8), secrets.token_hex()]


def test_chance_is_the_same_for_one_seed() -> None:
    assert facts_of(draw) == facts_of(draw)
    assert not set(facts_of(draw)) & set(facts_of(draw, seed=2))


def test_what_one_host_draws_moves_nothing_on_another() -> None:
    def drawn_beside(draws: int) -> Facts:
        facts: Facts = []

        async def test(world: World) -> None:
            facts.clear()

            @world.process("neighbour")
            async def _neighbour(_host: Host) -> None:
                for _ in range(draws):
                    random.random()
                    uuid.uuid4()
                await asyncio.sleep(100)

            @world.process("alone")
            async def _alone(host: Host) -> None:
                await asyncio.sleep(1)
                await draw(host, facts)
                await asyncio.sleep(100)

            await asyncio.sleep(10)

        run(test)
        return facts

    assert drawn_beside(0) == drawn_beside(3) != []


async def spin(_: Host, facts: Facts) -> None:
    while not facts:
        with suppress(Exception):
            sum(range(1000))


@pytest.mark.slow
def test_a_program_that_never_awaits_ends_the_run_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeq_fake.simulation.watchdog._INTERVAL", 0.02)
    facts: Facts = []

    async def test(world: World) -> None:
        @world.process("stuck")
        async def _stuck(host: Host) -> None:
            await asyncio.sleep(12)
            await spin(host, facts)

        await asyncio.sleep(100)

    outcome = run_once(test, 7)
    assert outcome.failed
    assert "stuck runs without an await since 12.0 s, for 0.2 s of CPU time:" in str(outcome.error)
    assert "in spin" in str(outcome.error)
    assert outcome.violations == []


async def block_the_loop(_: Host, facts: Facts) -> None:
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(asyncio.get_running_loop().time())
            await asyncio.sleep(1)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(2.5)
    time.sleep(20)  # noqa: ASYNC251 - this is what the test is about
    await asyncio.sleep(2.5)
    ticking.cancel()
    facts.append(max(later - earlier for earlier, later in pairwise(ticks)) > 19)


def test_a_program_that_blocks_its_event_loop_stands_still() -> None:
    assert facts_of(block_the_loop) == [True]


async def sleep_on_threads(_: Host, facts: Facts) -> None:
    loop = asyncio.get_running_loop()
    for call in (asyncio.to_thread, anyio.to_thread.run_sync):
        began = loop.time()
        other = asyncio.create_task(asyncio.sleep(1, loop.time))
        await call(time.sleep, 20)
        facts += [round(loop.time() - began), other.done()]


def test_a_call_on_a_thread_takes_as_long_as_it_sleeps_and_lets_others_run() -> None:
    assert facts_of(sleep_on_threads) == [20, True, 20, True]


async def handle_sigterm(host: Host, facts: Facts) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    host.stop()
    await stopped.wait()
    facts.append("stopped")


async def handle_sigterm_plainly(host: Host, facts: Facts) -> None:
    previous = signal.signal(signal.SIGTERM, lambda number, _: facts.append(number))
    facts.append(previous)
    host.stop()
    await asyncio.sleep(1)


def test_signals_reach_the_handlers_of_the_process() -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert facts_of(handle_sigterm) == ["stopped"]
    assert facts_of(handle_sigterm_plainly) == [signal.SIG_DFL, signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def start_thread() -> None:
    threading.Thread(target=int).start()


def start_process() -> None:
    subprocess.run(["true"], check=True)


def look_up() -> None:
    socket.create_connection(("127.0.0.1", 9))


def connect() -> None:
    with socket.socket() as real:
        real.connect(("127.0.0.1", 9))


async def cancel_what_is_shielded(_: Host, facts: Facts) -> None:
    async def finish() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(20)

    began = asyncio.get_running_loop().time()
    async with anyio.create_task_group() as group:
        group.start_soon(finish)
        await anyio.sleep(1)
        group.cancel_scope.cancel()
    facts.append(round(asyncio.get_running_loop().time() - began))


def test_time_passes_while_a_library_spins_until_a_task_has_ended() -> None:
    assert facts_of(cancel_what_is_shielded) == [20]


async def connect_by_tls(host: Host, _: Facts) -> None:
    await asyncio.open_connection("codeq", 8080, ssl=True, server_hostname=host.name)


def test_tls_is_refused_with_the_remedy() -> None:
    with pytest.raises(EscapedError, match=r"TLS is outside .* use http://"):
        facts_of(connect_by_tls)


@pytest.mark.parametrize(
    ("escape", "names"),
    [
        pytest.param(start_thread, "a thread is outside .* asyncio.to_thread", id="thread"),
        pytest.param(
            start_process, "a subprocess is outside .* world.process", id="process", marks=pytest.mark.process
        ),
        pytest.param(os.forkpty, "a subprocess is outside .* world.process", id="terminal", marks=pytest.mark.process),
        pytest.param(look_up, "a look-up of a real host .* async HTTP client", id="name"),
        pytest.param(connect, "a real socket is outside .* async HTTP client", id="socket", marks=pytest.mark.port),
    ],
)
def test_what_leaves_the_world_is_refused_with_the_remedy(escape: Callable[[], object], names: str) -> None:
    async def program(_: Host, __: Facts) -> None:
        escape()

    with pytest.raises(EscapedError, match=names):
        facts_of(program)


def test_at_the_exit_of_python_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    SENTRY.stand_guard()
    SENTRY.stand_down()
    for name in ("_ESCAPES", "get_ident", "_is_importing"):
        monkeypatch.setattr(escapes, name, None)  # as Python does while events still come
    sys.audit("socket.gethostbyname")


def test_everything_is_as_before_after_a_run() -> None:
    before = (time.time, time.sleep, datetime, os.urandom, random.getstate())
    facts_of(draw)
    assert (time.time, time.sleep, datetime, os.urandom, random.getstate()) == before
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


@pytest.mark.slow
def test_a_worker_that_holds_a_lease_sleeps_until_it_is_due() -> None:
    """Outside it looks each second, since a machine may be suspended. One of a world never is."""
    timers: list[int] = []

    async def test(world: World) -> None:
        timers.clear()
        world.process("worker")(codeq_worker)
        await world.enqueue(COMMAND, {}, max_attempts=50)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        await asyncio.sleep(2)
        for _ in range(2):
            timers.append(loop.timers_set)
            await asyncio.sleep(15)

    run(test)
    ticks_of_the_server, others = 15, 30
    assert timers[1] - timers[0] < ticks_of_the_server + others  # and 15 more if it looks each second
