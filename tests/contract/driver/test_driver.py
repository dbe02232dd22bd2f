"""The driver: calls, bursts and waiting, in process and over the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest

from codeq_contract.driver import KnownSettings, NotInTimeError, Request, Setup, UnsupportedError
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.http_transport import HttpTransport
from codeq_contract.driver.identities import producer
from codeq_contract.driver.servers import NotRunError
from codeq_contract.driver.targets import Deployment, InProcessTarget
from codeq_contract.recordings.times import SECOND
from codeq_contract.report.results import InconclusiveError
from codeq_contract.suite.case_context import CaseContext
from codeq_fake.core import Broker
from codeq_fake.testing import FakeCodeQ

WORKERS = ("worker", "worker2", "worker3")


@pytest.fixture
def contract() -> Iterator[CaseContext]:
    with InProcessTarget("redis").start(Setup()) as driver:
        yield CaseContext(driver)


def winner(schedule: int) -> str:
    """Who gets the one task that three claim at once, on a fresh fake."""
    with InProcessTarget("redis").start(Setup()) as driver:
        contract = CaseContext(driver)
        command = contract.command()
        contract.producer.created(command)
        claims = [contract.caller(name).claiming(command) for name in WORKERS]
        replies = contract.together(claims, schedule=schedule)
        [won] = [name for name, reply in zip(WORKERS, replies, strict=True) if reply.status == 200]
        return won


def test_a_call_in_process_takes_no_time_and_a_long_poll_exactly_its_wait(contract: CaseContext) -> None:
    at_once = contract.worker.claim(contract.command())
    waited = contract.worker.claim(contract.command(), waitSeconds=7)
    assert (at_once.returned - at_once.called, waited.returned - waited.called) == (0, 7 * SECOND)


def test_waiting_in_process_is_exact(contract: CaseContext) -> None:
    before = contract.clock.now()
    contract.clock.sleep(86_400)
    assert contract.clock.now() - before == 86_400 * SECOND
    contract.clock.until(before)
    assert contract.clock.now() - before == 86_400 * SECOND


@pytest.mark.slow
@pytest.mark.parametrize(("longest", "told"), [("10", False), ("900", False), ("900", True)])
def test_an_unknown_backoff_is_awaited_as_long_as_the_default_one(longest: str, *, told: bool) -> None:
    slow = {"BACKOFF_BASE_SECONDS": longest, "BACKOFF_MAX_SECONDS": longest}
    with InProcessTarget("redis").start(Setup().but(slow)) as driver:
        contract = CaseContext(driver if told else replace(driver, settings=KnownSettings(), features=frozenset()))
        command = contract.command()
        contract.producer.created(command)
        contract.worker.nack(contract.worker.claimed(command))
        within = told or longest == "10"
        with nullcontext() if within else pytest.raises(InconclusiveError, match="is unknown and may be longer"):
            assert contract.claimed_after_backoff(contract.worker, command)["attempts"] == 3


def test_a_wait_for_an_event_that_never_comes_ends_in_time(contract: CaseContext) -> None:
    before = contract.clock.now()
    with pytest.raises(NotInTimeError, match="not within 10 s; last: 0"):
        contract.clock.eventually(lambda: 0, within=10)
    assert contract.clock.now() - before == 10 * SECOND


def test_a_handler_that_raises_in_process_is_an_internal_server_error(
    contract: CaseContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broker, "abandon", lambda *_, **__: [].pop())
    command = contract.command()
    contract.producer.created(command)
    reply = contract.worker.abandon(contract.worker.claimed(command))
    assert (reply.status, reply.text) == (500, "IndexError: pop from empty list")
    assert contract.worker.claim(command).status == 204


def test_a_long_poll_in_process_that_never_ends_is_lost(contract: CaseContext, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = [None]
    monkeypatch.setattr(Broker, "claim", lambda *_, **__: tries.pop())  # the second one raises
    reply = contract.worker.claim(contract.command(), waitSeconds=1)
    assert (reply.status, reply.problem) == (0, "TimeoutError: no reply within 90 s")
    assert contract.clock.now() - reply.called == 90 * SECOND


@pytest.mark.slow
def test_a_schedule_is_a_repeatable_order() -> None:
    first = [winner(schedule) for schedule in range(12)]
    assert first[0] == WORKERS[0], "no schedule is the order given"
    assert len(set(first)) > 1
    assert [winner(schedule) for schedule in range(12)] == first


@pytest.mark.port
def test_a_path_goes_out_byte_for_byte(codeq_server: FakeCodeQ) -> None:
    """In a URL the quotation mark would be escaped. A redirect shows how the query arrived (R19)."""
    with HttpTransport(codeq_server.url, RealClock()) as transport:
        [reply] = transport.exchange([Request("GET", '/v1/codeq/tasks/a/?b="')], 0)
    assert reply.headers["location"] == '/v1/codeq/tasks/a?b="'


@pytest.mark.port
def test_no_answer_is_an_unknown_outcome() -> None:
    clock = RealClock()
    with HttpTransport("http://127.0.0.1:9", clock) as transport:
        [reply] = transport.exchange([Request("GET", "/metrics")], 0)
    assert reply.status == 0
    assert reply.problem.startswith("ConnectError")


def test_outcomes_are_ok_or_refused_by_status(contract: CaseContext) -> None:
    assert contract.worker.claim(contract.command()).status == 204
    assert contract.worker.task("none").status == 404


@pytest.mark.port
def test_a_deployment_takes_no_tokens_and_no_settings_of_ours(codeq_server: FakeCodeQ) -> None:
    with Deployment(codeq_server.url, {"producer": "dev-token"}, {}).start(Setup()) as driver:
        with pytest.raises(UnsupportedError, match="callers with other claims"):
            driver.mint("someone", producer("p", "t"))
        with pytest.raises(UnsupportedError, match="a server with other settings"):
            driver.other(Setup()).__enter__()


@pytest.mark.port
def test_without_a_server_nothing_is_run() -> None:
    with pytest.raises(NotRunError, match="no server answers: ConnectError"):
        Deployment("http://127.0.0.1:9", {}, {}).start(Setup()).__enter__()


@pytest.mark.port
def test_each_refused_token_is_named_before_anything_is_done(codeq_server: FakeCodeQ) -> None:
    tokens = {"producer": "dev-token", "worker": "wrong", "admin": "wrong, too"}
    with pytest.raises(NotRunError) as refused:
        Deployment(codeq_server.url, tokens, {}).start(Setup()).__enter__()
    says = [f"the token of {name} is refused: 401" for name in ("worker", "admin")]
    assert all(text in str(refused.value) for text in says)
    assert "producer" not in str(refused.value)
    assert codeq_server.tasks() == []
