"""Section 14: rate limits."""

from __future__ import annotations

from math import ceil

import pytest

from codeq_contract.driver import TICK, Reply
from codeq_contract.driver.identities import producer as producer_of
from codeq_contract.recordings.times import MILLISECOND, SECOND
from codeq_contract.suite.case import checks, core, needs, timed, webhooks
from codeq_contract.suite.case_context import CaseContext
from codeq_contract.suite.metrics import metric

pytestmark = needs("rate_limit", "variants")

LIMITS = """
rateLimit:
  producer: {requestsPerMinute: 1, burstSize: 3}
  worker: {requestsPerMinute: 2, burstSize: 2}
  admin: {requestsPerMinute: 6, burstSize: 1}
"""


@core
@checks("L1.1")
@needs("admin")
def test_nothing_is_limited_by_default(contract: CaseContext) -> None:
    command = contract.command()
    for _ in range(70):
        assert contract.producer.create(command).status == 202
        assert contract.worker.claim(command).status == 200
        assert contract.admin.clean_up(limit=1, before="2000-01-01T00:00:00Z").status == 200


@core
@checks("L1.18")
@pytest.mark.parametrize("limit", ["requestsPerMinute: 0, burstSize: 1", "requestsPerMinute: 1, burstSize: 0"])
def test_a_limit_of_0_is_none(contract: CaseContext, limit: str) -> None:
    with contract.server({}, yaml=f"rateLimit: {{producer: {{{limit}}}}}\n") as server:
        assert [server.producer.create(server.command()).status for _ in range(3)] == [202, 202, 202]


@core
@checks("L1.2", "L1.9", "L1.10", "L1.11", "L1.12", "L1.13", "L2.13", "B3.3", "R23.11")
def test_a_bucket_lets_its_burst_pass_and_refuses_the_next(contract: CaseContext) -> None:
    with contract.server({}, yaml=LIMITS) as server:
        command = server.command()
        created = [server.producer.create(command) for _ in range(4)]
        claimed = [server.worker.claim(command) for _ in range(3)]
        cleaned = [server.admin.clean_up() for _ in range(2)]
        server.clock.sleep(0.5)
        # Neither a bad body nor a refusal changes the bucket.
        created.append(server.producer.post("/v1/codeq/tasks", b"not looked at"))
        assert [reply.status for reply in created] == [202, 202, 202, 429, 429]
        assert [reply.status for reply in claimed] == [200, 200, 429]
        assert [reply.status for reply in cleaned] == [200, 429]
        for replies, refused, pause, operation, scope in (
            (created, created[3], 60, "create_task", "producer"),
            (created, created[4], 60, "create_task", "producer"),
            (claimed, claimed[2], 30, "claim", "worker"),
            (cleaned, cleaned[1], 10, "cleanup", "admin"),
        ):
            seconds = refused.json["retryAfterSeconds"]
            assert list(refused.json.items()) == [
                ("error", "rate limit exceeded"),
                ("operation", operation),
                ("retryAfterSeconds", seconds),
                ("scope", scope),
            ]
            assert type(seconds) is int
            assert refused.headers["retry-after"] == str(seconds)
            assert refused.headers["content-type"] == "application/json; charset=utf-8"
            assert waits_at_least(replies[0], refused, pause) <= seconds <= waits_at_most(replies[0], refused, pause)
        assert metric(server, "codeq_rate_limit_hits_total") == {
            ("create_task", "producer"): 2,
            ("claim", "worker"): 1,
            ("cleanup", "admin"): 1,
        }


@core
@checks("L1.4", "L1.5", "L1.6", "L1.7", "L1.8")
@needs("minting", "batch", "subscriptions")
def test_some_operations_share_a_bucket_and_others_have_none(contract: CaseContext) -> None:
    with contract.server({}, yaml=LIMITS) as server:
        command = server.command()
        batch = [{"command": command, "payload": 1}] * 3
        created = [
            server.producer.create_batch(batch),
            server.producer.create(command),
            server.producer.create(command),
        ]
        refused = [server.producer.create(command), server.producer.create_batch(batch)]
        assert [reply.status for reply in [*created, *refused]] == [200, 202, 202, 429, 429]
        claimed = [server.worker.claim_batch(command, count=4), server.worker.claim(command)]
        refused = [server.worker.claim_batch(command, count=1), server.worker.claim(command)]
        assert [reply.status for reply in [*claimed, *refused]] == [200, 200, 429, 429]
        for _ in range(2):
            assert [server.admin.queues().status, server.admin.queue(command).status] == [200, 200]
        assert [server.admin.clean_up().status, server.admin.clean_up().status] == [200, 429]
        assert [server.admin.queues().status, server.admin.queue(command).status] == [200, 200]
        # Another token has other buckets, although its subject is the same.
        twin = server.new(producer_of("producer-1", server.names.tenant()))
        assert [caller.create(command).status for caller in (twin, server.caller("producer2"))] == [202, 202]
        # The buckets of these callers are empty, and yet all this passes.
        first, second, third, fourth = claimed[0].json["tasks"]
        subscription = server.worker.subscribe(callbackUrl="http://127.0.0.1:9/x", eventTypes=[command])
        passed = [
            server.worker.heartbeat(first),
            server.worker.nack(first, delaySeconds=60),
            server.worker.abandon(second),
            server.worker.submit(third),
            server.worker.submit_batch([{"taskId": fourth["id"], "status": "COMPLETED", "result": {}}]),
            subscription,
            server.worker.renew(subscription.json["subscriptionId"]),
            *(caller.task(third) for caller in (server.worker, server.producer, server.admin)),
            *(caller.result(third) for caller in (server.worker, server.producer, server.admin)),
        ]
        assert {reply.status for reply in passed} == {200}


@core
@checks("L1.14")
@needs("minting")
def test_a_caller_without_the_right_takes_nothing_from_its_bucket(contract: CaseContext) -> None:
    with contract.server({}, yaml="rateLimit: {admin: {requestsPerMinute: 1, burstSize: 1}}\n") as server:
        for _ in range(3):
            assert server.producer.clean_up().status == 401
        cleaned = [server.producer.post("/v1/codeq/admin/tasks/cleanup", {}, X_Role="admin") for _ in range(2)]
        assert [reply.status for reply in cleaned] == [200, 429]


@timed
@checks("L1.2", "L1.3", "L1.13")
def test_a_bucket_is_refilled_all_the_time_up_to_its_size(contract: CaseContext) -> None:
    refill = contract.seconds(2)
    tick, almost = (MILLISECOND, [0.999]) if contract.time_bounds.exact else (TICK, [])
    yaml = f"rateLimit: {{producer: {{requestsPerMinute: {60 // refill}, burstSize: 1}}}}\n"
    with contract.server({}, yaml=yaml) as server:
        first = server.producer.create(server.command())
        full = first.called + refill * SECOND
        for early in (0, 0.4, 0.7, *almost):
            server.clock.until(full - round((1 - early) * refill * SECOND))
            refused = server.producer.create(server.command())
            contract.surely_before(refused, full)
            assert refused.status == 429
            least, most = full - refused.returned, first.returned + refill * SECOND - refused.called
            assert ceil(least / SECOND) <= refused.json["retryAfterSeconds"] <= ceil(most / SECOND)
        server.clock.until(first.returned + refill * SECOND + tick)
        assert server.producer.create(server.command()).status == 202
        # It is full again, and holds no more than one.
        server.clock.sleep(2 * refill + 0.1)
        last, refused = (server.producer.create(server.command()) for _ in range(2))
        contract.surely_before(refused, last.called + refill * SECOND)
        assert [last.status, refused.status] == [202, 429]


@webhooks
@checks("L1.15", "L1.17")
@needs("webhooks")
def test_a_url_has_a_bucket_for_its_callbacks(contract: CaseContext) -> None:
    with contract.server({}, yaml="rateLimit: {webhook: {requestsPerMinute: 10, burstSize: 1}}\n") as server:
        pause, tolerance = 6 * SECOND, 5 * SECOND
        one, other = server.hook(), server.hook()
        ended = [server.worker.submit(server.leased(webhook=hook.url)) for hook in (one, one, other)]
        server.clock.eventually(lambda: len(one.received) == 2 and len(other.received) == 1, within=contract.patience)
        delayed = one.received[1].at
        assert ended[0].called + pause - TICK <= delayed <= ended[1].returned + pause + tolerance
        assert other.received[0].at <= ended[2].returned + tolerance


def waits_at_least(first: Reply, refused: Reply, pause: int) -> int:
    """The fewest seconds until the next token, if there is one after each `pause` and the first was taken then."""
    return ceil(pause - (refused.returned - first.called) / SECOND)


def waits_at_most(first: Reply, refused: Reply, pause: int) -> int:
    """As `waits_at_least`, but the most seconds."""
    return ceil(pause - (refused.called - first.returned) / SECOND)
