"""What an application that receives callbacks in process or a hook of a worker raises: it fails the test, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.support import Run

COMPLETE = """
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def done(request):
    assert (await request.json())["status"] == "FAILED", "the receiver's check"
    return Response(status_code=204)

async def refuse(scope, receive, send):
    pytest.fail("must not be called")

app = Starlette(routes=[Route("/done", done, methods=["POST"])])
receiving = pytest.mark.codeq(webhooks={"http://app.test": app})

def complete(codeq):
    task = codeq.enqueue("A", 1, webhook="http://app.test/done")
    with codeq.client() as http:
        http.post("/v1/codeq/tasks/claim", json={"commands": ["A"]})
        http.post(f"/v1/codeq/tasks/{task.id}/result", json={"status": "COMPLETED", "result": {}})
    codeq.advance(60)
"""


USES = {
    "the fixture": """
@receiving
def test_it(codeq):
    complete(codeq)
""",
    "a coroutine": """
@receiving
@pytest.mark.asyncio
async def test_it(codeq):
    import asyncio
    await asyncio.to_thread(complete, codeq)
""",
    "no fixture": """
def test_it():
    from codeq_fake.testing import FakeCodeQ
    with FakeCodeQ(webhooks={"http://app.test": app}) as codeq:
        complete(codeq)
""",
    "unittest": """
import unittest

class TestIt(unittest.TestCase):
    def test_it(self):
        from codeq_fake.testing import FakeCodeQ
        codeq = FakeCodeQ(webhooks={"http://app.test": app})
        self.addCleanup(codeq.close)
        complete(codeq)
""",
    "a test that fails anyway": """
@receiving
def test_it(codeq):
    complete(codeq)
    assert codeq.tasks() == []
""",
}


@pytest.mark.parametrize("use", USES)
def test_an_assertion_of_a_receiver_fails_the_test_once_with_its_traceback(use: str, run: Run) -> None:
    printed, code = run(COMPLETE + USES[use], "", "-p", "no:logging")
    assert code == 1
    assert "1 failed in" in printed
    assert printed.count('assert (await request.json())["status"] == "FAILED"') == 1
    assert "4 AssertionError" in printed or "4 more errors" in printed


def test_an_error_that_the_test_expects_does_not_fail_it(run: Run) -> None:
    test = f"""{COMPLETE}
@receiving
def test_expected(codeq):
    with codeq.expect_receiver_error(AssertionError, match="receiver's check"):
        complete(codeq)
    assert codeq.receiver_errors == []

@receiving
def test_forgotten(codeq):
    complete(codeq)
    assert len(codeq.receiver_errors) == 5
    codeq.receiver_errors.clear()

@receiving
@pytest.mark.xfail(raises=AssertionError, strict=True)
def test_xfail(codeq):
    complete(codeq)

@receiving
def test_nothing_of_that_kind(codeq):
    with pytest.raises(AssertionError, match="no mounted application and no hook raised a KeyError"):
        with codeq.expect_receiver_error(KeyError):
            complete(codeq)
    codeq.receiver_errors.clear()
"""
    printed, code = run(test)
    assert code == 0, printed
    assert "3 passed, 1 xfailed" in printed


def test_a_receiver_can_call_pytest_fail(run: Run) -> None:
    test = f"""{COMPLETE}
@pytest.mark.codeq(webhooks={{"http://app.test": refuse}})
def test_failed(codeq):
    complete(codeq)
    assert codeq.callbacks[0]["tries"][0]["status"] == 500
"""
    printed, code = run(test)
    assert code == 1
    assert "Failed: must not be called" in printed
    assert "1 failed in" in printed


HOOK = """
import asyncio
import pytest
from codeq_client import TaskEnded, Worker

def check(event):
    if isinstance(event, TaskEnded):
        assert event.task.id == "other", "the hook's check"

async def work(client):
    worker = Worker(client, hooks=[check])

    @worker.handler("A")
    async def handle(job):
        return {}

    await client.create("A", 1)
    await worker.run(burst=True, signals=False)

@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto")
async def test_raised(codeq, codeq_client):
    await work(codeq_client)

@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto")
async def test_expected(codeq, codeq_client):
    with codeq.expect_receiver_error(AssertionError, match="hook's check"):
        await work(codeq_client)
"""


def test_an_error_of_a_hook_of_the_bundled_worker_fails_the_test_once_unless_it_is_expected(run: Run) -> None:
    printed, code = run(HOOK)
    assert code == 1
    assert "1 failed, 1 passed in" in printed
    assert "::test_raised - AssertionError: the hook's check" in printed
    assert printed.count('assert event.task.id == "other", "the hook\'s check"') == 1
