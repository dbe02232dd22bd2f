"""What receivers in process, hooks of workers and callbacks of the event loop raise: it fails the test, once."""

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
    with pytest.raises(AssertionError, match="no mounted application, hook or callback raised a KeyError"):
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


IN_THE_BACKGROUND = """
import asyncio
import pytest
from codeq_client import CodeQ, Started, Worker

async def run_in_the_background(client, hook):
    worker = Worker(client, hooks=[hook])
    worker.handler("A")(print)
    nobody_awaits = asyncio.create_task(worker.run(signals=False))
    await asyncio.sleep(5)
    assert not nobody_awaits.done(), "the worker goes on"
    worker.stop()
    await asyncio.sleep(20)

def fail(event):
    if isinstance(event, Started):
        pytest.fail("the hook's check")

def skip(event):
    pytest.skip("the hook's reason")

pytestmark = [pytest.mark.codeq(clock="auto"), pytest.mark.asyncio]

async def test_fails(codeq_client):
    await run_in_the_background(codeq_client, fail)

async def test_is_skipped(codeq_client):
    await run_in_the_background(codeq_client, skip)

async def test_with_a_client_of_its_own(codeq):
    from codeq_client.testing import ServerClock
    client = CodeQ("http://codeq.test", worker_token="dev-token", transport=codeq.transport(),
                   clock=ServerClock(codeq.time, codeq.sleep))
    await run_in_the_background(client, fail)

async def test_with_a_client_of_its_own_on_wall_time(codeq):
    client = CodeQ("http://codeq.test", worker_token="dev-token", transport=codeq.transport)
    worker = Worker(client, hooks=[fail])
    worker.handler("A")(print)
    await worker.run(burst=True, signals=False)
"""


def test_what_a_hook_of_a_worker_in_the_background_raises_decides_about_the_test(run: Run) -> None:
    printed, code = run(IN_THE_BACKGROUND)
    assert code == 1
    assert "3 failed, 1 skipped in" in printed
    assert printed.count("Failed: the hook's check") >= 3


def test_an_error_of_a_callback_of_the_event_loop_fails_a_test_on_the_auto_clock(run: Run) -> None:
    test = """
import asyncio
import pytest

pytestmark = [pytest.mark.codeq(clock="auto"), pytest.mark.asyncio]

def check():
    assert False, "the callback's check"

async def test_raised(codeq):
    asyncio.get_running_loop().call_later(3600, check)
    await asyncio.sleep(3601)

async def test_failed(codeq):
    asyncio.get_running_loop().call_soon(pytest.fail, "by the callback")
    await asyncio.sleep(0)

async def test_expected(codeq):
    with codeq.expect_receiver_error(AssertionError, match="callback's check"):
        asyncio.get_running_loop().call_later(3600, check)
        await asyncio.sleep(3601)

async def test_a_handler_of_its_own(codeq):
    seen = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(context["exception"]))
    asyncio.get_running_loop().call_soon(check)
    await asyncio.sleep(0)
    assert len(seen) == 1
"""
    printed, code = run(test)
    assert code == 1
    assert "2 failed, 2 passed in" in printed
    assert "::test_raised - AssertionError: the callback's check" in printed
    assert "::test_failed - Failed: by the callback" in printed


RECEIVERS = """
import asyncio
import pytest
from codeq_client.webhooks import WebhookReceiver

def check(*_):
    assert False, "the receiver's check"

async def check_later(*_):
    check()

bundled = WebhookReceiver(secret=None)
bundled.on_result(check_later)

async def with_a_task(scope, receive, send):
    asyncio.get_running_loop().create_task(check_later())
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})

async def with_a_callback(scope, receive, send):
    asyncio.get_running_loop().call_soon(check)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
"""


@pytest.mark.parametrize("receiver", ["bundled", "with_a_task", "with_a_callback"])
def test_an_error_that_a_receiver_does_not_raise_itself_fails_the_test(receiver: str, run: Run) -> None:
    test = f"""{RECEIVERS}
pytestmark = pytest.mark.codeq(webhooks={{"http://app.test": {receiver}}})

def deliver(codeq):
    codeq.enqueue("A", webhook="http://app.test/done")
    codeq.complete(codeq.claim("A"))
    codeq.advance(0)

def test_raised(codeq):
    deliver(codeq)

def test_expected(codeq):
    with codeq.expect_receiver_error(AssertionError, match="receiver's check"):
        deliver(codeq)
"""
    printed, code = run(test)
    assert code == 1
    assert "1 failed, 1 passed in" in printed
    assert "::test_raised - AssertionError: the receiver's check" in printed
