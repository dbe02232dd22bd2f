"""How the main branch differs from v0.3.3, besides reads that wait and topics (G4 to G9, Q1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codeq_contract.driver import ADMIN, TASKS, TICK, Reply
from codeq_contract.recordings.times import MILLISECOND, SECOND, moment_text
from codeq_contract.suite.case import InconclusiveError, checks, core, timed, webhooks
from codeq_contract.suite.case_context import CaseContext, Hook

INVALID = (403, "invalid tenant claims")
REFUSED_BY_ALL = "multi auth: token rejected by every provider: "


# Tenants (G4).


@core
@checks("G4.1", "G4.5")
@pytest.mark.parametrize(
    "claims",
    [
        {"tid": "{}"},
        {"tid": " {} ", "tenantId": "{}", "organization_id": "{}\n"},
        {"tenant_id": "{}", "organizationId": "{}"},
    ],
)
def test_a_tenant_may_be_named_by_several_claims_that_agree(contract: CaseContext, claims: dict[str, str]) -> None:
    tenant = contract.names.tenant()
    named: dict[str, Any] = {"tenantId": None, **{name: text.format(tenant) for name, text in claims.items()}}
    assert contract.new_producer(**named).created(contract.command())["tenantId"] == tenant


@core
@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"tid": "cq-one", "tenantId": "cq-two"}, marks=checks("G4.2")),
        pytest.param({"tenant_id": "cq-one", "organizationId": "cq-two"}, marks=checks("G4.2")),
        pytest.param({"tenantId": "cq-one", "organization_id": "cq-two"}, marks=checks("G4.2")),
        pytest.param({"tenantId": 7}, marks=checks("G4.3")),
        pytest.param({"tid": ["cq-one"]}, marks=checks("G4.3")),
        pytest.param({"tenantId": "cq-one", "tenant_id": {}}, marks=checks("G4.3")),
        *(
            pytest.param({"tenantId": text}, marks=checks("G4.4"))
            for text in ("", " ", "a", "Cq", "1cq", "-cq", "c_q", "c.q", "cé", "c" * 64)
        ),
        *(pytest.param({"sub": text}, marks=checks("G4.6")) for text in ("Cq", "a", "1cq", None)),
    ],
)
def test_a_caller_without_a_proper_tenant_is_refused(contract: CaseContext, claims: dict[str, Any]) -> None:
    caller = contract.new_producer(**{"tenantId": None, **claims})
    assert caller.create(contract.command()).refusal == INVALID
    assert caller.task("none").refusal == INVALID


@core
@checks("G4.4", "G4.6")
def test_a_tenant_has_2_to_63_characters(contract: CaseContext) -> None:
    for tenant in ("a-", "a" * 63, "z9-0"):
        assert contract.new_producer(tenant=tenant).created(contract.command())["tenantId"] == tenant
        of_subject = contract.new_producer(tenantId=None, sub=tenant)
        assert of_subject.created(contract.command())["tenantId"] == tenant


@core
@checks("G4.7")
def test_the_tenant_is_checked_after_a_401_and_before_the_rights_of_the_caller(contract: CaseContext) -> None:
    improper = contract.new_worker(tenantId="Cq", scope="codeq:nack")
    assert improper.claim(contract.command()).refusal == INVALID
    assert contract.new_worker(tenantId="Cq", eventTypes=[]).claim("X").refusal == (401, "missing eventTypes")
    assert improper.create(contract.command()).status == 401
    assert contract.new_producer(tenantId="Cq").get(f"{ADMIN}/queues").refusal == INVALID
    assert contract.new_producer(tenantId="Cq").post(TASKS, b"{").refusal == INVALID


# Callbacks (G5, G6).


@webhooks
@checks("G5.1", "G5.2")
def test_each_result_of_a_batch_calls_the_webhook_of_its_task(contract: CaseContext) -> None:
    hook, silent = contract.hook(), contract.hook()
    done, failed = (contract.leased(webhook=hook.url) for _ in range(2))
    refused = contract.leased(webhook=silent.url)
    contract.worker.submit_batch(
        [
            {"taskId": done["id"], "status": "COMPLETED", "result": {"n": 1}, "artifacts": [{"name": "a", "url": "u"}]},
            {"taskId": refused["id"], "status": "FAILED"},
            {"taskId": failed["id"], "status": "FAILED", "error": "torn"},
        ]
    )
    bodies = {body["taskId"]: body for body in callbacks(contract, hook, 2)}
    of_done, of_failed = bodies[done["id"]], bodies[failed["id"]]
    assert (of_done["status"], of_done["result"], of_done["artifacts"]) == ("COMPLETED", {"n": 1}, [])
    assert (of_failed["status"], of_failed["error"], of_failed["artifacts"]) == ("FAILED", "torn", [])
    assert of_done["completedAt"] == contract.worker.result(done).json["result"]["completedAt"]
    contract.clock.sleep(1)
    assert (len(hook.received), silent.received) == (2, [])


@webhooks
@checks("G6.1", "G6.2")
@pytest.mark.parametrize(("reason", "error"), [("no ink", "no ink"), ("", "MAX_ATTEMPTS")])
def test_a_dead_letter_calls_the_webhook_of_its_task(contract: CaseContext, reason: str, error: str) -> None:
    hook = contract.hook()
    task = contract.leased(webhook=hook.url, maxAttempts=1)
    contract.worker.nack(contract.leased(webhook=hook.url, maxAttempts=9))  # it comes back
    reply = contract.worker.nack(task, reason=reason)
    [body] = callbacks(contract, hook, 1)
    completed = body.pop("completedAt")
    assert body == {
        "taskId": task["id"],
        "eventType": task["command"],
        "status": "FAILED",
        "result": None,
        "error": error,
        "artifacts": None,
    }
    assert contract.lies_after(reply, 0, completed)


@webhooks
@checks("G6.3")
def test_the_callback_of_a_dead_letter_is_tried_again(contract: CaseContext) -> None:
    hook = contract.hook(500)
    contract.worker.nack(contract.leased(webhook=hook.url, maxAttempts=1))
    first, second = callbacks(contract, hook, 2)
    assert first == second
    pause = hook.received[1].at - hook.received[0].at
    assert pause >= contract.settings.callback_base * SECOND - TICK


# Errors of a claim (G7).


@core
@checks("G7.1", "G7.2")
def test_a_claim_without_a_subject_is_a_bad_request_and_a_batch_an_error(contract: CaseContext) -> None:
    nameless = contract.new_worker(sub=None)
    assert nameless.claim(contract.command()).refusal == (400, "workerId is required")
    assert nameless.claim_batch(contract.command(), count=1).refusal == (500, "workerId is required")


@core
@checks("G7.3")
def test_a_lease_too_long_for_the_store_is_a_bad_request(contract: CaseContext) -> None:
    command = contract.command()
    contract.producer.created(command)
    status, error = contract.worker.claim(command, leaseSeconds=2**63 - 1).refusal
    assert status == 400
    assert error.startswith("pipeline lease/task/ttl update: ERR invalid expire time")


# Several providers (G8).


@core
@checks("G8.1", "G8.2")
def test_the_first_provider_that_accepts_a_token_counts(contract: CaseContext) -> None:
    ours, theirs = contract.names.tenant(), contract.names.tenant()
    providers = [
        {"type": "static", "config": {"token": token, "subject": "p", "raw": {"tenantId": tenant}}}
        for token, tenant in (("one", ours), ("two", theirs), ("one", theirs))
    ]
    signed = {"type": "jwks", "config": json.loads(contract.driver.authentication["PRODUCER_AUTH_CONFIG"])}
    rights = {"subject": "worker", "scopes": ["codeq:claim"], "eventTypes": ["*"]}
    of_workers = [{"type": "static", "config": {"token": token, **rights}} for token in ("one", "two")]
    settings = {
        "PRODUCER_AUTH_PROVIDER": "multi",
        "PRODUCER_AUTH_CONFIG": json.dumps({"providers": [signed, *providers]}),
        "WORKER_AUTH_PROVIDER": "multi",
        "WORKER_AUTH_CONFIG": json.dumps({"providers": of_workers}),
    }
    body = {"command": contract.command(), "payload": 1}
    with contract.server(settings) as server:
        assert server.producer.post(TASKS, body).status == 202
        for token in ("one", "two"):
            assert server.anonymous.post(f"{TASKS}/claim", {}, Authorization=f"Bearer {token}").status == 204
        for token, tenant in (("one", ours), ("two", theirs)):
            created = server.anonymous.post(TASKS, body, Authorization=f"Bearer {token}")
            assert (created.status, created.json["tenantId"]) == (202, tenant)
        refused = server.anonymous.post(TASKS, body, Authorization="Bearer three")
    malformed = "token is malformed: token contains an invalid number of segments"
    assert refused.refusal == (401, REFUSED_BY_ALL + "\n".join([malformed, *["invalid token"] * 3]))


# Names of artifacts (G9).


@core
@checks("G9.1", "G9.2", "G9.3")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../../up", 'upload path escapes root: "../up"'),
        ("x/../../../../up", 'upload path escapes root: "../up"'),
        ("../../..", 'upload path escapes root: ".."'),
        ("../..", 'upload path escapes root: "."'),
        ('../../../<é\n"', r'upload path escapes root: "../<é\n\""'),
        ("..", "openat results: is a directory"),
        pytest.param("x\0y", "openat results/{id}/x\0y: invalid argument", marks=checks("G9.4")),
        pytest.param("x" * 256, "openat results/{id}/" + "x" * 256 + ": file name too long", marks=checks("G9.4")),
        pytest.param("é" * 128, "openat results/{id}/" + "é" * 128 + ": file name too long", marks=checks("G9.4")),
        pytest.param("a/x\0/y", "mkdirat results/{id}/a/x\0: invalid argument", marks=checks("G9.4")),
    ],
    ids=[
        "outside",
        "again",
        "parent",
        "root",
        "quoted",
        "results",
        "NUL",
        "256 bytes",
        "256 bytes of UTF-8",
        "NUL in a folder",
    ],
)
def test_an_artifact_does_not_leave_its_folder(contract: CaseContext, name: str, reason: str) -> None:
    assert stored(contract, contract.leased(), "first").status == 200  # now there is a folder of results
    task = contract.leased()
    reply = stored(contract, task, name)
    assert reply.refusal == (400, f"artifact {name} upload: {reason.format(id=task['id'])}")
    assert contract.worker.seen(task) == task


@core
@checks("G9.4")
@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "..x", "../../..x", "x/" + "y" * 255])
def test_an_artifact_may_have_any_name_that_a_file_can_have(contract: CaseContext, name: str) -> None:
    reply = stored(contract, contract.leased(), name)
    assert reply.status == 200, reply
    assert reply.json["artifacts"][0]["name"] == name


# Repairs (Q1).


@timed
@checks("Q1.1", "Q1.2", "Q1.4")
def test_leases_of_a_command_are_repaired_at_most_twice_a_second(contract: CaseContext) -> None:
    other = contract.leased()
    end_lease(contract, other)
    contract.clock.sleep(1)
    command = contract.command()
    contract.producer.created(command)
    repair = contract.worker.claim(command)
    end_lease(contract, repair.json)
    soon = contract.worker.claim(command)
    of_other = contract.worker.claim(other["command"])
    held, repaired = contract.worker.seen(repair.json), contract.worker.seen(other)
    in_time(contract, repair, contract.producer.task("none"))
    assert (soon.status, held["lastKnownLocation"]) == (204, "INPROG_SET")
    assert (of_other.status, repaired["lastKnownLocation"]) == (204, "DELAYED_ZSET")
    over = repair.returned + contract.time_bounds.repair_interval
    if contract.time_bounds.exact:
        contract.clock.until(over - MILLISECOND)
        contract.worker.claim(command)
        assert contract.worker.seen(repair.json) == held
    contract.clock.until(over if contract.time_bounds.exact else over + TICK)
    contract.worker.claim(command)
    assert contract.worker.seen(repair.json)["lastKnownLocation"] == "DELAYED_ZSET"


@timed
@checks("Q1.1")
def test_the_time_after_a_repair_goes_on_when_that_of_another_command_is_over(contract: CaseContext) -> None:
    earlier = contract.worker.claim(contract.command())
    contract.clock.sleep(0.3)
    command = contract.command()
    contract.producer.created(command)
    repair = contract.worker.claim(command)
    end_lease(contract, repair.json)
    contract.clock.until(earlier.returned + contract.time_bounds.repair_interval + TICK)
    soon = contract.worker.claim(command)
    held = contract.worker.seen(repair.json)
    in_time(contract, repair, contract.producer.task("none"))
    assert (soon.status, held["lastKnownLocation"]) == (204, "INPROG_SET")


@timed
@checks("Q1.3")
def test_every_claim_moves_due_tasks(contract: CaseContext) -> None:
    command = contract.command()
    contract.wait_for_fraction(800 * MILLISECOND)
    second = (contract.clock.now() // SECOND + 1) * SECOND
    delayed = contract.producer.created(command, runAt=moment_text(second))
    repair = contract.worker.claim(command)
    contract.surely_before(repair, second - contract.time_bounds.skew)
    contract.clock.until(second + TICK)
    found = contract.worker.claim(command)
    in_time(contract, repair, found)
    assert (repair.status, found.status) == (204, 200)
    assert found.json["id"] == delayed["id"]


def stored(contract: CaseContext, task: dict[str, Any], name: str) -> Reply:
    """End a task with an artifact of that name."""
    artifact = {"name": name, "contentBase64": "aGk="}
    return contract.worker.submit(task, status="COMPLETED", result={}, artifacts=[artifact])


def end_lease(contract: CaseContext, task: dict[str, Any]) -> None:
    """End the lease of a task at once, by an extension that is too long for the store (K11)."""
    assert contract.worker.heartbeat(task, extendSeconds=2**63 - 1).status == 200


def in_time(contract: CaseContext, repair: Reply, last: Reply) -> None:
    """Raises InconclusiveError if the time between two repairs may have been over at the last reply."""
    if last.returned - repair.called >= contract.time_bounds.repair_interval:
        raise InconclusiveError(f"{(last.returned - repair.called) / SECOND:.2f} s between the claims")


def callbacks(contract: CaseContext, hook: Hook, number: int) -> list[dict[str, Any]]:
    """The bodies of the first requests to a webhook."""
    contract.clock.eventually(lambda: len(hook.received) >= number, within=contract.time_bounds.patience)
    return [json.loads(callback.body) for callback in hook.received]
