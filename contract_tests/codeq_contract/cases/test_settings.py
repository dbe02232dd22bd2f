"""Section 16: the settings of a server. Each case starts its own server with some of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from codeq_contract.driver import ADMIN, PRODUCTION, TASKS, TICK
from codeq_contract.recordings.format import signature
from codeq_contract.recordings.times import SECOND, parse_moment
from codeq_contract.suite.case import InconclusiveError, checks, core, needs, timed, webhooks
from codeq_contract.suite.case_context import CaseContext

# Authentication.


@core
@pytest.mark.parametrize("side", ["PRODUCER", "WORKER"])
@checks("settings.3")
def test_each_side_has_its_own_provider(contract: CaseContext, side: str) -> None:
    token = {"token": "a-token", "scopes": ["codeq:claim"], "eventTypes": ["*"]}
    settings = {f"{side}_AUTH_PROVIDER": "static", f"{side}_AUTH_CONFIG": json.dumps(token)}
    with contract.server(settings) as server:
        command, of_token = contract.command(), {"Authorization": "Bearer a-token"}
        static = side == "PRODUCER"
        assert server.producer.create(command).status == (401 if static else 202)
        assert server.worker.claim(command).status == (204 if static else 401)
        body = {"command": command, "payload": 1}
        assert server.anonymous.post(TASKS, body, **of_token).status == (202 if static else 401)
        claim = server.anonymous.post(f"{TASKS}/claim", {"commands": [command]}, **of_token)
        assert claim.status == (401 if static else 204)


@core
@checks("settings.4")
def test_without_a_provider_tokens_are_signed(contract: CaseContext) -> None:
    with contract.server({**PRODUCTION, "PRODUCER_AUTH_PROVIDER": "", "WORKER_AUTH_PROVIDER": ""}) as server:
        command = server.command()
        task = server.producer.created(command)
        assert server.worker.claimed(command)["id"] == task["id"]


@core
@checks("settings.25", "settings.27")
@needs("minting")
def test_issuer_and_audience_are_those_of_the_configuration_and_the_clock_skew_has_no_effect(
    contract: CaseContext,
) -> None:
    changes = {"issuer": "an-issuer", "audience": "an-audience", "clockSkew": 3600 * SECOND}
    names = ("PRODUCER_AUTH_CONFIG", "WORKER_AUTH_CONFIG")
    given = {name: json.loads(contract.driver.authentication[name]) for name in names}
    with contract.server({name: json.dumps({**config, **changes}) for name, config in given.items()}) as server:
        command, ours = server.command(), {"iss": "an-issuer", "aud": "an-audience"}
        expired = server.clock.now() // SECOND - 10
        assert server.producer.create(command).refusal == (401, "invalid issuer: codeq-test")
        assert server.worker.claim(command).refusal == (401, "invalid issuer: codeq-test")
        reply = server.new_producer(iss="an-issuer").create(command)
        assert reply.refusal == (401, "invalid audience: [codeq-producer]")
        assert server.new_worker(iss="an-issuer").claim().refusal == (401, "invalid audience: [codeq-worker]")
        assert server.new_producer(**ours).create(command).status == 202
        assert server.new_worker(**ours).claim(command).status == 204
        for caller in (server.new_producer(exp=expired, **ours), server.new_worker(exp=expired, **ours)):
            reply = caller.post(TASKS if "producer" in str(caller.name) else f"{TASKS}/claim", {})
            assert reply.refusal == (401, "token has invalid claims: token is expired")


# Tasks.


CALLBACKS = {
    "RESULT_WEBHOOK_MAX_ATTEMPTS": "3",
    "RESULT_WEBHOOK_BASE_BACKOFF_SECONDS": "4",
    "RESULT_WEBHOOK_MAX_BACKOFF_SECONDS": "5",
    "WEBHOOK_HMAC_SECRET": "another secret",
}


@core
@checks("settings.5", "settings.6", "settings.7", "settings.8")
def test_attempts_and_backoff_are_those_of_the_settings(contract: CaseContext) -> None:
    settings = {
        "MAX_ATTEMPTS_DEFAULT": "9",
        "BACKOFF_POLICY": "linear",
        "BACKOFF_BASE_SECONDS": "7",
        "BACKOFF_MAX_SECONDS": "20",
    }
    with contract.server(settings) as server:
        task = server.leased()
        assert task["maxAttempts"] == 9
        assert server.worker.nack(task).json == {"status": "requeued", "delaySeconds": 7}
        task = server.leased()
        for _ in range(2):
            server.worker.abandon(task)
            server.worker.claimed(task["command"])
        assert server.worker.nack(task).json == {"status": "requeued", "delaySeconds": 20}
        assert server.worker.nack(server.leased(), delaySeconds=20).json["delaySeconds"] == 20
        assert server.worker.nack(server.leased(), delaySeconds=21).json["delaySeconds"] == 20


@core
@checks("settings.28")
def test_a_number_of_0_or_less_counts_as_not_set(contract: CaseContext) -> None:
    settings = {"MAX_ATTEMPTS_DEFAULT": "0", "BACKOFF_BASE_SECONDS": "-1", "BACKOFF_MAX_SECONDS": "0"}
    with contract.server(settings, yaml="defaultLeaseSeconds: -5\n") as server:
        command = server.command()
        assert server.producer.created(command)["maxAttempts"] == 5
        claim = server.worker.claim(command)
        assert server.lasts(claim, 300, claim.json["leaseUntil"])
        assert server.worker.nack(claim.json).json["delaySeconds"] == 5
        assert server.worker.nack(server.leased(), delaySeconds=1000).json["delaySeconds"] == 900


@core
@checks("settings.30")
@pytest.mark.parametrize(
    ("word", "status"), [("1", 204), ("YES", 204), ("tRue", 204), ("0", 401), ("No", 401), ("FALSE", 401)]
)
def test_yes_is_written_in_three_ways(contract: CaseContext, word: str, status: int) -> None:
    with contract.server({"ALLOW_PRODUCER_AS_WORKER": word}) as server:
        assert server.producer.claim(server.command()).status == status


@core
@checks("settings.31")
@needs("rate_limit")
@pytest.mark.parametrize("nothing", ["", "~", "null", "Null", "NULL"])
def test_a_null_in_the_file_sets_nothing(contract: CaseContext, nothing: str) -> None:
    yaml = f"""
        timezone: {nothing}
        backoffPolicy: {nothing}
        maxAttemptsDefault: {nothing or "~"}
        rateLimit:
            producer: {{requestsPerMinute: {nothing or "~"}, burstSize: 1}}
            worker: {nothing or "~"}
    """
    with contract.server(dict.fromkeys(["BACKOFF_POLICY", "MAX_ATTEMPTS_DEFAULT"], ""), yaml) as server:
        tasks = [server.producer.created(server.command()) for _ in range(2)]
        assert [(task["createdAt"][-6:], task["maxAttempts"]) for task in tasks] == [("-03:00", 5)] * 2
        assert [server.worker.claim(server.command()).status for _ in range(2)] == [204, 204]


@core
@checks("settings.31")
@pytest.mark.parametrize("yaml", ["# nothing\n", "~\n", 'timezone: ""\n'])
def test_a_file_without_a_value_sets_nothing(contract: CaseContext, yaml: str) -> None:
    with contract.server({}, yaml) as server:
        command = server.command()
        assert server.producer.created(command)["createdAt"].endswith("-03:00")
        claim = server.worker.claim(command)
        assert server.lasts(claim, 300, claim.json["leaseUntil"])


@core
@checks("settings.14")
@needs("artifacts")
def test_artifacts_are_kept_in_the_folder_of_the_settings(contract: CaseContext) -> None:
    with tempfile.TemporaryDirectory() as folder, contract.server({"LOCAL_ARTIFACTS_DIR": folder}) as server:
        task = server.leased()
        artifact = {"name": "note.txt", "contentBase64": "aGk="}
        record = server.worker.submit(task, status="COMPLETED", result={"ok": True}, artifacts=[artifact]).json
        assert record["artifacts"] == [{"name": "note.txt", "url": f"file://{folder}/results/{task['id']}/note.txt"}]


@core
@checks("settings.29")
@needs("artifacts")
def test_artifacts_are_kept_in_a_folder_of_tmp_by_default(contract: CaseContext) -> None:
    with contract.server({"LOCAL_ARTIFACTS_DIR": ""}) as server:
        name = "../../no\0file"  # nothing is written there
        artifacts = [{"name": name, "contentBase64": "aGk="}]
        reply = server.worker.submit(server.leased(), status="COMPLETED", result={}, artifacts=artifacts)
        path = "/tmp/codeq-artifacts/no\0file"  # noqa: S108 - the server's default
        assert reply.refusal == (400, f"artifact {name} upload: open {path}: invalid argument")


# The YAML file.


@core
@checks("settings.15", "settings.16", "settings.17", "settings.18")
def test_the_file_counts_and_the_environment_wins_over_it(contract: CaseContext) -> None:
    yaml = """
        timezone: Asia/Kathmandu
        defaultLeaseSeconds: 77
        maxAttemptsDefault: 4
        backoffPolicy: exponential
        backoffBaseSeconds: 3
        backoffMaxSeconds: 25
        allowProducerAsWorker: false
    """
    unset = dict.fromkeys(["BACKOFF_POLICY", "BACKOFF_BASE_SECONDS", "BACKOFF_MAX_SECONDS"], "")
    with contract.server({**unset, "ALLOW_PRODUCER_AS_WORKER": "true"}, yaml) as server:
        command = server.command()
        created = server.producer.created(command)
        assert created["maxAttempts"] == 4
        assert [created[name][-6:] for name in ("createdAt", "updatedAt")] == ["+05:45", "+05:45"]
        claim = server.worker.claim(command)
        assert server.lasts(claim, 77, claim.json["leaseUntil"])
        beat = server.worker.heartbeat(created)
        seen = server.worker.seen(created)
        assert server.lasts(beat, 77, seen["leaseUntil"])
        assert seen["leaseUntil"].endswith("Z")
        batch = server.worker.claim_batch(server.producer.created(server.command())["command"], count=1)
        assert server.lasts(batch, 77, batch.json["tasks"][0]["leaseUntil"])
        assert server.worker.submit(created).json["completedAt"].endswith("+05:45")
        assert server.worker.nack(server.leased()).json["delaySeconds"] == 6
        assert server.worker.nack(server.leased(), delaySeconds=26).json["delaySeconds"] == 25
        assert server.producer.claim(command).status == 204


@core
@checks("settings.20")
@needs("minting")
def test_a_server_is_in_development_by_default(contract: CaseContext) -> None:
    assert contract.new_producer().get(f"{ADMIN}/queues", X_Role="ADMIN").status == 200


@timed
@checks("settings.22")
@needs("minting")
def test_variables_of_settings_in_the_file_are_not_read(contract: CaseContext) -> None:
    settings = {"ENV": "prod", "TIMEZONE": "Asia/Tokyo", "DEFAULT_LEASE_SECONDS": "77", "REQUEUE_INSPECT_LIMIT": "1"}
    settings["RATE_LIMIT"] = "1"
    with contract.server(settings) as server:
        assert server.new_producer().get(f"{ADMIN}/queues", X_Role="ADMIN").status == 200
        command = server.command()
        assert server.producer.created(command)["createdAt"].endswith("-03:00")
        claim = server.worker.claim(command)
        assert server.lasts(claim, 300, claim.json["leaseUntil"])
        assert repaired_at_once(server, 3) == 3


@timed
@checks("settings.19")
def test_a_claim_repairs_as_many_tasks_as_the_file_says(contract: CaseContext) -> None:
    with contract.server({}, yaml="requeueInspectLimit: 2\n") as server:
        assert repaired_at_once(server, 3) == 2


def repaired_at_once(server: CaseContext, leases: int) -> int:
    """How many of these expired leases one claim repairs."""
    command, lasting = server.command(), server.seconds(2)
    for _ in range(leases):
        server.producer.created(command)
    claims = [server.worker.claim(command, leaseSeconds=lasting) for _ in range(leases)]
    server.wait_out(server.lease_end(claims[-1], lasting))
    repair = server.worker.claim(command)
    seen = [server.worker.seen(claim.json) for claim in claims]
    repaired = [parse_moment(task["updatedAt"]) for task in seen if task["lastKnownLocation"] == "DELAYED_ZSET"]
    by_claim = all(repair.called <= moment <= repair.returned for moment in repaired)
    if server.time_bounds.has_unforeseen_reaper and not by_claim:
        raise InconclusiveError("the reaper has looked beside the claim")
    return len(repaired)


@core
@checks("settings.21")
@needs("rate_limit", "subscriptions", "webhooks", "admin")
@pytest.mark.parametrize(
    ("limits", "refused", "notices"),
    [({"producer": 2, "webhook": 1}, [1, 0, 0], 1), ({"worker": 1, "admin": 2}, [0, 2, 1], 3)],
)
def test_each_rate_limit_counts_alone(
    contract: CaseContext, limits: dict[str, int], refused: list[int], notices: int
) -> None:
    lines = [f"  {scope}: {{requestsPerMinute: 1, burstSize: {size}}}\n" for scope, size in limits.items()]
    with contract.server({}, "rateLimit:\n" + "".join(lines)) as server:
        hook = server.hook()
        commands = [server.command() for _ in range(3)]
        for command in commands:
            server.worker.subscribe(callbackUrl=hook.url, eventTypes=[command])
        creates = [server.producer.create(command).status for command in commands]
        claims = [server.worker.claim(command).status for command in commands]
        clean_ups = [server.admin.clean_up(before="2000-01-01T00:00:00Z").status for _ in range(3)]
        assert [replies.count(429) for replies in (creates, claims, clean_ups)] == refused
        assert len(hook.received) == notices


# Webhooks.


@webhooks
@needs("webhooks")
@pytest.mark.parametrize(
    "place",
    [
        pytest.param("environment", marks=checks("settings.9", "settings.10", "settings.11", "settings.12")),
        pytest.param("file", marks=checks("settings.15")),
    ],
)
def test_tries_pauses_and_signatures_of_callbacks_are_those_of_the_settings(contract: CaseContext, place: str) -> None:
    with contract.server(*written(CALLBACKS, place)) as server:
        hook = server.hook(*[503] * 9)
        server.worker.submit(server.leased(webhook=hook.url))
        server.clock.eventually(lambda: len(hook.received) >= 3, within=server.patience)
        server.clock.sleep(7)
        tries = hook.received
        pauses = [later.at - earlier.at for earlier, later in pairwise(tries)]
        late = 0 if server.time_bounds.exact else 2 * SECOND
        assert len(pauses) == 2
        for found, pause in zip(pauses, (4, 5), strict=True):
            assert pause * SECOND - TICK <= found <= pause * SECOND + late
        for told in tries:
            timestamp = told.headers["x-codeq-timestamp"]
            assert told.headers["x-codeq-signature"] == signature("another secret", timestamp, told.body)


@timed
@checks("settings.13")
@needs("subscriptions")
def test_subscriptions_are_swept_as_often_as_the_settings_say(contract: CaseContext) -> None:
    with contract.server({"SUBSCRIPTION_CLEANUP_INTERVAL_SECONDS": "20"}) as server:
        fields: dict[str, Any] = {
            "callbackUrl": "http://127.0.0.1:1/",
            "eventTypes": ["GENERATE_MASTER"],
            "ttlSeconds": 1,
        }
        kept, swept = (server.worker.subscribe(**fields).json["subscriptionId"] for _ in range(2))
        server.clock.sleep(18)
        assert server.worker.renew(kept).status == 200
        server.clock.sleep(4)
        assert server.worker.renew(swept).status == 404


def written(settings: Mapping[str, str], place: str) -> tuple[dict[str, str], str]:
    """The settings as variables, or as the text of a file without variables that win over it."""
    if place == "environment":
        return dict(settings), ""
    keys = {name: name.title().replace("_", "") for name in settings}
    lines = [f"{key[0].lower()}{key[1:]}: {settings[name]}\n" for name, key in keys.items()]
    return dict.fromkeys(settings, ""), "".join(lines)
