"""The fixtures beside other plugins that people use: those that keep out the network, freeze the time, or fork."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.support import Run

POLL = '{"commands": ["A"], "waitSeconds": 1}'

WITHOUT_NETWORK = f"""
import asyncio
import pytest
import unittest
from codeq_fake.testing import run
from pytest_socket import SocketBlockedError

def test_blocking(codeq):
    task = codeq.enqueue("A")
    with codeq.client() as http:
        assert http.post("/v1/codeq/tasks/claim", json={POLL}).json()["id"] == task.id
    codeq.advance(1)

@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto")
async def test_on_virtual_time(codeq):
    async with codeq.async_client() as http:
        assert (await http.post("/v1/codeq/tasks/claim", json={POLL})).status_code == 204

@pytest.mark.asyncio
async def test_on_the_loop_of_pytest_asyncio(codeq):
    async with codeq.async_client() as http:
        assert (await http.get("/metrics")).status_code == 200

@pytest.mark.anyio
async def test_on_the_loop_of_anyio(codeq_client):
    await codeq_client.create("A", 1)

class TestOnTheLoopOfUnittest(unittest.IsolatedAsyncioTestCase):
    @pytest.fixture(autouse=True)
    def fake(self, codeq):
        self.codeq = codeq

    async def test_unittest(self):
        async with self.codeq.async_client() as http:
            assert (await http.get("/metrics")).status_code == 200

def test_a_virtual_loop():
    run(asyncio.sleep(3600))

@pytest.mark.codeq(webhook_allow=["app.test"])
def test_a_callback_has_no_network(codeq):
    task = codeq.enqueue("A", webhook="http://127.0.0.1:1/done")
    with codeq.client() as http:
        http.post("/v1/codeq/tasks/claim", json={POLL})
        http.post(f"/v1/codeq/tasks/{{task.id}}/result", json={{"status": "COMPLETED", "result": {{}}}})
    codeq.advance(0)
    assert "socket" in codeq.callbacks[0]["tries"][0]["error"]

def test_a_port_cannot_be_had(codeq):
    with pytest.raises(SocketBlockedError), codeq.serve():
        pass
"""


@pytest.mark.slow
def test_no_network_is_needed(run: Run) -> None:
    printed, code = run(
        WITHOUT_NETWORK, "timeout = 10\n", "--disable-socket", "-W", "ignore:A test tried to use socket"
    )
    assert code == 0, printed


FREEZERS = {
    "freezegun": "import freezegun\nfrozen = freezegun.freeze_time('2030-01-01')",
    "time-machine": "import time_machine\nfrozen = time_machine.travel('2030-01-01T00:00Z', tick=False)",
}


@pytest.mark.slow
@pytest.mark.parametrize("freezer", FREEZERS)
def test_a_real_clock_runs_while_the_time_is_frozen(freezer: str, run: Run) -> None:
    test = f"""
import httpx
import pytest
import time
{FREEZERS[freezer]}

@pytest.mark.codeq(clock="real")
def test_a_long_poll_ends(codeq):
    with frozen, codeq.client() as http:
        assert http.post("/v1/codeq/tasks/claim", json={POLL}).status_code == 204

@pytest.mark.codeq(clock="real")
@pytest.mark.asyncio
async def test_a_long_poll_ends_in_the_loop_of_a_test(codeq):
    with frozen:
        async with codeq.async_client() as http:
            assert (await http.post("/v1/codeq/tasks/claim", json={POLL})).status_code == 204

def test_a_client_times_out(codeq):
    with frozen, codeq.client(timeout=0.05) as http, pytest.raises(httpx.ReadTimeout):
        http.post("/v1/codeq/tasks/claim", json={POLL})

@pytest.mark.codeq(clock="real")
def test_a_fake_begins_at_the_frozen_time():
    from codeq_fake.testing import FakeCodeQ
    with frozen, FakeCodeQ(clock="real") as codeq:
        assert codeq.now.startswith("2030-01-01T00:00:00")
        codeq.advance(3600)
        assert codeq.now.startswith("2030-01-01T01:00:00")
"""
    printed, code = run(test, "timeout = 10\n")
    assert code == 0, printed


@pytest.mark.process
def test_a_fork_says_at_once_that_it_has_only_a_copy(run: Run) -> None:
    test = """
import os
import pytest
import signal

def in_a_fork(check):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)  # a call that hangs ends the child, which nothing else would
        try:
            check()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_fork(codeq):
    http = codeq.client()
    http.get("/metrics")
    task = codeq.enqueue("A")

    def check():
        for call in (lambda: http.get("/metrics"), lambda: codeq.client().get("/metrics"), codeq.tasks,
                     lambda: codeq.advance(1), lambda: codeq.enqueue("A")):
            with pytest.raises(RuntimeError, match="is a fork of it"):
                call()
        assert codeq.tokens["worker"] == "dev-token"
        codeq.close()

    assert in_a_fork(check) == 0
    http.close()

@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_calls_the_port(codeq_server):
    import httpx
    url = codeq_server.url
    assert in_a_fork(lambda: httpx.get(url + "/metrics").raise_for_status()) == 0

def test_a_fake_of_the_fork_works():
    from codeq_fake.testing import FakeCodeQ
    assert in_a_fork(lambda: FakeCodeQ().client().get("/metrics").raise_for_status()) == 0
"""
    printed, code = run(test, "timeout = 10\n")
    assert code == 0, printed
