"""Preflight: what is wrong with a deployment's set-up is told in words, before any case runs."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from codeq_contract.driver import TASKS, Driver, Reply, Request, Setup, preflight
from codeq_contract.driver.identities import WORKER_SCOPES, producer, worker
from codeq_contract.driver.interface import Transport
from codeq_contract.driver.preflight import check_access, check_callers
from codeq_contract.driver.servers import NotRunError
from codeq_contract.driver.targets import Deployment, InProcessTarget
from codeq_contract.driver.webhooks import Receive, Scope, Send, serve_in_thread
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.case_context import CaseContext
from codeq_fake.testing import FakeCodeQ


@pytest.fixture
def driver() -> Iterator[Driver]:
    """A driver whose tokens a test may replace, to a server that was not set up by the suite."""
    with InProcessTarget("redis").start(Setup()) as driver:
        yield driver


def token(driver: Driver, *, tenant: str = "", **claims: object) -> str:
    assert driver.issuer is not None
    tenant = tenant or CaseContext(driver).producer.created("CQ-X")["tenantId"]
    return driver.issuer.token(worker("w", tenant, **claims), now=driver.clock.now())


def refusal(driver: Driver) -> str:
    with pytest.raises(NotRunError) as refused:
        check_callers("http://server", driver)
    return str(refused.value)


def test_tenants_that_do_not_match_are_named(driver: Driver) -> None:
    driver.tokens["worker"] = token(driver, tenant="elsewhere")
    said = refusal(driver)
    assert "http://server: worker, of tenant 'elsewhere', finds no task of producer, of tenant 'cq-" in said
    assert "; both tokens must have the same claim tenantId, " in said


def test_the_tenant_of_a_worker_is_left_out_if_its_token_does_not_show_it(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.tokens["worker"] = token(driver, tenant="elsewhere")
    monkeypatch.setattr(preflight, "claims_in", lambda _: None)
    assert refusal(driver).startswith("http://server: worker finds no task of producer, of tenant 'cq-")


def test_one_tenant_for_both_is_named(driver: Driver) -> None:
    assert driver.issuer is not None
    tenant = CaseContext(driver).producer.created("CQ-X")["tenantId"]
    driver.tokens["other_worker"] = token(driver)
    driver.tokens["other_producer"] = driver.issuer.token(producer("p", tenant), now=driver.clock.now())
    assert "producer and other_producer are of one tenant" in refusal(driver)


@pytest.mark.parametrize("scope", ["codeq:heartbeat", "codeq:nack", "codeq:abandon", "codeq:result", "codeq:subscribe"])
def test_a_missing_scope_is_named(driver: Driver, scope: str) -> None:
    driver.tokens["worker"] = token(driver, scope=" ".join(set(WORKER_SCOPES.split()) - {scope}))
    assert f"the token of worker lacks {scope}; a worker needs codeq:claim, codeq:heartbeat, " in refusal(driver)


def test_what_the_deployment_intentionally_lacks_needs_no_scope(driver: Driver) -> None:
    driver.tokens["worker"] = token(driver, scope=WORKER_SCOPES.replace(" codeq:subscribe", ""))
    check_callers("http://server", replace(driver, features=driver.features - {"subscriptions"}))


def test_a_worker_for_other_commands_is_told_what_its_token_needs(driver: Driver) -> None:
    driver.tokens["worker"] = token(driver, eventTypes=["RENDER"])
    assert "worker cannot claim a task: 403" in refusal(driver)
    assert "its claim eventTypes must have '*'" in refusal(driver)


@dataclass(frozen=True)
class Changed:
    """A transport on which a test does something with each reply."""

    transport: Transport
    change: Callable[[Request, Reply], Reply]

    def exchange(self, requests: Sequence[Request], schedule: int) -> list[Reply]:
        return list(map(self.change, requests, self.transport.exchange(requests, schedule)))


def test_a_right_set_up_passes_and_each_task_is_ended(driver: Driver) -> None:
    made: dict[str, str | None] = {}

    def note(request: Request, reply: Reply) -> Reply:
        if reply.status == 202:
            made[reply.json["id"]] = request.identity
        return reply

    check_access("http://server", replace(driver, issuer=None))
    check_callers("http://server", replace(driver, transport=Changed(driver.transport, note)))
    assert list(made.values()) == ["producer", "producer2", "producer", "producer", "other_producer"]
    ended = [CaseContext(driver).caller(by).seen(task)["status"] for task, by in made.items()]
    assert ended == ["COMPLETED"] * 5


@pytest.mark.parametrize(("seconds", "where"), [(300, "300 s behind"), (-300, "300 s ahead of")])
def test_a_clock_that_is_off_is_named(driver: Driver, seconds: int, where: str) -> None:
    def shift(_: Request, reply: Reply) -> Reply:
        return replace(reply, called=reply.called + seconds * SECOND, returned=reply.returned + seconds * SECOND)

    said = refusal(replace(driver, transport=Changed(driver.transport, shift)))
    assert said == f"http://server: the server's clock is {where} this machine's; set both by NTP"


def test_a_queue_that_someone_else_claims_from_is_named(driver: Driver) -> None:
    def steal(request: Request, reply: Reply) -> Reply:
        if request.path == TASKS and reply.status == 202:
            CaseContext(driver).caller("worker2").claimed(reply.json["command"])
        return reply

    said = refusal(replace(driver, transport=Changed(driver.transport, steal)))
    assert "someone else, worker-2, took the task of producer before worker; stop the workers" in said


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        ({"exp": 1_000_000_000}, "it expired at 2001-09-09T01:46:40"),
        ({"nbf": 4_000_000_000}, "it is not valid before 2096-10-02T07:06:40"),
        ({"iss": "unknown"}, "the server must know its issuer 'unknown', its audience 'codeq-worker' and its key"),
        ({"scope": "codeq:nack"}, "its scopes are 'codeq:nack'; a worker needs codeq:claim, "),
    ],
)
def test_the_cause_of_a_refused_token_is_told(driver: Driver, claims: dict[str, Any], cause: str) -> None:
    driver.tokens["worker"] = token(driver, **claims)
    with pytest.raises(NotRunError) as refused:
        check_access("http://server", replace(driver, issuer=None))
    assert "the token of worker is refused: 40" in str(refused.value)
    assert cause in str(refused.value)


def test_a_server_that_did_not_fetch_the_suites_keys_is_told(driver: Driver) -> None:
    driver.tokens["worker"] = "another"
    known = replace(driver, in_real_time=True, hooks_origin="http://host:1")
    with pytest.raises(NotRunError, match=r"\(the server has not fetched the keys from http://host:1/jwks.json; can"):
        check_access("http://server", known)


def deployment(url: str) -> Deployment:
    return Deployment(url, {"producer": "dev-token", "worker": "dev-token"}, {})


@pytest.mark.port
def test_a_server_that_is_none_is_told_with_its_answer() -> None:
    async def page(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"<h1>It works!</h1>"})

    with serve_in_thread(page) as port, pytest.raises(NotRunError) as refused:
        deployment(f"http://127.0.0.1:{port}").start(Setup()).__enter__()
    assert "this is no CodeQ server: POST /v1/codeq/tasks answers 200 '<h1>It works!</h1>'; --url" in str(refused.value)


@pytest.mark.port
def test_a_url_with_a_part_too_many_is_told(codeq_server: FakeCodeQ) -> None:
    with pytest.raises(NotRunError, match="this is no CodeQ server: POST /v1/codeq/tasks answers 404"):
        deployment(f"{codeq_server.url}/v1").start(Setup()).__enter__()


@pytest.mark.port
def test_a_server_that_never_answers_costs_no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(NotRunError, match=r"no server answers within 0\.2 s; check --url"):
            deployment(url).start(Setup()).__enter__()
