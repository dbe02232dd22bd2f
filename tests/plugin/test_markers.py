"""Options of the fixtures: stacked markers, identities, and clocks that a fixture cannot have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.support import Run


def test_stacked_markers_add_up_and_for_each_option_the_nearest_wins(run: Run) -> None:
    test = """
import pytest

pytestmark = pytest.mark.codeq(profile="redis", now="2026-01-31T12:00:00Z")

@pytest.mark.codeq(settings={"MAX_ATTEMPTS_DEFAULT": "7"})
@pytest.mark.codeq(now="2026-02-01T12:00:00Z")
class TestIt:
    @pytest.mark.codeq(seed=1)
    @pytest.mark.codeq(profile="kvrocks-2.9")
    def test_it(self, codeq):
        assert codeq.state()["profile"] == "kvrocks-2.9"
        assert codeq.now == "2026-02-01T12:00:00Z"
        assert codeq.enqueue("A").max_attempts == 7

def test_module(codeq):
    assert codeq.state()["profile"] == "redis"
"""
    printed, code = run(test)
    assert code == 0, printed


def test_the_marker_of_a_parameter_is_nearer_than_that_of_its_function(run: Run) -> None:
    test = """
import pytest

@pytest.mark.codeq(profile="redis", now="2026-01-31T12:00:00Z")
@pytest.mark.parametrize(
    "profile", ["redis", pytest.param("kvrocks-2.9", marks=pytest.mark.codeq(profile="kvrocks-2.9"))]
)
def test_it(codeq, profile):
    assert (codeq.state()["profile"], codeq.now) == (profile, "2026-01-31T12:00:00Z")
"""
    printed, code = run(test)
    assert code == 0, printed


IDENTITIES = """
import pytest

pytestmark = pytest.mark.codeq(identities={
    "billing": {"kind": "producer", "claims": {"sub": "billing", "tenantId": "acme"}},
    "w": {"kind": "worker", "claims": {
        "sub": "w", "tenantId": "acme", "eventTypes": ["*"],
        "scope": "codeq:claim codeq:heartbeat codeq:result codeq:nack codeq:abandon codeq:subscribe"}},
    "boss": {"kind": "producer", "claims": {"sub": "boss", "tenantId": "acme", "role": "ADMIN"}},
})
"""


def test_clients_and_enqueue_use_the_identities_of_a_marker(run: Run) -> None:
    test = f"""{IDENTITIES}
def test_blocking(codeq):
    assert codeq.enqueue("A", 1).tenant == "acme"
    with codeq.client() as http:
        assert http.post("/v1/codeq/tasks", json={{"command": "A", "payload": 2}}).status_code == 202
        claimed = http.post("/v1/codeq/tasks/claim", json={{"commands": ["A"]}}).json()
        done = {{"status": "COMPLETED", "result": {{}}}}
        assert http.post(f"/v1/codeq/tasks/{{claimed['id']}}/result", json=done).status_code == 200
        assert http.get(f"/v1/codeq/tasks/{{claimed['id']}}").status_code == 200
        assert http.get("/v1/codeq/admin/queues").status_code == 200
        assert http.get("/v1/codeq/admin/queues", headers={{"authorization": "Bearer billing"}}).status_code == 401
        assert http.get("/_fake/queues").status_code == 200
    assert [request["as"] for request in codeq.requests][:3] == ["billing", "w", "w"]

@pytest.mark.asyncio
async def test_async(codeq):
    await codeq.aenqueue("A", 1)
    async with codeq.async_client() as http:
        assert (await http.post("/v1/codeq/tasks/claim", json={{"commands": ["A"]}})).json()["payload"] == "1"

@pytest.mark.codeq(identities={{"w": {{"kind": "worker", "claims": {{"sub": "w", "eventTypes": ["*"]}}}}}})
def test_without_a_producer(codeq):
    assert codeq.enqueue("A", 1).tenant == "dev"
"""
    printed, code = run(test)
    assert code == 0, printed


@pytest.mark.port
def test_a_test_on_the_auto_clock_can_use_a_server(run: Run) -> None:
    test = """
import asyncio
import pytest

@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto")
async def test_it(codeq, codeq_server):
    began = codeq.time()
    await asyncio.sleep(3600)
    assert codeq.time() == began + 3600
    assert "(real)" in repr(codeq_server)
"""
    printed, code = run(test)
    assert code == 0, printed


def test_unittest_runs_on_the_auto_clock(run: Run) -> None:
    test = """
import asyncio
import unittest
import pytest

@pytest.mark.codeq(clock="auto")
class TestIt(unittest.IsolatedAsyncioTestCase):
    @pytest.fixture(autouse=True)
    def fake(self, codeq):
        self.codeq = codeq

    async def asyncSetUp(self):
        self.began = self.codeq.time()
        await asyncio.sleep(3600)

    async def test_it(self):
        await asyncio.sleep(3600)
        assert self.codeq.time() == self.began + 7200

class TestPlain(unittest.IsolatedAsyncioTestCase):
    async def test_it(self):
        assert type(asyncio.get_running_loop()).__name__ != "VirtualTimeLoop"
"""
    printed, code = run(test)
    assert code == 0, printed


def test_fault_rules_without_with_are_reported(run: Run) -> None:
    test = """
from codeq_fake import faults

def test_it(codeq):
    codeq.faults(faults.refuse(on="create"))
"""
    printed, code = run(test)
    assert code == 1
    assert "the fault rules refuse on=create were never active: write `with codeq.faults(...):`" in printed


#: Calls with an argument of the wrong kind, and what the error says.
WRONG_KINDS = {
    "next(delays=[1.5])": "a delay a whole number of seconds",
    "next(ids='abc')": "ids: found 'abc', a list of texts belongs here",
    "faults([faults.reset()])": "where a rule belongs; give several rules as several arguments",
    "faults(faults.refuse(headers={'Retry-After': 5}))": "headers: 'Retry-After': 5 is not a header",
    "complete('any', [1])": "result: found [1], an object belongs here",
    "__init__(journal_size='5')": "journal_size: found '5', it is a whole number",
    "__init__(journal_bytes=-1)": "journal_bytes: found -1, it is not negative",
    "__init__(control_token=5)": "control_token: found 5, a text belongs here",
    "__init__(webhooks=[print])": "webhooks: found [<built-in function print>], a mapping of origins",
    "__init__(webhooks={'http://a.test': 5})": "webhooks: found 5 for http://a.test, an ASGI or WSGI application",
    "next(ids=[5])": "an id is a text",
    "enqueue('A', priority=1.5)": "priority: found 1.5, it is a whole number",
    "enqueue('A', max_attempts='3')": "max_attempts: found '3', it is a whole number",
    "faults(faults.refuse(retry_after=0.5))": "retry_after: found 0.5, it is a whole number",
    "faults(faults.reset(probability='1'))": "probability: found '1', it is a number",
    "faults(faults.reset(times=1.5))": "times: found 1.5, it is a whole number",
}


@pytest.mark.slow
def test_an_argument_of_the_wrong_kind_is_an_error_at_once(run: Run) -> None:
    # In one run, because a run for each would take ten times as long.
    calls = (f"def test_it_{n}(codeq):\n    codeq.{call}\n" for n, call in enumerate(WRONG_KINDS))
    printed, code = run("from codeq_fake import faults\n" + "\n".join(calls))
    assert code == 1
    failures = re.split(r"^_+ test_it_\d+ _+$", printed.partition("short test summary")[0], flags=re.MULTILINE)[1:]
    for (call, text), failure in zip(WRONG_KINDS.items(), failures, strict=True):
        assert text in failure, call
    assert "INTERNALERROR" not in printed


def test_a_report_that_cannot_be_written_does_not_end_the_run(run: Run) -> None:
    test = """
import pytest
from codeq_fake.testing import FakeCodeQ

class Broken(FakeCodeQ):
    def timeline(self):
        raise ZeroDivisionError

@pytest.fixture(autouse=True)
def broken(codeq):
    codeq.__class__ = Broken

def test_it(codeq):
    assert False

def test_other(codeq):
    pass
"""
    printed, code = run(test)
    assert code == 1
    assert "what happened cannot be shown" in printed
    assert "1 failed, 1 passed" in printed
