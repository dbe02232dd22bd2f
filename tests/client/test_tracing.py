"""OpenTelemetry traces, read from the in-memory exporter of the SDK."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import httpx
import pytest
import pytest_asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from codeq_client import Abandon, CodeQ, Fail, Hook, Job, NewTask, Retry, TaskEnded, Worker
from codeq_client.testing import ManualClock
from codeq_client.tracing import current_trace_parent, trace_tasks
from codeq_fake.testing import FakeCodeQ


class TracedScenario:
    """A fake with tracing, a client, and the ended spans."""

    def __init__(self, tracing: str = "true") -> None:
        self.fake = FakeCodeQ(clock="manual", settings={"TRACING_ENABLED": tracing})
        self.clock = ManualClock(self.fake.aadvance)
        tokens = {"producer_token": "dev-token", "worker_token": "dev-token"}
        transport = httpx.ASGITransport(self.fake.app)
        self.codeq = CodeQ("http://codeq.test", transport=transport, clock=self.clock, **tokens)  # type: ignore[arg-type]  # the tokens' dict
        self.provider = TracerProvider()
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("test")

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    async def work(self, handler: Any, seconds: float = 2) -> None:
        """Run a worker with this handler for some seconds."""
        worker = Worker(self.codeq, lease=9, poll=1, grace=0, middleware=[trace_tasks(self.provider)])
        worker.handler("X")(handler)
        run = asyncio.create_task(worker.run(signals=False))
        await self.clock.advance(seconds)
        worker.stop()
        await self.clock.advance_until(run.done)
        await run


@pytest_asyncio.fixture
async def scenario() -> TracedScenario:
    return TracedScenario()


async def done(_job: Job[Any]) -> str:
    return "done"


@pytest.mark.asyncio
@pytest.mark.differs_on("main/pebble", "P14")
async def test_a_handlers_span_is_linked_to_the_trace_of_the_tasks_creator(scenario: TracedScenario) -> None:
    with scenario.tracer.start_as_current_span("order") as order:
        one = await scenario.codeq.create("X", {}, trace_parent=current_trace_parent())
        new = [NewTask(command="X", payload={})]
        (two,) = (await scenario.codeq.create_batch(new, trace_parent=current_trace_parent())).all()
    await scenario.work(done)
    spans = scenario.spans("process X")
    assert {span.attributes["messaging.message.id"] for span in spans if span.attributes} == {one.id, two.id}
    for span in spans:
        (link,) = span.links
        assert link.context.trace_id == order.get_span_context().trace_id
        assert span.parent is None, "the span starts a separate trace"
        assert span.kind is trace.SpanKind.CONSUMER
        assert {
            "messaging.system": "codeq",
            "messaging.destination.name": "X",
            "codeq.attempts": 1,
        }.items() <= dict(span.attributes or {}).items()


@pytest.mark.asyncio
async def test_without_a_trace_of_the_creator_the_span_has_no_link() -> None:
    scenario = TracedScenario(tracing="false")
    assert current_trace_parent() == ""
    await scenario.codeq.create("X", {})
    with scenario.tracer.start_as_current_span("something else"):
        await scenario.work(done)
    (span,) = scenario.spans("process X")
    assert list(span.links) == []


def raises(error: Exception) -> Any:
    async def handler(_job: Job[Any]) -> None:
        raise error

    return handler


async def returns_a_failure(_job: Job[Any]) -> Fail:
    return Fail("no")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("handler", "outcome", "is_error"),
    [
        (done, "complete", False),
        (raises(Retry()), "retry", False),
        (raises(Abandon()), "abandon", False),
        (returns_a_failure, "fail", True),
        (raises(OSError("disk full")), "error", True),
    ],
    ids=["complete", "retry", "abandon", "fail", "error"],
)
async def test_the_span_says_how_the_handler_ended(
    scenario: TracedScenario,
    handler: Any,
    outcome: str,
    is_error: bool,  # noqa: FBT001 - parametrized
) -> None:
    await scenario.codeq.create("X", {})
    await scenario.work(handler, 0)
    span = scenario.spans("process X")[0]
    assert (span.attributes or {})["codeq.outcome"] == outcome
    assert (span.status.status_code is trace.StatusCode.ERROR) is is_error
    assert [event.name for event in span.events] == (["exception"] if outcome == "error" else [])


@pytest.mark.asyncio
async def test_the_span_of_a_cancelled_handler_has_the_reason(scenario: TracedScenario) -> None:
    async def long(_job: Job[Any]) -> None:
        await scenario.clock.sleep(1000)

    await scenario.codeq.create("X", {})
    await scenario.work(long)
    (span,) = scenario.spans("process X")
    assert (span.attributes or {})["codeq.outcome"] == "shutdown"
    assert not span.status.is_ok


@pytest.mark.asyncio
async def test_the_span_is_the_current_one_in_a_handler_on_a_thread(scenario: TracedScenario) -> None:
    seen = []
    ended = asyncio.Event()
    hooks: list[Hook] = [lambda event: ended.set() if isinstance(event, TaskEnded) else None]
    worker = Worker(scenario.codeq, poll=1, middleware=[trace_tasks(scenario.provider)], hooks=hooks)

    @worker.handler("X")
    def work(_job: Job[Any]) -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)

    await scenario.codeq.create("X", {})
    run = asyncio.create_task(worker.run(signals=False))
    await asyncio.wait_for(ended.wait(), 5)  # the thread is real
    worker.stop()
    await scenario.clock.advance_until(run.done)
    (span,) = scenario.spans("process X")
    assert span.context
    assert seen == [span.context.span_id]


@pytest.mark.process
def test_unused_extras_are_not_imported() -> None:
    program = (
        "import sys, codeq_client, codeq_client.worker_cli;"
        "extras = {'opentelemetry', 'prometheus_client', 'codeq_client.health', 'http.server'};"
        "print(sorted(extras & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
