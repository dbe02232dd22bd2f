"""Each defect in a correct history breaks the law that is meant for it, and no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from codeq_contract.checker import LAWS, Validity
from codeq_contract.recordings.times import SECOND
from tests.contract.checker.support import EditedHistory

NOT_OWNER = {"status": 403, "reply": '{"error":"not-owner"}'}
NOT_FOUND = {"status": 404, "reply": '{"error":"not found"}'}
NOTHING = {"status": 204, "reply": ""}


def says(history: EditedHistory, law: str) -> set[str]:
    return {violation.message for name, violation in history.check().violations if name == law}


def with_yaml(history: EditedHistory, text: str) -> None:
    history.recording = replace(history.recording, header=replace(history.recording.header, yaml=text))


def test_the_scenario_itself_breaks_no_law(history: EditedHistory) -> None:
    report = history.check()
    assert report.validity is Validity.VALID
    assert [judgement.law for judgement in report.judgements] == list(LAWS)
    assert report.tasks == 5


# Deliveries.


def test_c1_a_task_that_was_never_created_is_a_phantom(history: EditedHistory) -> None:
    task_id = history.id_of("high")
    history.drop("high")
    assert history.broken_laws() == {"phantom": {task_id}}


def test_c1_a_task_delivered_before_it_was_created_is_a_phantom(history: EditedHistory) -> None:
    history.shift("high", 600)
    assert history.broken_laws()["phantom"] == {"high"}


def test_c1_a_task_created_while_the_claim_waits_is_none(history: EditedHistory) -> None:
    history.shift("high", 300)
    assert history.broken_laws() == {}


@pytest.mark.parametrize("field", [{"payload": '{"n":9}'}, {"maxAttempts": 9}, {"tenantId": "beta"}, {"webhook": ""}])
def test_k5_a_task_delivered_otherwise_than_created_is_a_phantom(
    history: EditedHistory, field: dict[str, object]
) -> None:
    history.show("claim high", **field)
    assert history.broken_laws() == {"phantom": {"high"}}


def test_k4_a_task_delivered_to_a_claim_that_did_not_ask_for_it_is_a_phantom(history: EditedHistory) -> None:
    history.ask("claim high", commands=["C"])
    assert history.broken_laws() == {"phantom": {"high"}}


def test_k6_a_task_delivered_to_another_tenant_is_a_phantom(history: EditedHistory) -> None:
    workers = history.recording.header.identities
    other = replace(workers["w0"], claims={**workers["w0"].claims, "tenantId": "beta"})
    history.recording = replace(
        history.recording, header=replace(history.recording.header, identities={**workers, "x": other})
    )
    history.change("claim high", identity="x")
    assert history.broken_laws() == {"phantom": {"high"}}


@pytest.mark.parametrize(
    ("claim", "attempts"),
    [("claim high", 2), ("claim low again", 3), ("claim middle again", 2), ("claim late again", 2)],
    ids=["first", "after an abandon", "after a NACK", "after an expiry"],
)
def test_k5_attempts_that_are_counted_wrong_are_seen(history: EditedHistory, claim: str, attempts: int) -> None:
    history.show(claim, attempts=attempts)
    assert "attempts" in history.broken_laws()


def test_n4_a_delivery_instead_of_a_dead_letter_is_seen(history: EditedHistory) -> None:
    for call in ("low", "claim low", "claim low again"):
        history.show(call, maxAttempts=1)
    assert history.broken_laws() == {}  # an abandon makes no dead letter
    for call in ("middle", "claim middle", "claim middle again"):
        history.show(call, maxAttempts=2)
    assert history.broken_laws() == {"attempts": {"middle"}}


def test_n4_a_dead_letter_too_soon_is_seen(history: EditedHistory) -> None:
    for call in ("late", "claim late", "claim late again"):
        history.show(call, maxAttempts=5)
    assert history.broken_laws() == {"attempts": {"late"}}


@pytest.mark.parametrize("attempts", [1, 4])
def test_k5_a_read_with_impossible_attempts_is_seen(history: EditedHistory, attempts: int) -> None:
    history.show("read low", attempts=attempts)
    assert history.broken_laws() == {"attempts": {"low"}, "lease-holds": {"low"}}


def test_k5_attempts_that_go_back_are_seen(history: EditedHistory) -> None:
    history.shift("claim late again", -5500)
    assert "went back in attempts from one delivery to the next" in says(history, "attempts")


# Leases.


def test_k5_a_second_delivery_of_a_leased_task_is_seen(history: EditedHistory) -> None:
    history.repeat("claim high", "twice", ms=300, who="w2", attempts=2, workerId="w2")
    assert history.broken_laws() == {"one-lease": {"high"}, "attempts": {"high"}, "owner": {"high"}}


def test_k5_a_second_delivery_with_the_same_attempts_is_seen(history: EditedHistory) -> None:
    history.repeat("claim high", "twice", ms=1, who="w2", workerId="w2")
    assert history.broken_laws() == {"one-lease": {"high"}, "attempts": {"high"}, "owner": {"high"}}


@pytest.mark.parametrize(("ms", "broken"), [(1490, {"one-lease": {"late"}}), (1510, {})])
def test_k8_a_lease_may_end_by_half_a_second_early_on_redis(
    history: EditedHistory, ms: int, broken: dict[str, set[str]]
) -> None:
    history.shift("claim late again", ms - 4700)
    history.shift("nack late", ms - 4700)
    history.recording = replace(
        history.recording, header=replace(history.recording.header, settings={"BACKOFF_POLICY": "exp_full_jitter"})
    )
    assert {law: tasks for law, tasks in history.broken_laws().items() if law == "one-lease"} == broken


def test_h1_a_heartbeat_moves_the_end_of_the_lease(history: EditedHistory) -> None:
    history.drop("end high")
    history.callbacks = history.callbacks[1:]
    history.repeat("claim high", "taken", ms=4900, who="w2", attempts=3, workerId="w2")
    assert history.broken_laws() == {"one-lease": {"high"}}
    history.drop("heartbeat high")
    assert history.broken_laws() == {}


def test_h1_of_two_heartbeats_at_once_either_may_have_come_last(history: EditedHistory) -> None:
    history.drop("end high")
    history.callbacks = history.callbacks[1:]
    history.repeat("heartbeat high", "shorter", ms=-1)
    history.ask("shorter", extendSeconds=1)
    history.repeat("claim high", "taken", ms=3900, who="w2", attempts=3, workerId="w2")
    assert history.broken_laws() == {}


@pytest.mark.parametrize(("ms", "broken"), [(3996, {"lease-holds": {"high"}}), (3998, {"late": {"high"}})])
def test_k8_a_refusal_counts_if_it_was_surely_given_while_the_lease_held(
    history: EditedHistory, ms: int, broken: dict[str, set[str]]
) -> None:
    history.drop("end high", "last claim")
    history.callbacks = history.callbacks[1:]
    history.ask("heartbeat high", extendSeconds=5)
    history.repeat("heartbeat high", "refused", ms=ms + 500)
    history.change("refused", **NOT_OWNER)
    assert history.broken_laws() == broken


@pytest.mark.parametrize(("ms", "broken"), [(6001, {}), (-6001, {"late": {"high"}})], ids=["after", "before"])
def test_k7_a_refusal_after_the_lease_is_right_only_if_a_claim_may_have_come_by(
    history: EditedHistory, ms: int, broken: dict[str, set[str]]
) -> None:
    history.drop("end high", "last claim", "claim delayed", "end delayed", "claim late again", "nack late")
    history.callbacks = history.callbacks[1:]
    history.repeat("empty claim", "a claim", ms=ms)
    history.repeat("heartbeat high", "refused", ms=8000)
    history.change("refused", **NOT_OWNER)
    assert {law: tasks for law, tasks in history.broken_laws().items() if law == "late"} == broken


def test_k7_a_lost_claim_may_have_taken_a_task_whose_lease_was_over(history: EditedHistory) -> None:
    history.drop("end high", "last claim", "claim delayed", "end delayed", "claim late again", "nack late")
    history.callbacks = history.callbacks[1:]
    history.lose("empty claim")
    history.repeat("heartbeat high", "refused", ms=8000)
    history.change("refused", **NOT_OWNER)
    assert history.check().validity is Validity.UNKNOWN


def test_h1_a_heartbeat_in_the_instant_of_the_end_may_have_come_before_it(history: EditedHistory) -> None:
    history.change(
        "end high",
        identity="w0",
        sent=history.calls["heartbeat high"].sent,
        answered=history.calls["heartbeat high"].sent,
    )
    history.calls["heartbeat high"] = replace(
        history.calls.pop("heartbeat high"), answered=history.calls["end high"].sent
    )
    history.repeat("heartbeat high", "refused", ms=100)
    history.change("refused", status=409, reply='{"error":"not-in-progress"}')
    history.callbacks = []
    assert {*history.broken_laws()} <= {"callback"}


def test_s1_a_holder_that_is_refused_is_seen(history: EditedHistory) -> None:
    history.repeat("heartbeat high", "refused", ms=100)
    history.change("refused", **NOT_OWNER)
    assert history.broken_laws() == {"lease-holds": {"high"}}


def test_h2_one_that_holds_nothing_is_refused_rightly(history: EditedHistory) -> None:
    history.repeat("heartbeat high", "refused", ms=100, who="w1")
    history.change("refused", **NOT_OWNER)
    assert history.broken_laws() == {}


def test_h2_a_read_that_shows_a_held_task_as_free_is_seen(history: EditedHistory) -> None:
    history.show("read low", status="PENDING", workerId="")
    assert history.broken_laws() == {"lease-holds": {"low"}}


@pytest.mark.parametrize("call", ["heartbeat high", "abandon low", "nack middle", "end low"])
def test_h2_an_operation_accepted_from_a_worker_without_a_lease_is_seen(history: EditedHistory, call: str) -> None:
    history.repeat(call, "by another", ms=0, who="w2")
    broken = history.broken_laws()
    assert "owner" in broken
    assert broken["owner"] == {call.partition(" ")[2]}


def test_d2_an_operation_accepted_after_the_worker_gave_the_task_back_is_seen(history: EditedHistory) -> None:
    history.repeat("abandon low", "again", ms=50)
    assert history.broken_laws() == {"owner": {"low"}}


def test_k7_a_result_accepted_after_a_claim_came_by_a_lease_that_ran_out_is_seen(history: EditedHistory) -> None:
    history.repeat("end low", "too late", ms=3000, who="w2")
    history.change("too late", path=f"/v1/codeq/tasks/{history.id_of('late')}/result")
    history.drop("claim late again", "nack late")
    assert history.broken_laws() == {"expiry": {"late"}}
    history.drop("claim middle again", "end middle")  # S3: no claim came by
    history.callbacks = history.callbacks[:1]
    history.drop("middle", "claim middle", "nack middle")
    assert history.broken_laws() == {}


def test_h3_a_heartbeat_that_revives_a_lease_is_seen(history: EditedHistory) -> None:
    history.repeat("heartbeat high", "beat late", ms=3600, who="w2")
    history.change("beat late", path=f"/v1/codeq/tasks/{history.id_of('late')}/heartbeat")
    history.repeat("read low", "read late", ms=2850, attempts=1, workerId="w2", id=history.id_of("late"))
    assert history.broken_laws() == {"expiry": {"late"}}


# Ends and losses.


def test_s4_a_delivery_after_the_end_is_seen_as_the_race_z1(history: EditedHistory) -> None:
    history.repeat("claim high", "again", ms=1500, attempts=2)
    (law, violation), *others = history.check().violations
    assert not others
    assert (law, violation.task_id, violation.race) == ("ended", history.id_of("high"), "Z1")


def test_s1_a_second_result_is_seen(history: EditedHistory) -> None:
    history.repeat("end high", "again", ms=2)
    assert history.broken_laws() == {"ended": {"high"}}


def test_n4_a_dead_letter_that_is_delivered_is_seen(history: EditedHistory) -> None:
    history.repeat("claim late again", "again", ms=3000, attempts=5)
    assert history.broken_laws() == {"ended": {"late"}}


def test_s4_an_ended_task_that_reads_as_alive_is_seen(history: EditedHistory) -> None:
    history.repeat("read low", "again", ms=500)
    assert history.broken_laws() == {"ended": {"low"}}


def test_s4_an_ended_task_that_reads_as_ended_otherwise_is_seen(history: EditedHistory) -> None:
    history.repeat("read low", "again", ms=500, status="COMPLETED", workerId="")
    assert history.broken_laws() == {}
    history.show("again", status="FAILED", lastKnownLocation="DLQ_SET")
    assert history.broken_laws() == {"ended": {"low"}}


def test_n4_a_dead_letter_that_reads_as_completed_is_seen(history: EditedHistory) -> None:
    history.repeat("read low", "later", ms=5000, id=history.id_of("late"), status="FAILED", workerId="", attempts=4)
    assert history.broken_laws() == {}
    history.show("later", status="COMPLETED")
    assert history.broken_laws() == {"ended": {"late"}}


def test_s4_two_reads_that_show_different_ends_are_seen(history: EditedHistory) -> None:
    history.drop("end low")
    history.repeat("read low", "once", ms=500, status="COMPLETED", workerId="")
    assert "ended" not in history.broken_laws()
    history.repeat("read low", "twice", ms=600, status="FAILED", workerId="")
    assert history.broken_laws()["ended"] == {"low"}


def test_c1_a_task_that_no_claim_finds_any_more_is_lost(history: EditedHistory) -> None:
    history.drop("claim delayed", "end delayed")
    assert history.broken_laws() == {"lost": {"delayed"}}
    history.drop("last claim")  # without a claim nothing proves it
    assert history.broken_laws() == {}


@pytest.mark.parametrize(
    ("gone", "task"),
    [
        (("claim low again", "read low", "end low"), "low"),
        (("claim middle again", "end middle"), "middle"),
        (("claim late again", "nack late"), "late"),
    ],
    ids=["abandoned", "NACKed", "expired"],
)
def test_k7_a_task_given_back_that_no_claim_finds_any_more_is_lost(
    history: EditedHistory, gone: tuple[str, ...], task: str
) -> None:
    history.drop(*gone)
    history.callbacks = history.callbacks[:1]
    assert history.broken_laws()["lost"] == {task}


def test_k7_a_repair_may_miss_a_leased_task_among_more_than_it_looks_at(history: EditedHistory) -> None:
    with_yaml(history, "requeueInspectLimit: 1")
    history.drop("claim late again", "nack late", "last claim")
    history.repeat("read low", "read late", ms=4600, attempts=1, workerId="w2", id=history.id_of("late"))
    assert history.broken_laws() == {}


def test_k7_a_repair_may_miss_a_due_task_among_more_than_it_looks_at(history: EditedHistory) -> None:
    with_yaml(history, "requeueInspectLimit: 1")
    history.drop("claim delayed", "end delayed")
    assert history.broken_laws() == {}


def test_k7_a_task_that_stays_in_progress_forever_is_lost_as_by_the_race_z2(history: EditedHistory) -> None:
    history.drop("claim late again", "nack late", "last claim")
    history.repeat("read low", "read late", ms=4600, attempts=1, workerId="w2", id=history.id_of("late"))
    (law, violation), *others = history.check().violations
    assert not others
    assert (law, violation.task_id, violation.race) == ("lost", history.id_of("late"), "Z2")


def test_c1_a_task_of_which_the_server_knows_nothing_is_lost(history: EditedHistory) -> None:
    history.repeat("read low", "not found", ms=50)
    history.change("not found", **NOT_FOUND)
    assert history.broken_laws() == {"lost": {"low"}}


# Order.


def test_k4_a_task_that_overtakes_is_seen(history: EditedHistory) -> None:
    history.shift("late", -150)
    assert history.broken_laws() == {"fifo": {"late"}}


def test_k4_tasks_created_at_the_same_time_have_no_order(history: EditedHistory) -> None:
    history.shift("late", -100)
    assert history.broken_laws() == {}


def test_d1_an_abandoned_task_goes_to_the_tail(history: EditedHistory) -> None:
    for claim, ms in (("claim low again", -150), ("claim late", 150)):
        history.shift(claim, ms)
    assert history.broken_laws() == {"fifo": {"late"}}


def test_k4_a_lower_priority_first_is_seen(history: EditedHistory) -> None:
    for call in ("low", "claim low", "claim low again"):
        history.show(call, priority=9)
    assert history.broken_laws()["priority"] == {"low"}


def test_k4_a_command_named_later_first_is_seen(history: EditedHistory) -> None:
    history.ask("claim high", commands=["B", "A"])
    for call in ("low", "claim low", "claim low again"):
        history.show(call, command="B")
    for call in ("claim low", "claim low again"):
        history.ask(call, commands=["B"])
    assert history.broken_laws()["priority"] == {"low"}


def test_k3_a_claim_that_comes_back_empty_while_a_task_waits_is_seen_as_the_race_z4(history: EditedHistory) -> None:
    history.repeat("claim high", "found nothing", ms=-30)
    history.change("found nothing", **NOTHING)
    assert history.broken_laws() == {"empty": {"high", "middle", "late"}}  # one of each priority
    assert {violation.race for _, violation in history.check().violations} == {"Z4"}


@pytest.mark.parametrize(("ms", "broken"), [(1790, {}), (1810, {"empty": {"middle"}})])
def test_n3_a_delayed_task_must_be_found_once_it_is_due(
    history: EditedHistory, ms: int, broken: dict[str, set[str]]
) -> None:
    """The NACK was answered at 1.801 s and asked for 2 s, and the claim that found nothing was sent at 2.499 s."""
    history.shift("empty claim", ms - 490)
    assert history.broken_laws() == broken


# Delays.


def test_c7_a_delayed_task_delivered_too_soon_is_seen(history: EditedHistory) -> None:
    history.ask("delayed", delaySeconds=7)
    assert history.broken_laws() == {}
    history.ask("delayed", delaySeconds=8)
    assert history.broken_laws() == {"early": {"delayed"}}


@pytest.mark.parametrize("late", [{"delaySeconds": 8}, {"runAt": "2027-01-15T08:00:08Z"}])
def test_c7_a_delay_that_was_forgotten_is_seen(history: EditedHistory, late: dict[str, object]) -> None:
    history.show("delayed", lastKnownLocation="PENDING_LIST")
    history.ask("delayed", **late)
    assert history.broken_laws() == {"early": {"delayed"}}


def test_c6_a_task_delivered_before_its_run_at_is_seen(history: EditedHistory) -> None:
    history.ask("delayed", delaySeconds=0, runAt="2027-01-15T08:00:06Z")
    assert history.broken_laws() == {}
    history.ask("delayed", runAt="2027-01-15T08:00:07Z")
    assert history.broken_laws() == {"early": {"delayed"}}


def test_c6_a_task_whose_run_at_is_later_in_the_second_of_its_create_is_there_once_it_is_created(
    history: EditedHistory,
) -> None:
    history.ask("delayed", delaySeconds=0, runAt="2027-01-15T08:00:00.9Z")
    history.calls = {name: history.calls[name] for name in ("delayed", "empty claim")}
    history.callbacks = []
    history.shift("empty claim", -2000)
    assert history.broken_laws() == {}
    history.shift("empty claim", 3)
    assert history.broken_laws() == {"lost": {"delayed"}}


def test_n3_a_nacked_task_delivered_too_soon_is_seen(history: EditedHistory) -> None:
    history.shift("claim middle again", -2400)
    assert history.broken_laws()["early"] == {"middle"}


def test_n5_a_task_delivered_too_soon_after_its_lease_ran_out_is_seen(history: EditedHistory) -> None:
    header = history.recording.header
    history.recording = replace(
        history.recording, header=replace(header, settings={**header.settings, "BACKOFF_BASE_SECONDS": "5"})
    )
    history.show("nack late", delaySeconds=0)
    assert history.broken_laws() == {"early": {"late"}}


def test_n3_a_delay_that_was_not_asked_for_is_seen(history: EditedHistory) -> None:
    history.show("nack middle", delaySeconds=1)
    assert history.broken_laws() == {"delay": {"middle"}}


def test_n6_a_delay_that_is_not_the_policy_s_is_seen(history: EditedHistory) -> None:
    history.ask("nack middle", delaySeconds=0)
    assert history.broken_laws() == {"delay": {"middle"}}


# Callbacks.


def test_w1_a_callback_before_the_end_is_seen(history: EditedHistory) -> None:
    history.callbacks[0] = replace(history.callbacks[0], at=history.calls["claim high"].answered)
    assert history.broken_laws() == {"callback-cause": {"high"}}


def test_w1_a_callback_of_a_task_that_never_ended_is_seen(history: EditedHistory) -> None:
    history.drop("end high")
    assert history.broken_laws()["callback-cause"] == {"high"}


def test_w1_a_callback_that_tells_another_end_is_seen(history: EditedHistory) -> None:
    history.show("end high", status="FAILED")
    assert history.broken_laws() == {"callback-cause": {"high"}, "result": {"high"}}


def test_s6_a_callback_after_a_batch_of_results_is_seen(history: EditedHistory) -> None:
    record = json.loads(history.calls["end high"].reply)
    end_in_batch(history, "end high", record)
    assert history.broken_laws() == {"callback-cause": {"high"}}


def end_in_batch(history: EditedHistory, name: str, record: dict[str, Any]) -> None:
    """Make a result one of a batch that was answered with this record."""
    item = {"taskId": record["taskId"], **json.loads(history.calls[name].body or "")}
    body, reply = ({"results": [each]} for each in (item, {"taskId": record["taskId"], "result": record}))
    path = "/v1/codeq/tasks/batch/results"
    history.change(name, path=path, body=json.dumps(body), reply=json.dumps(reply))


@pytest.mark.parametrize("change", [{"status": "FAILED"}, {"result": {"a": 1}}, {"error": "e"}])
def test_s2_a_result_of_a_batch_that_is_answered_otherwise_than_sent_is_seen(
    history: EditedHistory, change: dict[str, object]
) -> None:
    end_in_batch(history, "end low", json.loads(history.calls["end low"].reply) | change)
    assert history.broken_laws()["result"] == {"low"}


def test_w1_a_callback_without_a_webhook_is_seen(history: EditedHistory) -> None:
    for call in ("high", "claim high"):
        history.show(call, webhook="")
    assert history.broken_laws() == {"callback-cause": {"high"}}


def test_w1_a_missing_callback_is_seen_when_there_was_time_for_it(history: EditedHistory) -> None:
    del history.callbacks[0]
    assert history.broken_laws() == {}
    history.repeat("last claim", "much later", ms=8000)
    assert history.broken_laws() == {"callback": {"high"}}


def test_l1_a_callback_may_be_late_when_webhooks_are_limited(history: EditedHistory) -> None:
    del history.callbacks[0]
    with_yaml(history, "rateLimit: {webhook: {requestsPerMinute: 1, burstSize: 1}}")
    history.repeat("last claim", "much later", ms=8000)
    assert history.broken_laws() == {}


def test_w2_a_signature_of_another_body_is_seen(history: EditedHistory) -> None:
    history.callbacks[0] = replace(history.callbacks[0], body=history.callbacks[0].body.replace("null", "[]"))
    assert history.broken_laws() == {"signature": {"high"}}


def test_w2_a_missing_signature_is_seen(history: EditedHistory) -> None:
    headers = {name: value for name, value in history.callbacks[0].headers.items() if not name.startswith("x-codeq")}
    history.callbacks[0] = replace(history.callbacks[0], headers=headers)
    assert history.broken_laws() == {"signature": {"high"}}


def test_w2_a_signature_without_a_secret_is_seen(history: EditedHistory) -> None:
    history.recording = replace(history.recording, header=replace(history.recording.header, settings={}))
    assert history.broken_laws()["signature"] == {"high", "middle"}


# Unknown callers.


def test_a2_a_caller_without_a_name_may_be_anyone(history: EditedHistory) -> None:
    for call in ("claim low", "abandon low", "empty claim"):
        history.change(call, identity=None)
    assert history.broken_laws() == {}


# Lost replies.


def test_a_lost_operation_leaves_it_open_whether_the_task_was_given_back(history: EditedHistory) -> None:
    history.repeat("claim high", "twice", ms=300, who="w2", attempts=2, workerId="w2")
    history.repeat("abandon low", "lost", ms=-1300, who="w0")
    history.change("lost", path=f"/v1/codeq/tasks/{history.id_of('high')}/abandon")
    history.lose("lost")
    report = history.check()
    assert report.validity is Validity.UNKNOWN
    assert report.violations == ()


def test_a_lost_claim_leaves_it_open_who_has_a_task(history: EditedHistory) -> None:
    history.repeat("claim high", "lost", ms=10)
    history.lose("lost")
    history.drop("claim delayed", "end delayed")
    assert history.check().validity is Validity.UNKNOWN


def test_a_lost_claim_of_another_command_leaves_nothing_open(history: EditedHistory) -> None:
    history.repeat("claim high", "lost", ms=10)
    history.ask("lost", commands=["B"])
    history.lose("lost")
    history.drop("claim delayed", "end delayed")
    assert history.broken_laws() == {"lost": {"delayed"}}


def test_a_lost_claim_excuses_no_second_lease(history: EditedHistory) -> None:
    history.repeat("claim high", "lost", ms=10)
    history.lose("lost")
    history.repeat("claim high", "twice", ms=300, who="w2", attempts=2, workerId="w2")
    assert history.broken_laws() == {"one-lease": {"high"}}


def test_a_lost_create_leaves_it_open_who_made_a_task(history: EditedHistory) -> None:
    history.lose("high")
    assert history.check().validity is Validity.UNKNOWN


def test_a_lost_create_with_a_key_may_have_made_what_a_later_one_found(history: EditedHistory) -> None:
    history.ask("high", idempotencyKey="k")
    history.repeat("high", "high again", ms=600)
    history.lose("high")
    assert history.check().validity is Validity.UNKNOWN


def test_a_lost_create_leaves_it_open_what_the_callback_of_an_unknown_task_is_about(history: EditedHistory) -> None:
    task_id = history.id_of("high")
    history.drop("claim high", "heartbeat high", "end high")
    history.lose("high")
    report = history.check()
    assert {violation.task_id for judgement in report.judgements for violation in judgement.doubtful} == {task_id}
    assert report.validity is Validity.UNKNOWN


def test_a_lost_clean_up_leaves_it_open_what_is_gone(history: EditedHistory) -> None:
    history.repeat("read low", "not found", ms=50)
    history.change("not found", **NOT_FOUND)
    history.repeat("read low", "clean up", ms=20)
    history.change("clean up", method="POST", path="/v1/codeq/admin/tasks/cleanup", body="{}")
    history.lose("clean up")
    assert history.check().validity is Validity.UNKNOWN


def test_a_server_error_counts_as_a_lost_reply(history: EditedHistory) -> None:
    history.change("high", status=502, reply="bad gateway")
    assert history.check().validity is Validity.UNKNOWN


# Races.


def races_of(history: EditedHistory) -> dict[str, str]:
    return {law: violation.race for law, violation in history.check().violations}


def test_a_second_result_looks_like_z5_only_if_it_was_sent_before_the_answer_to_the_first(
    history: EditedHistory,
) -> None:
    history.repeat("end high", "again", ms=0)
    assert races_of(history) == {"ended": "Z5"}
    history.shift("again", 500)
    assert races_of(history) == {"ended": "Z1"}


def test_a_last_result_that_becomes_a_dead_letter_looks_like_z3(history: EditedHistory) -> None:
    history.show("read low", status="FAILED", lastKnownLocation="DLQ_SET")
    history.shift("read low", 500)
    assert races_of(history)["ended"] == "Z3"


def test_two_leases_with_equal_attempts_look_like_z1_only_if_their_claims_overlap(history: EditedHistory) -> None:
    history.repeat("claim high", "twice", ms=0, who="w2", workerId="w2")
    assert {law: race for law, race in races_of(history).items() if race} == {"one-lease": "Z1", "attempts": "Z1"}
    history.shift("twice", 100)
    assert races_of(history) == {"one-lease": "", "attempts": "", "owner": ""}


def test_a_delivery_instead_of_a_dead_letter_looks_like_z3_only_while_the_lease_holds(history: EditedHistory) -> None:
    for call in ("late", "claim late", "claim late again"):
        history.show(call, maxAttempts=2)
    assert races_of(history) == {"attempts": ""}
    history.shift("claim late again", -3900)
    assert races_of(history)["attempts"] == "Z3"


def test_a_nacked_task_that_comes_too_soon_looks_like_z1(history: EditedHistory) -> None:
    history.shift("claim middle again", -2400)
    assert races_of(history)["early"] == "Z1"


def test_a_new_task_that_overtakes_looks_like_no_race_and_one_that_came_back_like_z1(history: EditedHistory) -> None:
    history.shift("late", -150)
    assert races_of(history) == {"fifo": ""}
    history.shift("late", 150)
    for claim, ms in (("claim low again", -150), ("claim late", 150)):
        history.shift(claim, ms)
    assert races_of(history) == {"fifo": "Z1"}


# Evidence.


DEFECTS: dict[str, Callable[[EditedHistory], object]] = {
    "one-lease": lambda history: history.repeat("claim high", "x", ms=300, who="w2", attempts=2, workerId="w2"),
    "ended": lambda history: history.repeat("claim high", "x", ms=1500, attempts=2),
    "fifo": lambda history: history.shift("late", -150),
    "lost": lambda history: history.drop("claim delayed", "end delayed"),
    "early": lambda history: history.ask("delayed", delaySeconds=8),
    "delay": lambda history: history.show("nack middle", delaySeconds=1),
    "attempts": lambda history: history.show("claim late again", attempts=2),
}


@pytest.mark.parametrize("law", DEFECTS)
def test_the_events_of_a_violation_alone_break_the_law(history: EditedHistory, law: str) -> None:
    DEFECTS[law](history)
    violation = dict(history.check().violations)[law]
    numbers = {event.number for event in violation.events}
    assert len(numbers) <= 4
    assert law in dict(history.check(only=numbers).violations)
    for number in numbers:
        assert law not in dict(history.check(only=numbers - {number}).violations)


def test_moments_are_nanoseconds(history: EditedHistory) -> None:
    history.repeat("claim high", "twice", ms=950, who="w2", attempts=3, workerId="w2")
    (mark,) = dict(history.check().violations)["one-lease"].marks
    assert mark.at == history.calls["heartbeat high"].sent + 5 * SECOND - 501_000_000


# Sizes of queues.


def count_at_the_end(history: EditedHistory, **sizes: int) -> None:
    """Record the sizes of the queue of all tasks, when one is a dead letter and the others are completed."""
    reply = {"command": "A", "ready": 0, "delayed": 0, "inProgress": 0, "dlq": 1, **sizes}
    history.repeat("read low", "sizes", ms=20_000, who="prod")
    history.change("sizes", path="/v1/codeq/admin/queues/A", reply=json.dumps(reply))


def test_m2_sizes_that_fit_what_was_created_and_has_ended_are_right(history: EditedHistory) -> None:
    count_at_the_end(history)
    assert history.broken_laws() == {}


@pytest.mark.parametrize(
    "sizes", [{"ready": 1}, {"delayed": 1}, {"inProgress": 1}, {"dlq": 2}, {"dlq": 0}, {"dlq": 0, "ready": 1}]
)
def test_m2_sizes_that_count_a_task_too_many_or_too_few_are_seen(history: EditedHistory, sizes: dict[str, int]) -> None:
    count_at_the_end(history, **sizes)
    assert history.broken_laws() == {"sizes": {"low"}}


def test_m2_a_task_that_may_have_ended_meanwhile_may_be_counted_or_not(history: EditedHistory) -> None:
    for counted in (0, 1):
        count_at_the_end(history, inProgress=counted)
        history.change("sizes", sent=history.calls["end delayed"].sent, answered=history.calls["end delayed"].answered)
        history.show("sizes", dlq=0, ready=1)
        assert history.broken_laws() == {}


def test_m2_a_create_without_a_reply_may_be_counted(history: EditedHistory) -> None:
    history.repeat("low", "another", ms=50)
    history.lose("another")
    count_at_the_end(history, ready=1)
    assert "sizes" not in history.broken_laws()
