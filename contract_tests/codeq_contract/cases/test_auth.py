"""Section 3: who may do what."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_contract.driver import ADMIN, PRODUCTION, SUBSCRIPTIONS, TASKS, Reply
from codeq_contract.driver.identities import WORKER_SCOPES
from codeq_contract.suite.caller import Caller
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

PRODUCERS = [("POST", TASKS), ("POST", f"{TASKS}/batch")]
ADMINS = [("GET", f"{ADMIN}/queues"), ("GET", f"{ADMIN}/queues/X"), ("POST", f"{ADMIN}/tasks/cleanup")]
#: The routes of workers, and the scope that each needs (R3 to R11).
SCOPES = {
    f"{TASKS}/claim": "codeq:claim",
    f"{TASKS}/claim/batch": "codeq:claim",
    f"{TASKS}/none/heartbeat": "codeq:heartbeat",
    f"{TASKS}/none/abandon": "codeq:abandon",
    f"{TASKS}/none/nack": "codeq:nack",
    f"{TASKS}/none/result": "codeq:result",
    f"{TASKS}/batch/results": "codeq:result",
    SUBSCRIPTIONS: "codeq:subscribe",
    f"{SUBSCRIPTIONS}/none/heartbeat": "codeq:subscribe",
}
WORKERS = [("POST", path) for path in SCOPES]
READERS = [("GET", f"{TASKS}/none"), ("GET", f"{TASKS}/none/result")]

ADMIN_ONLY = (401, "unauthorized. Admin only")
#: Not JSON: a caller who is let in is told so (B3), and nothing happens.
NO_BODY = b"{"


def called(contract: CaseContext, caller: Caller, route: tuple[str, str], **headers: str) -> Reply:
    """The reply to a request without a body."""
    return contract.call(caller.request(*route, **headers))


@pytest.mark.parametrize(
    "routes",
    [
        pytest.param(PRODUCERS, id="producers", marks=checks("A1.1")),
        pytest.param(WORKERS, id="workers", marks=checks("A1.2")),
        pytest.param(ADMINS, id="admins", marks=checks("A1.3")),
    ],
)
def test_a_request_without_a_token_is_refused(contract: CaseContext, routes: list[tuple[str, str]]) -> None:
    for route in routes:
        assert called(contract, contract.anonymous, route).refusal == (401, "missing Authorization header"), route


@checks("A1.4")
def test_a_blank_header_counts_as_missing(contract: CaseContext) -> None:
    for route in (*PRODUCERS, *WORKERS, *ADMINS):
        reply = called(contract, contract.anonymous, route, Authorization="")
        assert reply.refusal == (401, "missing Authorization header"), route


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Basic abc", marks=checks("A2.1")),
        pytest.param("Token {token:producer}", marks=checks("A2.1")),
        pytest.param("Bearer", marks=checks("A2.2")),
        pytest.param("abc", marks=checks("A2.3")),
        pytest.param("{token:producer}", marks=checks("A2.3")),
    ],
)
def test_a_header_that_is_no_bearer_token_is_refused(contract: CaseContext, header: str) -> None:
    for route in (*PRODUCERS, *WORKERS, *ADMINS):
        reply = called(contract, contract.anonymous, route, Authorization=header)
        assert reply.refusal == (401, "invalid Authorization format"), route


@checks("A2.4")
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_may_be_written_in_any_case(contract: CaseContext, scheme: str) -> None:
    anonymous = contract.anonymous
    assert anonymous.post(TASKS, NO_BODY, Authorization=f"{scheme} {{token:producer}}").status == 400
    assert anonymous.post(f"{TASKS}/claim", NO_BODY, Authorization=f"{scheme} {{token:worker}}").status == 400
    assert anonymous.get(f"{TASKS}/none", Authorization=f"{scheme} {{token:producer}}").status == 404


# Workers.


@needs("minting")
@pytest.mark.parametrize(
    ("path", "scope"),
    [
        pytest.param(f"{TASKS}/claim", "codeq:claim", marks=checks("A5.4")),
        pytest.param(f"{TASKS}/claim/batch", "codeq:claim", marks=checks("A5.5")),
        pytest.param(f"{TASKS}/none/heartbeat", "codeq:heartbeat", marks=checks("A5.6")),
        pytest.param(f"{TASKS}/none/abandon", "codeq:abandon", marks=checks("A5.7")),
        pytest.param(f"{TASKS}/none/nack", "codeq:nack", marks=checks("A5.8")),
        pytest.param(f"{TASKS}/none/result", "codeq:result", marks=checks("A5.9")),
        pytest.param(f"{TASKS}/batch/results", "codeq:result", marks=checks("A5.10")),
        pytest.param(SUBSCRIPTIONS, "codeq:subscribe", marks=checks("A5.11")),
        pytest.param(f"{SUBSCRIPTIONS}/none/heartbeat", "codeq:subscribe", marks=checks("A5.12")),
    ],
)
def test_each_route_of_workers_needs_its_scope(contract: CaseContext, path: str, scope: str) -> None:
    others = " ".join(each for each in (*WORKER_SCOPES.split(), "codeq:admin") if each != scope)
    assert contract.new_worker(scope=others).post(path, {}).refusal == (403, "missing scope")
    assert contract.new_worker(scope=scope).post(path, {}).status not in (401, 403)


@checks("A5.13")
@pytest.mark.parametrize("scope", ["codeq:*", "*", "codeq", "CODEQ:CLAIM codeq:claims codeq:clai,codeq:claim"])
def test_a_scope_counts_only_in_full(contract: CaseContext, scope: str) -> None:
    worker = contract.new_worker(scope=scope)
    for route in WORKERS:
        assert called(contract, worker, route).refusal == (403, "missing scope"), route


@checks("A5.1", "A5.2", "A5.3")
def test_a_worker_has_event_types_and_scopes(contract: CaseContext) -> None:
    workers = {
        "missing eventTypes": [
            contract.new_worker(eventTypes=None),
            contract.new_worker(eventTypes=[]),
            contract.new_worker(eventTypes=None, scope=None),
        ],
        "missing scope": [contract.new_worker(scope=scope) for scope in (None, "", " ")],
    }
    for text, refused in workers.items():
        for worker in refused:
            for route in WORKERS:
                assert called(contract, worker, route).refusal == (401, text), route


@checks("A6.1", "settings.26")
@needs("minting")
def test_a_producer_is_no_worker(contract: CaseContext) -> None:
    producer = contract.new_producer(scope=WORKER_SCOPES, eventTypes=["*"])
    for route in WORKERS:
        assert called(contract, producer, route).refusal == (401, "invalid audience: [codeq-producer]"), route


@checks("A6.2", "A6.3", "A6.4", "A6.5", "A6.6")
@needs("minting")
def test_a_producer_may_be_allowed_to_work(contract: CaseContext) -> None:
    with contract.server({"ALLOW_PRODUCER_AS_WORKER": "true"}) as server:
        command = server.command()
        task = server.producer.created(command)
        claimed = server.producer.claimed(command)
        assert (claimed["id"], claimed["workerId"]) == (task["id"], "producer-1")
        for route in WORKERS:
            assert called(server, server.producer, route).status not in (401, 403), route
        worker = server.new_worker(scope="codeq:claim", eventTypes=[command])
        assert worker.claim(command).status == 204
        assert worker.claim("ANOTHER").refusal == (403, "event type not allowed")
        assert worker.heartbeat(task).refusal == (403, "missing scope")
        assert server.new_worker(eventTypes=None).claim().refusal == (401, "missing eventTypes")
        assert server.anonymous.post(f"{TASKS}/claim").refusal == (401, "missing Authorization header")


# Readers.


@checks("A7.1", "A7.2")
def test_producers_and_workers_read_a_task_and_its_result(contract: CaseContext) -> None:
    task = contract.leased()
    contract.worker.submit(task)
    for reader in (contract.producer, contract.worker):
        assert reader.seen(task)["id"] == reader.result(task).json["task"]["id"] == task["id"]


@checks("A7.3", "A7.4")
def test_readers_need_a_valid_token(contract: CaseContext) -> None:
    for route in READERS:
        assert called(contract, contract.anonymous, route).refusal == (401, "invalid token")
        for header in ("Bearer nonsense", "Basic abc", "{token:producer}", "Bearer a.b.c"):
            reply = called(contract, contract.anonymous, route, Authorization=header)
            assert reply.refusal == (401, "invalid token"), header


@checks("A7.5", "A7.6")
def test_a_worker_reads_without_scopes_but_not_without_event_types(contract: CaseContext) -> None:
    for route in READERS:
        assert called(contract, contract.new_worker(scope=None), route).status == 404
        assert called(contract, contract.new_worker(eventTypes=None), route).refusal == (401, "invalid token")
        assert called(contract, contract.new_worker(eventTypes=[]), route).refusal == (401, "invalid token")


# Admins.


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(ADMINS[0], marks=checks("A8.1")),
        pytest.param(ADMINS[1], marks=checks("A8.2")),
        pytest.param(ADMINS[2], marks=checks("A8.3")),
    ],
)
def test_a_producer_is_no_admin(contract: CaseContext, route: tuple[str, str]) -> None:
    assert called(contract, contract.producer, route).refusal == ADMIN_ONLY


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"scope": "codeq:admin"}, marks=checks("A8.4")),
        pytest.param({"scope": "other codeq:admin", "role": "USER"}, marks=checks("A8.4")),
        pytest.param({"role": "ADMIN"}, marks=checks("A8.5")),
        pytest.param({"role": "admin"}, marks=checks("A8.6")),
        pytest.param({"role": "Admin"}, marks=checks("A8.6")),
    ],
)
def test_an_admin_has_the_scope_or_the_role(contract: CaseContext, claims: dict[str, Any]) -> None:
    admin = contract.new_producer(**claims)
    for path in (f"{ADMIN}/queues", f"{ADMIN}/queues/X"):
        assert admin.get(path).status == 200
    assert admin.clean_up(before="2000-01-01T00:00:00Z").status == 200


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"role": "SUPERADMIN"}, marks=checks("A8.7")),
        pytest.param({"role": "USER"}, marks=checks("A8.7")),
        pytest.param({"role": ["ADMIN"]}, marks=checks("A8.7")),
        pytest.param({"scope": f"{WORKER_SCOPES} codeq:* codeq:administrator"}, marks=checks("A8.11")),
        pytest.param({"scope": ["codeq:admin"]}, marks=checks("A8.11")),
    ],
)
def test_another_role_or_scope_makes_no_admin(contract: CaseContext, claims: dict[str, Any]) -> None:
    producer = contract.new_producer(**claims)
    for route in ADMINS:
        assert called(contract, producer, route).refusal == ADMIN_ONLY, route


@checks("A8.12")
@needs("minting")
def test_a_worker_is_no_admin(contract: CaseContext) -> None:
    worker = contract.new_worker(role="ADMIN", scope=f"{WORKER_SCOPES} codeq:admin")
    for route in ADMINS:
        assert called(contract, worker, route).refusal == (401, "invalid audience: [codeq-worker]"), route


@checks("A8.8", "A8.10", "A8.13")
@needs("minting")
def test_in_development_the_role_header_makes_an_admin_of_a_token_without_a_role(contract: CaseContext) -> None:
    with contract.server({}, yaml="env: dev\n") as server:
        for role in (None, " ", 7):
            producer = server.new_producer(role=role)
            for route in ADMINS:
                assert called(server, producer, route, X_Role="ADMIN").status == 200, route
            assert called(server, producer, ADMINS[1], X_Role="admin").status == 200
            assert called(server, producer, ADMINS[1], X_Role="USER").refusal == ADMIN_ONLY
        user = server.new_producer(role="USER")
        for route in ADMINS:
            assert called(server, user, route, X_Role="ADMIN").refusal == ADMIN_ONLY, route


@pytest.mark.parametrize(
    "env", [pytest.param("prod", marks=checks("A8.9")), pytest.param("DEV", marks=checks("A8.14"))]
)
def test_the_role_header_counts_in_development_only(contract: CaseContext, env: str) -> None:
    with contract.server(PRODUCTION, yaml=f"env: {env}\n") as server:
        for route in ADMINS:
            assert called(server, server.producer, route, X_Role="ADMIN").refusal == ADMIN_ONLY, route
