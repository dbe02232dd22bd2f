"""Sections 7 to 9: heartbeats, abandons and NACKs that need no waiting."""

from __future__ import annotations

import pytest

from codeq_contract.suite.caller import ids
from codeq_contract.suite.case import Sighting, checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core


@checks("H1.1", "H1.2", "H1.3", "H1.4", "H1.5", "R5.1")
@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"extendSeconds": 600}, 600),
        ({"extendSeconds": 10}, 10),
        ({"extendSeconds": 1}, 1),
        ({"extendSeconds": 0}, 300),
        ({"extendSeconds": -40}, 300),
        ({}, 300),
    ],
)
@needs("known_settings")
def test_a_heartbeat_sets_the_lease_longer_or_shorter(
    contract: CaseContext, fields: dict[str, int], seconds: int
) -> None:
    task = contract.leased(60)
    reply = contract.worker.heartbeat(task, **fields)
    assert (reply.status, reply.body) == (200, b'{"ok":true}')
    assert contract.lasts(reply, seconds, contract.worker.seen(task)["leaseUntil"])


@checks("H1.8", "H1.9")
@needs("known_settings")
def test_a_heartbeat_changes_only_the_lease(contract: CaseContext) -> None:
    task = contract.leased(60, priority=3)
    reply = contract.worker.heartbeat(task, leaseSeconds=30)
    seen = contract.worker.seen(task)
    assert contract.lasts(reply, 300, seen["leaseUntil"])
    assert seen == {**task, **{name: seen[name] for name in ("leaseUntil", "updatedAt")}}


@checks("H2.1")
def test_a_heartbeat_for_an_unknown_task_is_not_found(contract: CaseContext) -> None:
    assert contract.worker.heartbeat("none").refusal == (500, "not-found")


@checks("H2.3")
def test_a_heartbeat_for_a_task_without_worker_is_not_the_owners(contract: CaseContext) -> None:
    ended = contract.leased()
    contract.worker.submit(ended)
    pending = contract.producer.created(contract.command())
    delayed = contract.producer.created(contract.command(), delaySeconds=3600)
    for task in (pending, delayed, ended):
        assert contract.worker.heartbeat(task).refusal == (403, "not-owner")


@checks("H2.2", "D2.2", "N1.2", "S1.2")
@needs("many_workers")
def test_only_its_worker_can_touch_a_leased_task(contract: CaseContext) -> None:
    task = contract.leased()
    for reply in (
        contract.worker2.heartbeat(task),
        contract.worker2.abandon(task),
        contract.worker2.nack(task),
        contract.worker2.submit(task),
    ):
        assert reply.refusal == (403, "not-owner")
    assert contract.worker.seen(task) == task


@checks("D1.1", "D1.2", "D1.3", "D1.4", "D1.5", "D1.6", "R6.1")
def test_an_abandoned_task_is_at_the_tail_of_its_queue(contract: CaseContext) -> None:
    command = contract.command()
    first, second = (contract.producer.created(command, priority=4) for _ in range(2))
    contract.worker.claimed(command)
    reply = contract.worker.abandon(first)
    assert (reply.status, reply.json) == (200, {"status": "requeued"})
    seen = contract.worker.seen(first)
    assert (seen["status"], seen["lastKnownLocation"], seen["attempts"]) == ("PENDING", "PENDING_LIST", 1)
    assert not seen.keys() & {"workerId", "leaseUntil"}
    claimed = [contract.worker.claimed(command), contract.worker.claimed(command)]
    assert ids(claimed) == ids([second, first])
    assert claimed[1]["attempts"] == 2


@checks("D1.7")
def test_an_abandoned_task_keeps_its_priority(contract: CaseContext) -> None:
    task = contract.leased(priority=1)
    contract.producer.created(task["command"])
    contract.worker.abandon(task)
    assert contract.worker.claimed(task["command"])["id"] == task["id"]


@checks("D2.1", "D2.3")
def test_an_abandon_is_refused_for_the_reasons_of_a_heartbeat(contract: CaseContext) -> None:
    assert contract.worker.abandon("none").refusal == (500, "not-found")
    assert contract.worker.abandon(contract.producer.created(contract.command())).refusal == (403, "not-owner")


@checks("N1.1", "N1.3", "N1.4")
def test_only_the_worker_of_a_task_in_progress_can_nack_it(contract: CaseContext) -> None:
    assert contract.worker.nack("none").refusal == (404, "not-found")
    done = contract.leased()
    contract.worker.submit(done)
    assert contract.worker.nack(done).status == 403
    waiting = contract.producer.created(contract.command())
    assert contract.worker.nack(waiting).status == 403


@checks("N2.1", "N2.3", "N3.1", "N3.2", "N3.6", "N3.7", "R7.1")
def test_a_nacked_task_is_delayed_and_counts_an_attempt(contract: CaseContext) -> None:
    task = contract.leased()
    reply = contract.worker.nack(task, delaySeconds=30, reason="why not")
    assert (reply.status, reply.json) == (200, {"status": "requeued", "delaySeconds": 30})
    seen = contract.worker.seen(task)
    assert (seen["status"], seen["lastKnownLocation"], seen["attempts"]) == ("PENDING", "DELAYED_ZSET", 2)
    assert not seen.keys() & {"workerId", "leaseUntil", "error"}
    assert contract.worker.claim(task["command"]).status == 204


@checks("N3.10")
def test_a_nacked_task_keeps_its_priority(contract: CaseContext) -> None:
    task = contract.leased(priority=1)
    contract.worker.nack(task, delaySeconds=30)
    assert contract.worker.seen(task)["priority"] == 1


@checks("N3.5")
@needs("known_settings")
def test_the_delay_of_a_nack_is_capped(contract: CaseContext) -> None:
    reply = contract.worker.nack(contract.leased(), delaySeconds=10**6)
    assert reply.json["delaySeconds"] == contract.settings.backoff_max


@checks("N3.3", "N3.4", "N6.1", "N6.2", "N6.3", "N6.4", "N6.6", "N6.9", "settings.6", "settings.7", "settings.8")
@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        ("fixed", [(3, 3), (3, 3), (3, 3)]),
        ("linear", [(3, 3), (9, 9), (15, 15)]),
        ("exponential", [(6, 6), (20, 20), (20, 20)]),
        ("exp_equal_jitter", [(3, 6), (10, 20), (10, 20)]),
        ("exp_full_jitter", [(0, 6), (0, 20), (0, 20)]),
    ],
)
@needs("variants")
def test_a_backoff_policy_decides_where_a_nack_names_no_delay(
    contract: CaseContext, policy: str, delays: list[tuple[int, int]]
) -> None:
    """Attempts are 1, 3 and 5 before the NACKs, for each claim counts too."""
    settings = {"BACKOFF_POLICY": policy, "BACKOFF_BASE_SECONDS": "3", "BACKOFF_MAX_SECONDS": "20"}
    with contract.server(settings) as server:
        for attempts, (least, most) in zip((1, 3, 5), delays, strict=True):
            task = server.leased(maxAttempts=99)
            while task["attempts"] < attempts:
                server.worker.abandon(task)
                task = server.worker.claimed(task["command"])
            assert least <= server.worker.nack(task).json["delaySeconds"] <= most
        assert server.worker.nack(server.leased(), delaySeconds=1).json["delaySeconds"] == 1


@checks("N6.5", "N6.7")
@needs("variants")
@pytest.mark.parametrize(("policy", "least"), [("exp_equal_jitter", 512), ("exp_full_jitter", 0)])
def test_jitter_is_drawn_from_the_whole_range(contract: CaseContext, policy: str, least: int) -> None:
    """All of 24 delays are in one half of the range by chance once in 8 million runs."""
    settings = {"BACKOFF_POLICY": policy, "BACKOFF_BASE_SECONDS": "512", "BACKOFF_MAX_SECONDS": "100000"}
    with contract.server(settings) as server:
        delays = [server.worker.nack(server.leased()).json["delaySeconds"] for _ in range(24)]
    middle = (least + 1024) / 2
    assert min(delays) < middle < max(delays)


@checks("N6.6", "N6.7")
@needs("variants")
def test_full_jitter_is_drawn_from_both_ends_and_all_between(contract: CaseContext) -> None:
    """One of the two is missing in 24 delays by chance once in 8 million runs."""
    settings = {"BACKOFF_POLICY": "exp_full_jitter", "BACKOFF_BASE_SECONDS": "1", "BACKOFF_MAX_SECONDS": "1"}
    with contract.server(settings) as server:
        delays = [server.worker.nack(server.leased()).json["delaySeconds"] for _ in range(24)]
    assert set(delays) == {0, 1}


@checks("N6.9")
@needs("variants")
@pytest.mark.parametrize(("policy", "least"), [("exp_equal_jitter", 50), ("exp_full_jitter", 0)])
def test_jitter_is_drawn_from_the_capped_range(contract: CaseContext, policy: str, least: int) -> None:
    """If delays were drawn from the whole range and then capped, nearly all would be the cap."""
    settings = {"BACKOFF_POLICY": policy, "BACKOFF_BASE_SECONDS": "512", "BACKOFF_MAX_SECONDS": "100"}
    with contract.server(settings) as server:
        delays = [server.worker.nack(server.leased()).json["delaySeconds"] for _ in range(24)]
    assert least <= min(delays)
    assert max(delays) <= 100
    assert delays.count(100) < len(delays) / 2


@checks("N6.8")
@needs("variants")
def test_the_default_policy_draws_from_10_seconds_at_the_first_nack(contract: CaseContext) -> None:
    unset = dict.fromkeys(["BACKOFF_POLICY", "BACKOFF_BASE_SECONDS", "BACKOFF_MAX_SECONDS"], "")
    with contract.server(unset) as server:
        delays = [server.worker.nack(server.leased()).json["delaySeconds"] for _ in range(24)]
    assert max(delays) <= 10
    assert min(delays) < 5 < max(delays)


@checks("N6.10")
@needs("variants")
def test_an_unknown_policy_draws_from_the_whole_range(contract: CaseContext) -> None:
    settings = {"BACKOFF_POLICY": "unheard_of", "BACKOFF_BASE_SECONDS": "512", "BACKOFF_MAX_SECONDS": "100000"}
    with contract.server(settings) as server:
        delays = [server.worker.nack(server.leased()).json["delaySeconds"] for _ in range(24)]
    assert max(delays) <= 1024
    assert min(delays) < 512 < max(delays)


@checks("N2.2", "N2.4", "N4.1", "N4.2", "N4.3", "N4.4", "N4.5", "N4.6", "N4.8")
@pytest.mark.parametrize(("fields", "error"), [({"reason": "no use"}, "no use"), ({}, "MAX_ATTEMPTS")])
def test_the_last_attempt_ends_in_the_dead_letter_queue(
    contract: CaseContext, fields: dict[str, str], error: str
) -> None:
    task = contract.leased(maxAttempts=2)
    reply = contract.worker.nack(task, **fields)
    assert (reply.status, reply.json) == (200, {"status": "dlq", "delaySeconds": 0})
    seen = contract.worker.seen(task)
    assert (seen["status"], seen["lastKnownLocation"], seen["error"]) == ("FAILED", "DLQ_SET", error)
    assert not seen.keys() & {"workerId", "leaseUntil", "resultKey"}
    assert contract.worker.result(task).json == {"error": "result not found"}
    assert contract.worker.claim(task["command"]).status == 204
    contract.saw(Sighting.DEAD_LETTER)
