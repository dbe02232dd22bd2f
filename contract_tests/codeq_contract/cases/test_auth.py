"""Section 3: who may do what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codeq_contract.driver import ADMIN, PRODUCTION, SUBSCRIPTIONS, TASKS
from codeq_contract.driver.identities import WORKER_SCOPES, producer
from codeq_contract.recordings.format import Identity
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

STATIC = {
    "PRODUCER_AUTH_PROVIDER": "static",
    "PRODUCER_AUTH_CONFIG": json.dumps({"token": "p-token", "subject": "p", "raw": {"tenantId": "t"}}),
    "WORKER_AUTH_PROVIDER": "static",
    "WORKER_AUTH_CONFIG": json.dumps(
        {"token": "w-token", "scopes": WORKER_SCOPES.split(), "eventTypes": ["*"], "raw": {"tenantId": "t"}}
    ),
}
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


@checks("A1.1", "A1.2", "A1.3", "A1.4")
@pytest.mark.parametrize("path", [TASKS, f"{TASKS}/batch", *SCOPES, f"{ADMIN}/tasks/cleanup"])
def test_a_request_without_a_token_is_refused(contract: CaseContext, path: str) -> None:
    reply = contract.anonymous.post(path, {})
    assert reply.refusal == (401, "missing Authorization header")
    assert contract.anonymous.post(path, {}, Authorization="").json == reply.json


@checks("A2.1", "A2.2", "A2.3")
@pytest.mark.parametrize("header", ["Bearer", "Basic abc", "abc", "Token {token:producer}"])
def test_a_header_that_is_no_bearer_token_is_refused(contract: CaseContext, header: str) -> None:
    assert contract.anonymous.post(TASKS, {}, Authorization=header).refusal == (401, "invalid Authorization format")


@checks("A2.4")
def test_the_scheme_may_be_written_in_any_case(contract: CaseContext) -> None:
    body = {"command": contract.command(), "payload": 1}
    assert contract.anonymous.post(TASKS, body, Authorization="bEARER {token:producer}").status == 202


@checks("A3.1", "A3.2", "A3.3", "A3.4", "A3.8", "settings.3")
@needs("variants")
def test_a_static_token_is_one_caller_and_any_other_is_invalid(contract: CaseContext) -> None:
    with contract.server(STATIC) as server:
        command = server.command()
        body = {"command": command, "payload": 1}
        assert server.anonymous.post(TASKS, body, Authorization="Bearer   p-token").status == 202
        assert server.anonymous.post(TASKS, body, Authorization="Bearer w-token").refusal == (401, "invalid token")
        claimed = server.anonymous.post(f"{TASKS}/claim", {"commands": [command]}, Authorization="Bearer  w-token")
        assert claimed.json["workerId"] == "static"


@checks("A4.1", "A4.2", "A4.3", "A4.14")
@needs("minting")
@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512"])
def test_a_token_may_be_signed_in_three_ways(contract: CaseContext, alg: str) -> None:
    caller = contract.new(Identity("producer", {"sub": "p", "exp": None, "iat": None}, alg))
    assert caller.create(contract.command()).status == 202


@checks("A4.9", "A4.10", "A4.12", "A4.13")
@needs("minting")
@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"iss": "nope"}, "invalid issuer: nope"),
        ({"aud": "nope"}, "invalid audience: [nope]"),
        ({"exp": -10}, "token has invalid claims: token is expired"),
        ({"nbf": 1000}, "token has invalid claims: token is not valid yet"),
    ],
)
def test_a_token_of_another_issuer_audience_or_time_is_refused(
    contract: CaseContext, claims: dict[str, Any], error: str
) -> None:
    now = contract.clock.now() // SECOND
    meant: dict[str, Any] = {name: now + value if isinstance(value, int) else value for name, value in claims.items()}
    assert contract.new_producer(**meant).create(contract.command()).refusal == (401, error)


@checks("A4.7")
@needs("minting")
def test_a_token_of_an_unknown_key_is_refused(contract: CaseContext) -> None:
    reply = contract.new(Identity("producer", {"sub": "p"}, kid="k9")).create(contract.command())
    assert reply.status == 401
    assert reply.json["error"].endswith("key k9 not found in JWKS")


@checks("A4.8")
@needs("minting")
def test_a_forged_signature_is_refused(contract: CaseContext) -> None:
    reply = contract.anonymous.post(TASKS, {}, Authorization="Bearer {token:producer}x")
    assert reply.status == 401
    assert "signature" in reply.json["error"]


@checks("A5.4", "A5.5", "A5.6", "A5.7", "A5.8", "A5.9", "A5.10", "A5.11", "A5.12")
@needs("minting")
@pytest.mark.parametrize(("path", "scope"), SCOPES.items())
def test_each_route_of_workers_needs_its_scope(contract: CaseContext, path: str, scope: str) -> None:
    others = " ".join(each for each in WORKER_SCOPES.split() if each != scope)
    assert contract.new_worker(scope=others).post(path, {}).refusal == (403, "missing scope")
    assert contract.new_worker(scope=scope).post(path, {}).status not in (401, 403)


@checks("A5.1", "A5.2", "A4.17", "A5.3")
@needs("minting")
def test_a_worker_has_event_types_and_scopes(contract: CaseContext) -> None:
    assert contract.new_worker(eventTypes=None).claim().json == {"error": "missing eventTypes"}
    assert contract.new_worker(eventTypes=[]).claim().json == {"error": "missing eventTypes"}
    assert contract.new_worker(eventTypes="text").claim().json == {"error": "missing eventTypes"}
    assert contract.new_worker(scope=None).claim().refusal == (401, "missing scope")


@checks("A6.1", "A6.2", "A6.3")
@needs("variants")
def test_a_producer_may_be_allowed_to_work(contract: CaseContext) -> None:
    command = contract.command()
    assert contract.producer.claim(command).status == 401
    with contract.server({"ALLOW_PRODUCER_AS_WORKER": "true"}) as server:
        task = server.producer.created(command)
        assert server.producer.claimed(command)["id"] == task["id"]
        assert server.producer.submit(task).status == 200


@checks("A7.1", "A7.2", "A7.3", "A7.4")
def test_readers_are_workers_or_producers(contract: CaseContext) -> None:
    task = contract.producer.created(contract.command())
    assert contract.producer.task(task).status == contract.worker.task(task).status == 200
    for path in (f"{TASKS}/{task['id']}", f"{TASKS}/{task['id']}/result"):
        assert contract.anonymous.get(path).json == {"error": "invalid token"}
        assert contract.anonymous.get(path, Authorization="Bearer nonsense").json == {"error": "invalid token"}


@checks("A7.5", "A7.6")
@needs("minting")
def test_a_worker_without_scopes_may_read_and_one_without_event_types_may_not(contract: CaseContext) -> None:
    assert contract.new_worker(scope=None).task("none").status == 404
    assert contract.new_worker(eventTypes=None).task("none").status == 401


@checks("A8.1")
@needs("mere_producer")
def test_a_producer_is_no_admin(contract: CaseContext) -> None:
    assert contract.producer.queues().refusal == (401, "unauthorized. Admin only")


@checks("A8.4", "A8.5", "A8.6", "A8.7")
@needs("minting")
def test_an_admin_has_the_scope_or_the_role(contract: CaseContext) -> None:
    assert contract.new_producer(scope="codeq:admin").queue("X").status == 200
    assert contract.new_producer(role="admin").queue("X").status == 200
    assert contract.new_producer(role="other").queue("X").status == 401


@checks("A8.8", "A8.9")
@needs("variants")
def test_the_role_header_counts_in_development_only(contract: CaseContext) -> None:
    path = f"{ADMIN}/queues/X"
    with contract.server({}, yaml="env: dev\n") as server:
        assert server.producer.get(path, X_Role="ADMIN").status == 200
    with contract.server(PRODUCTION, yaml="env: prod\n") as server:
        assert server.producer.get(path, X_Role="ADMIN").status == 401


@checks("A9.3", "A9.5", "A9.6")
@needs("minting")
def test_the_tenant_is_the_first_claim_that_names_one(contract: CaseContext) -> None:
    command, tenant = contract.command(), contract.names.tenant()
    claims: dict[str, Any] = {
        "tenantId": 7,
        "tenant_id": None,
        "organizationId": f" {tenant} ",
        "organization_id": "other",
    }
    task = contract.new_producer(**claims).created(command)
    assert task["tenantId"] == tenant
    assert contract.new_worker(tenant=tenant).claimed(command)["id"] == task["id"]


@checks("A9.8")
@needs("minting")
def test_without_a_tenant_the_subject_is_the_tenant(contract: CaseContext) -> None:
    command, name = contract.command(), contract.names.tenant()
    task = contract.new(Identity("producer", {"sub": name, "tenantId": " "})).created(command)
    assert task["tenantId"] == name
    assert contract.new_worker(tenant=name).claimed(command)["id"] == task["id"]


@checks("A9.10", "A9.11")
@needs("minting")
def test_without_a_subject_a_task_has_no_tenant_and_a_claim_no_worker(contract: CaseContext) -> None:
    nameless = contract.new(producer("", "", sub=None, tenantId=None))
    assert "tenantId" not in nameless.created(contract.command())
    assert contract.new_worker(sub=None).claim(contract.command()).refusal == (500, "workerId is required")
