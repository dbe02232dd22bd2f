"""Tests on the auto clock: how they get a loop whose time jumps, and what the error says where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.support import Run

STORY = """
import asyncio
import pytest

def loop():
    return type(asyncio.get_running_loop()).__name__

async def story(codeq):
    began = codeq.time()
    await asyncio.sleep(36_000)
    assert codeq.time() == began + 36_000
"""


def test_it_works_with_asyncio(run: Run) -> None:
    test = f"""{STORY}
import pytest_asyncio
from hypothesis import HealthCheck, given, settings, strategies as st

@pytest_asyncio.fixture
async def an_hour_later(codeq):
    await asyncio.sleep(3600)
    yield codeq.time()
    await asyncio.sleep(3600)

@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto", now="2026-01-31T12:00:00Z")
async def test_marked(codeq, an_hour_later):
    assert codeq.time() == an_hour_later
    await story(codeq)

@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.codeq(clock="auto", now="2026-01-31T12:00:00Z")
@pytest.mark.parametrize("number", [1, 2])
async def test_in_one_loop(codeq, number):
    assert codeq.now == "2026-01-31T12:00:00Z"
    await story(codeq)

@pytest.mark.asyncio(loop_scope="module")
async def test_plain_in_a_loop_of_that_scope(codeq):
    assert loop() != "VirtualTimeLoop"

@pytest.mark.asyncio
async def test_plain(codeq):
    assert loop() != "VirtualTimeLoop"

@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto")
@settings(max_examples=3, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers())
async def test_with_examples(codeq, number):
    await story(codeq)

@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto")
async def test_without_the_fixture():
    assert loop() == "VirtualTimeLoop"
"""
    printed, code = run(test, "", "-v")
    assert code == 0, printed
    assert "test_example.py::test_marked PASSED" in printed


def test_it_works_with_asyncio_in_auto_mode_by_the_ini_file(run: Run) -> None:
    test = f"""{STORY}
async def test_by_ini(codeq):
    await story(codeq)

@pytest.mark.codeq(clock="real")
async def test_marker_goes_first(codeq):
    assert loop() != "VirtualTimeLoop"

async def test_without_a_fake():
    assert loop() != "VirtualTimeLoop"
"""
    printed, code = run(test, "codeq_clock = auto\nasyncio_mode = auto\n")
    assert code == 0, printed


def test_the_ini_file_gives_blocking_tests_a_manual_clock(run: Run) -> None:
    test = f"""{STORY}
def test_blocking(codeq):
    codeq.advance(60)
    assert "(manual)" in repr(codeq)

async def test_coroutine(codeq):
    await story(codeq)

async def test_by_the_client_only(codeq_client):
    assert loop() == "VirtualTimeLoop"
    assert await codeq_client.claim(["A"], wait=30) is None

@pytest.mark.codeq(clock="auto")
def test_marked(codeq):
    pass
"""
    printed, code = run(test, "codeq_clock = auto\nasyncio_mode = auto\n")
    assert code == 1
    assert 'clock="auto" is for async tests' in printed
    assert "3 passed, 1 error" in printed


def test_it_works_with_anyio(run: Run) -> None:
    test = f"""{STORY}
pytestmark = pytest.mark.anyio

@pytest.mark.codeq(clock="auto")
async def test_marked(codeq):
    await story(codeq)

async def test_plain(codeq, anyio_backend_name):
    assert anyio_backend_name == "trio" or loop() != "VirtualTimeLoop"

class TestWithAFixtureOfTheClass:
    @pytest.fixture(scope="class")
    async def shared(self, anyio_backend):
        yield "shared"

    @pytest.mark.codeq(clock="auto")
    async def test_marked(self, codeq, shared):
        await story(codeq)

class TestWhereTheBackendIsAFixture:
    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    @pytest.fixture
    async def an_hour_later(self, codeq):
        await asyncio.sleep(3600)
        return codeq.time()

    @pytest.mark.codeq(clock="auto")
    async def test_marked(self, codeq, an_hour_later):
        assert codeq.time() == an_hour_later
        await story(codeq)
"""
    printed, code = run(test, "", "-v")
    assert code == 0, printed
    assert "test_example.py::test_marked[asyncio] PASSED" in printed


def test_it_says_where_it_cannot_work(run: Run) -> None:
    test = f"""{STORY}
@pytest.mark.codeq(clock="auto")
def test_sync(codeq):
    pass

@pytest.mark.codeq(clock="auto")
def test_on_a_port(codeq_server):
    pass

@pytest.mark.anyio
@pytest.mark.codeq(clock="auto")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_backend_of_its_own(codeq):
    await story(codeq)

@pytest.mark.asyncio
@pytest.mark.parametrize("number", [pytest.param(1, marks=pytest.mark.codeq(clock="auto"))])
async def test_known_only_with_its_parameter(codeq, number):
    await story(codeq)

@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto")
@pytest.mark.parametrize("clock", ["auto", pytest.param("manual", marks=pytest.mark.codeq(clock="manual"))])
async def test_a_parameter_has_another_clock(codeq, clock):
    assert f"({{clock}})" in repr(codeq)

class TestTooLate:
    @pytest.fixture
    def codeq_options(self):
        return {{"clock": "auto"}}

    @pytest.mark.asyncio
    async def test_known_only_when_it_runs(self, codeq):
        await story(codeq)
"""
    printed, code = run(test)
    assert code == 1
    assert printed.count('clock="auto" is for async tests, where') == 2
    assert printed.count('clock="auto" needs a virtual-time event loop, and _UnixSelectorEventLoop runs here') == 3
    assert printed.count("in the marks of a pytest.param and in codeq_options it comes too late") == 3
    assert "3 failed, 2 passed, 2 errors" in printed


@pytest.mark.slow
def test_the_bundled_client_works_on_every_clock(run: Run) -> None:
    test = """
import asyncio
import pytest
from codeq_client import Worker

async def work(codeq, codeq_client, sleep):
    worker = Worker(codeq_client, lease=60)

    @worker.handler("RENDER")
    async def render(job):
        await sleep(3 * job.payload)
        return {"seconds": 3 * job.payload}

    return worker, await codeq_client.create("RENDER", 100)

@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto")
async def test_auto(codeq, codeq_client):
    worker, task = await work(codeq, codeq_client, asyncio.sleep)
    await worker.run(burst=True, signals=False)
    codeq.assert_completed(task.id, {"seconds": 300})

@pytest.mark.asyncio
async def test_manual(codeq, codeq_client):
    worker, task = await work(codeq, codeq_client, codeq.sleep)
    running = asyncio.create_task(worker.run(signals=False))
    await codeq.aadvance(301)
    codeq.assert_completed(task.id, {"seconds": 300})
    worker.stop()
    await codeq.await_until(running.done)

@pytest.mark.asyncio
@pytest.mark.codeq(clock="real")
async def test_real(codeq, codeq_client):
    worker, task = await work(codeq, codeq_client, lambda _: asyncio.sleep(0))
    await worker.run(burst=True, signals=False)
    codeq.assert_completed(task.id)

@pytest.mark.asyncio
@pytest.mark.codeq(identities={
    "billing": {"kind": "producer", "claims": {"sub": "billing", "tenantId": "acme"}},
    "w": {"kind": "worker", "claims": {"sub": "w", "tenantId": "acme", "eventTypes": ["*"], "scope": "codeq:claim"}},
})
async def test_with_identities(codeq, codeq_client):
    await codeq_client.create("RENDER", 1)
    assert (await codeq_client.claim(["RENDER"])).tenant_id == "acme"
"""
    printed, code = run(test)
    assert code == 0, printed
