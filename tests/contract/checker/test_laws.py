"""Each defect, put into a right history, breaks the law that is meant for it, and no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from codeq_contract.checker import LAWS, Verdict
from codeq_contract.recordings.format import Recording
from codeq_contract.recordings.times import SECOND
from tests.contract.checker.driving import drive
from tests.contract.checker.story import STORY
from tests.contract.checker.tape import Tape

NOT_OWNER = {"status": 403, "reply": '{"error":"not-owner"}'}
NOT_FOUND = {"status": 404, "reply": '{"error":"not found"}'}
NOTHING = {"status": 204, "reply": ""}


def says(tape: Tape, law: str) -> set[str]:
    return {violation.message for name, violation in tape.report().violations if name == law}


def with_yaml(tape: Tape, text: str) -> None:
    tape.recording = replace(tape.recording, header=replace(tape.recording.header, yaml=text))


@pytest.fixture(scope="module")
def recording() -> Recording:
    return drive(STORY.values())


@pytest.fixture
def tape(recording: Recording) -> Tape:
    return Tape(recording, STORY)


def test_the_story_itself_breaks_no_law(tape: Tape) -> None:
    report = tape.report()
    assert report.verdict is Verdict.VALID
    assert [judgement.law for judgement in report.judgements] == list(LAWS)
    assert report.tasks == 5


# What is delivered.


def test_c1_a_task_that_nobody_created_is_a_phantom(tape: Tape) -> None:
    task_id = tape.id_of("high")
    tape.drop("high")
    assert tape.broken() == {"phantom": {task_id}}


def test_c1_a_task_delivered_before_it_was_created_is_a_phantom(tape: Tape) -> None:
    tape.shift("high", 600)
    assert tape.broken()["phantom"] == {"high"}


def test_c1_a_task_created_while_the_claim_waits_is_none(tape: Tape) -> None:
    tape.shift("high", 300)
    assert tape.broken() == {}


@pytest.mark.parametrize("field", [{"payload": '{"n":9}'}, {"maxAttempts": 9}, {"tenantId": "beta"}, {"webhook": ""}])
def test_k5_a_task_delivered_otherwise_than_created_is_a_phantom(tape: Tape, field: dict[str, object]) -> None:
    tape.show("claim high", **field)
    assert tape.broken() == {"phantom": {"high"}}


def test_k4_a_task_delivered_to_who_did_not_ask_for_it_is_a_phantom(tape: Tape) -> None:
    tape.ask("claim high", commands=["C"])
    assert tape.broken() == {"phantom": {"high"}}


def test_k6_a_task_delivered_to_another_tenant_is_a_phantom(tape: Tape) -> None:
    workers = tape.recording.header.identities
    other = replace(workers["w0"], claims={**workers["w0"].claims, "tenantId": "beta"})
    tape.recording = replace(tape.recording, header=replace(tape.recording.header, identities={**workers, "x": other}))
    tape.change("claim high", identity="x")
    assert tape.broken() == {"phantom": {"high"}}


@pytest.mark.parametrize(
    ("claim", "attempts"),
    [("claim high", 2), ("claim low again", 3), ("claim middle again", 2), ("claim late again", 2)],
    ids=["first", "after an abandon", "after a NACK", "after an expiry"],
)
def test_k5_attempts_that_are_counted_wrong_are_seen(tape: Tape, claim: str, attempts: int) -> None:
    tape.show(claim, attempts=attempts)
    assert "attempts" in tape.broken()


def test_n4_a_delivery_instead_of_a_dead_letter_is_seen(tape: Tape) -> None:
    for call in ("low", "claim low", "claim low again"):
        tape.show(call, maxAttempts=1)
    assert tape.broken() == {}  # an abandon makes no dead letter
    for call in ("middle", "claim middle", "claim middle again"):
        tape.show(call, maxAttempts=2)
    assert tape.broken() == {"attempts": {"middle"}}


def test_n4_a_dead_letter_too_soon_is_seen(tape: Tape) -> None:
    for call in ("late", "claim late", "claim late again"):
        tape.show(call, maxAttempts=5)
    assert tape.broken() == {"attempts": {"late"}}


@pytest.mark.parametrize("attempts", [1, 4])
def test_k5_a_read_with_impossible_attempts_is_seen(tape: Tape, attempts: int) -> None:
    tape.show("read low", attempts=attempts)
    assert tape.broken() == {"attempts": {"low"}, "lease-holds": {"low"}}


def test_k5_attempts_that_go_back_are_seen(tape: Tape) -> None:
    tape.shift("claim late again", -5500)
    assert "went back in attempts from one delivery to the next" in says(tape, "attempts")


# Who holds it.


def test_k5_a_second_delivery_of_a_leased_task_is_seen(tape: Tape) -> None:
    tape.repeat("claim high", "twice", ms=300, who="w2", attempts=2, workerId="w2")
    assert tape.broken() == {"one-lease": {"high"}, "attempts": {"high"}, "owner": {"high"}}


def test_k5_a_second_delivery_with_the_same_attempts_is_seen(tape: Tape) -> None:
    tape.repeat("claim high", "twice", ms=1, who="w2", workerId="w2")
    assert tape.broken() == {"one-lease": {"high"}, "attempts": {"high"}, "owner": {"high"}}


@pytest.mark.parametrize(("ms", "broken"), [(1490, {"one-lease": {"late"}}), (1510, {})])
def test_k8_a_lease_may_end_by_half_a_second_early_on_redis(tape: Tape, ms: int, broken: dict[str, set[str]]) -> None:
    tape.shift("claim late again", ms - 4700)
    tape.shift("nack late", ms - 4700)
    tape.recording = replace(
        tape.recording, header=replace(tape.recording.header, settings={"BACKOFF_POLICY": "exp_full_jitter"})
    )
    assert {law: tasks for law, tasks in tape.broken().items() if law == "one-lease"} == broken


def test_h1_a_heartbeat_moves_the_end_of_the_lease(tape: Tape) -> None:
    tape.drop("end high")
    tape.callbacks = tape.callbacks[1:]
    tape.repeat("claim high", "taken", ms=4900, who="w2", attempts=3, workerId="w2")
    assert tape.broken() == {"one-lease": {"high"}}
    tape.drop("beat high")
    assert tape.broken() == {}


def test_h1_of_two_heartbeats_at_once_either_may_have_come_last(tape: Tape) -> None:
    tape.drop("end high")
    tape.callbacks = tape.callbacks[1:]
    tape.repeat("beat high", "shorter", ms=-1)
    tape.ask("shorter", extendSeconds=1)
    tape.repeat("claim high", "taken", ms=3900, who="w2", attempts=3, workerId="w2")
    assert tape.broken() == {}


@pytest.mark.parametrize(("ms", "broken"), [(3996, {"lease-holds": {"high"}}), (3998, {"late": {"high"}})])
def test_k8_a_refusal_counts_if_it_was_surely_given_while_the_lease_held(
    tape: Tape, ms: int, broken: dict[str, set[str]]
) -> None:
    tape.drop("end high", "last claim")
    tape.callbacks = tape.callbacks[1:]
    tape.ask("beat high", extendSeconds=5)
    tape.repeat("beat high", "refused", ms=ms + 500)
    tape.change("refused", **NOT_OWNER)
    assert tape.broken() == broken


@pytest.mark.parametrize(("ms", "broken"), [(6001, {}), (-6001, {"late": {"high"}})], ids=["after", "before"])
def test_k7_a_refusal_after_the_lease_is_right_only_if_a_claim_may_have_come_by(
    tape: Tape, ms: int, broken: dict[str, set[str]]
) -> None:
    tape.drop("end high", "last claim", "claim delayed", "end delayed", "claim late again", "nack late")
    tape.callbacks = tape.callbacks[1:]
    tape.repeat("claim in vain", "a claim", ms=ms)
    tape.repeat("beat high", "refused", ms=8000)
    tape.change("refused", **NOT_OWNER)
    assert {law: tasks for law, tasks in tape.broken().items() if law == "late"} == broken


def test_k7_a_lost_claim_may_have_taken_a_task_whose_lease_was_over(tape: Tape) -> None:
    tape.drop("end high", "last claim", "claim delayed", "end delayed", "claim late again", "nack late")
    tape.callbacks = tape.callbacks[1:]
    tape.lose("claim in vain")
    tape.repeat("beat high", "refused", ms=8000)
    tape.change("refused", **NOT_OWNER)
    assert tape.report().verdict is Verdict.UNKNOWN


def test_h1_a_heartbeat_in_the_instant_of_the_end_may_have_come_before_it(tape: Tape) -> None:
    tape.change("end high", identity="w0", sent=tape.calls["beat high"].sent, answered=tape.calls["beat high"].sent)
    tape.calls["beat high"] = replace(tape.calls.pop("beat high"), answered=tape.calls["end high"].sent)
    tape.repeat("beat high", "refused", ms=100)
    tape.change("refused", status=409, reply='{"error":"not-in-progress"}')
    tape.callbacks = []
    assert {*tape.broken()} <= {"callback"}


def test_s1_a_holder_that_is_refused_is_seen(tape: Tape) -> None:
    tape.repeat("beat high", "refused", ms=100)
    tape.change("refused", **NOT_OWNER)
    assert tape.broken() == {"lease-holds": {"high"}}


def test_h2_one_that_holds_nothing_is_refused_rightly(tape: Tape) -> None:
    tape.repeat("beat high", "refused", ms=100, who="w1")
    tape.change("refused", **NOT_OWNER)
    assert tape.broken() == {}


def test_h2_a_read_that_shows_a_held_task_as_free_is_seen(tape: Tape) -> None:
    tape.show("read low", status="PENDING", workerId="")
    assert tape.broken() == {"lease-holds": {"low"}}


@pytest.mark.parametrize("call", ["beat high", "abandon low", "nack middle", "end low"])
def test_h2_a_deed_accepted_from_a_stranger_is_seen(tape: Tape, call: str) -> None:
    tape.repeat(call, "meddling", ms=0, who="w2")
    broken = tape.broken()
    assert "owner" in broken
    assert broken["owner"] == {call.partition(" ")[2]}


def test_d2_a_deed_accepted_from_who_gave_the_task_back_is_seen(tape: Tape) -> None:
    tape.repeat("abandon low", "again", ms=50)
    assert tape.broken() == {"owner": {"low"}}


def test_k7_a_result_accepted_after_a_claim_came_by_a_lease_that_ran_out_is_seen(tape: Tape) -> None:
    tape.repeat("end low", "too late", ms=3000, who="w2")
    tape.change("too late", path=f"/v1/codeq/tasks/{tape.id_of('late')}/result")
    tape.drop("claim late again", "nack late")
    assert tape.broken() == {"expiry": {"late"}}
    tape.drop("claim middle again", "end middle")  # S3: no claim came by
    tape.callbacks = tape.callbacks[:1]
    tape.drop("middle", "claim middle", "nack middle")
    assert tape.broken() == {}


def test_h3_a_heartbeat_that_revives_a_lease_is_seen(tape: Tape) -> None:
    tape.repeat("beat high", "beat late", ms=3600, who="w2")
    tape.change("beat late", path=f"/v1/codeq/tasks/{tape.id_of('late')}/heartbeat")
    tape.repeat("read low", "read late", ms=2850, attempts=1, workerId="w2", id=tape.id_of("late"))
    assert tape.broken() == {"expiry": {"late"}}


# How it ends.


def test_s4_a_delivery_after_the_end_is_seen_as_the_race_z1(tape: Tape) -> None:
    tape.repeat("claim high", "again", ms=1500, attempts=2)
    (law, violation), *others = tape.report().violations
    assert not others
    assert (law, violation.task_id, violation.race) == ("ended", tape.id_of("high"), "Z1")


def test_s1_a_second_result_is_seen(tape: Tape) -> None:
    tape.repeat("end high", "again", ms=2)
    assert tape.broken() == {"ended": {"high"}}


def test_n4_a_dead_letter_that_is_delivered_is_seen(tape: Tape) -> None:
    tape.repeat("claim late again", "again", ms=3000, attempts=5)
    assert tape.broken() == {"ended": {"late"}}


def test_s4_an_ended_task_that_reads_as_alive_is_seen(tape: Tape) -> None:
    tape.repeat("read low", "again", ms=500)
    assert tape.broken() == {"ended": {"low"}}


def test_s4_an_ended_task_that_reads_as_ended_otherwise_is_seen(tape: Tape) -> None:
    tape.repeat("read low", "again", ms=500, status="COMPLETED", workerId="")
    assert tape.broken() == {}
    tape.show("again", status="FAILED", lastKnownLocation="DLQ_SET")
    assert tape.broken() == {"ended": {"low"}}


def test_n4_a_dead_letter_that_reads_as_completed_is_seen(tape: Tape) -> None:
    tape.repeat("read low", "later", ms=5000, id=tape.id_of("late"), status="FAILED", workerId="", attempts=4)
    assert tape.broken() == {}
    tape.show("later", status="COMPLETED")
    assert tape.broken() == {"ended": {"late"}}


def test_s4_two_reads_that_show_different_ends_are_seen(tape: Tape) -> None:
    tape.drop("end low")
    tape.repeat("read low", "once", ms=500, status="COMPLETED", workerId="")
    assert "ended" not in tape.broken()
    tape.repeat("read low", "twice", ms=600, status="FAILED", workerId="")
    assert tape.broken()["ended"] == {"low"}


def test_c1_a_task_that_no_claim_finds_any_more_is_lost(tape: Tape) -> None:
    tape.drop("claim delayed", "end delayed")
    assert tape.broken() == {"lost": {"delayed"}}
    tape.drop("last claim")  # then nobody has looked
    assert tape.broken() == {}


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
    tape: Tape, gone: tuple[str, ...], task: str
) -> None:
    tape.drop(*gone)
    tape.callbacks = tape.callbacks[:1]
    assert tape.broken()["lost"] == {task}


def test_k7_a_repair_may_miss_a_leased_task_among_more_than_it_looks_at(tape: Tape) -> None:
    with_yaml(tape, "requeueInspectLimit: 1")
    tape.drop("claim late again", "nack late", "last claim")
    tape.repeat("read low", "read late", ms=4600, attempts=1, workerId="w2", id=tape.id_of("late"))
    assert tape.broken() == {}


def test_k7_a_repair_may_miss_a_due_task_among_more_than_it_looks_at(tape: Tape) -> None:
    with_yaml(tape, "requeueInspectLimit: 1")
    tape.drop("claim delayed", "end delayed")
    assert tape.broken() == {}


def test_k7_a_task_that_stays_in_progress_for_ever_is_lost_as_by_the_race_z2(tape: Tape) -> None:
    tape.drop("claim late again", "nack late", "last claim")
    tape.repeat("read low", "read late", ms=4600, attempts=1, workerId="w2", id=tape.id_of("late"))
    (law, violation), *others = tape.report().violations
    assert not others
    assert (law, violation.task_id, violation.race) == ("lost", tape.id_of("late"), "Z2")


def test_c1_a_task_of_which_the_server_knows_nothing_is_lost(tape: Tape) -> None:
    tape.repeat("read low", "not found", ms=50)
    tape.change("not found", **NOT_FOUND)
    assert tape.broken() == {"lost": {"low"}}


# Who comes first.


def test_k4_a_task_that_overtakes_is_seen(tape: Tape) -> None:
    tape.shift("late", -150)
    assert tape.broken() == {"fifo": {"late"}}


def test_k4_tasks_created_at_the_same_time_have_no_order(tape: Tape) -> None:
    tape.shift("late", -100)
    assert tape.broken() == {}


def test_d1_an_abandoned_task_goes_to_the_tail(tape: Tape) -> None:
    for claim, ms in (("claim low again", -150), ("claim late", 150)):
        tape.shift(claim, ms)
    assert tape.broken() == {"fifo": {"late"}}


def test_k4_a_lower_priority_first_is_seen(tape: Tape) -> None:
    for call in ("low", "claim low", "claim low again"):
        tape.show(call, priority=9)
    assert tape.broken()["priority"] == {"low"}


def test_k4_a_command_named_later_first_is_seen(tape: Tape) -> None:
    tape.ask("claim high", commands=["B", "A"])
    for call in ("low", "claim low", "claim low again"):
        tape.show(call, command="B")
    for call in ("claim low", "claim low again"):
        tape.ask(call, commands=["B"])
    assert tape.broken()["priority"] == {"low"}


def test_k3_a_claim_that_comes_back_empty_while_a_task_waits_is_seen_as_the_race_z4(tape: Tape) -> None:
    tape.repeat("claim high", "in vain", ms=-30)
    tape.change("in vain", **NOTHING)
    assert tape.broken() == {"empty": {"high", "middle", "late"}}  # one of each priority
    assert {violation.race for _, violation in tape.report().violations} == {"Z4"}


@pytest.mark.parametrize(("ms", "broken"), [(1790, {}), (1810, {"empty": {"middle"}})])
def test_n3_a_delayed_task_must_be_found_once_it_is_due(tape: Tape, ms: int, broken: dict[str, set[str]]) -> None:
    """The NACK was answered at 1.801 s and asked for 2 s, and the claim in vain was sent at 2.499 s."""
    tape.shift("claim in vain", ms - 490)
    assert tape.broken() == broken


# When.


def test_c7_a_delayed_task_delivered_too_soon_is_seen(tape: Tape) -> None:
    tape.ask("delayed", delaySeconds=7)
    assert tape.broken() == {}
    tape.ask("delayed", delaySeconds=8)
    assert tape.broken() == {"early": {"delayed"}}


@pytest.mark.parametrize("late", [{"delaySeconds": 8}, {"runAt": "2027-01-15T08:00:08Z"}])
def test_c7_a_delay_that_was_forgotten_is_seen(tape: Tape, late: dict[str, object]) -> None:
    tape.show("delayed", lastKnownLocation="PENDING_LIST")
    tape.ask("delayed", **late)
    assert tape.broken() == {"early": {"delayed"}}


def test_c6_a_task_delivered_before_its_run_at_is_seen(tape: Tape) -> None:
    tape.ask("delayed", delaySeconds=0, runAt="2027-01-15T08:00:06Z")
    assert tape.broken() == {}
    tape.ask("delayed", runAt="2027-01-15T08:00:07Z")
    assert tape.broken() == {"early": {"delayed"}}


def test_c6_a_task_whose_run_at_is_later_in_the_second_of_its_create_is_there_once_it_is_created(tape: Tape) -> None:
    tape.ask("delayed", delaySeconds=0, runAt="2027-01-15T08:00:00.9Z")
    tape.calls = {name: tape.calls[name] for name in ("delayed", "claim in vain")}
    tape.callbacks = []
    tape.shift("claim in vain", -2000)
    assert tape.broken() == {}
    tape.shift("claim in vain", 3)
    assert tape.broken() == {"lost": {"delayed"}}


def test_n3_a_nacked_task_delivered_too_soon_is_seen(tape: Tape) -> None:
    tape.shift("claim middle again", -2400)
    assert tape.broken()["early"] == {"middle"}


def test_n5_a_task_delivered_too_soon_after_its_lease_ran_out_is_seen(tape: Tape) -> None:
    header = tape.recording.header
    tape.recording = replace(
        tape.recording, header=replace(header, settings={**header.settings, "BACKOFF_BASE_SECONDS": "5"})
    )
    tape.show("nack late", delaySeconds=0)
    assert tape.broken() == {"early": {"late"}}


def test_n3_a_delay_that_was_not_asked_for_is_seen(tape: Tape) -> None:
    tape.show("nack middle", delaySeconds=1)
    assert tape.broken() == {"delay": {"middle"}}


def test_n6_a_delay_that_is_not_the_policy_s_is_seen(tape: Tape) -> None:
    tape.ask("nack middle", delaySeconds=0)
    assert tape.broken() == {"delay": {"middle"}}


# Callbacks.


def test_w1_a_callback_before_the_end_is_seen(tape: Tape) -> None:
    tape.callbacks[0] = replace(tape.callbacks[0], at=tape.calls["claim high"].answered)
    assert tape.broken() == {"callback-cause": {"high"}}


def test_w1_a_callback_of_a_task_that_never_ended_is_seen(tape: Tape) -> None:
    tape.drop("end high")
    assert tape.broken()["callback-cause"] == {"high"}


def test_w1_a_callback_that_tells_another_end_is_seen(tape: Tape) -> None:
    tape.show("end high", status="FAILED")
    assert tape.broken() == {"callback-cause": {"high"}}


def test_s6_a_callback_after_a_batch_of_results_is_seen(tape: Tape) -> None:
    record = json.loads(tape.calls["end high"].reply)
    reply = json.dumps({"results": [{"taskId": record["taskId"], "result": record}]})
    tape.change("end high", path="/v1/codeq/tasks/batch/results", reply=reply)
    assert tape.broken() == {"callback-cause": {"high"}}


def test_w1_a_callback_without_a_webhook_is_seen(tape: Tape) -> None:
    for call in ("high", "claim high"):
        tape.show(call, webhook="")
    assert tape.broken() == {"callback-cause": {"high"}}


def test_w1_a_missing_callback_is_seen_when_there_was_time_for_it(tape: Tape) -> None:
    del tape.callbacks[0]
    assert tape.broken() == {}
    tape.repeat("last claim", "much later", ms=8000)
    assert tape.broken() == {"callback": {"high"}}


def test_l1_a_callback_may_be_late_when_webhooks_are_limited(tape: Tape) -> None:
    del tape.callbacks[0]
    with_yaml(tape, "rateLimit: {webhook: {requestsPerMinute: 1, burstSize: 1}}")
    tape.repeat("last claim", "much later", ms=8000)
    assert tape.broken() == {}


def test_w2_a_signature_of_another_body_is_seen(tape: Tape) -> None:
    tape.callbacks[0] = replace(tape.callbacks[0], body=tape.callbacks[0].body.replace("null", "[]"))
    assert tape.broken() == {"signature": {"high"}}


def test_w2_a_missing_signature_is_seen(tape: Tape) -> None:
    headers = {name: value for name, value in tape.callbacks[0].headers.items() if not name.startswith("x-codeq")}
    tape.callbacks[0] = replace(tape.callbacks[0], headers=headers)
    assert tape.broken() == {"signature": {"high"}}


def test_w2_a_signature_without_a_secret_is_seen(tape: Tape) -> None:
    tape.recording = replace(tape.recording, header=replace(tape.recording.header, settings={}))
    assert tape.broken()["signature"] == {"high", "middle"}


# Callers of whom the recording does not tell.


def test_a2_a_caller_without_a_name_may_be_anyone(tape: Tape) -> None:
    for call in ("claim low", "abandon low", "claim in vain"):
        tape.change(call, identity=None)
    assert tape.broken() == {}


# Replies that were lost.


def test_a_lost_deed_leaves_it_open_whether_the_task_was_given_back(tape: Tape) -> None:
    tape.repeat("claim high", "twice", ms=300, who="w2", attempts=2, workerId="w2")
    tape.repeat("abandon low", "lost", ms=-1300, who="w0")
    tape.change("lost", path=f"/v1/codeq/tasks/{tape.id_of('high')}/abandon")
    tape.lose("lost")
    report = tape.report()
    assert report.verdict is Verdict.UNKNOWN
    assert report.violations == ()


def test_a_lost_claim_leaves_it_open_who_has_a_task(tape: Tape) -> None:
    tape.repeat("claim high", "lost", ms=10)
    tape.lose("lost")
    tape.drop("claim delayed", "end delayed")
    assert tape.report().verdict is Verdict.UNKNOWN


def test_a_lost_claim_of_another_command_leaves_nothing_open(tape: Tape) -> None:
    tape.repeat("claim high", "lost", ms=10)
    tape.ask("lost", commands=["B"])
    tape.lose("lost")
    tape.drop("claim delayed", "end delayed")
    assert tape.broken() == {"lost": {"delayed"}}


def test_a_lost_claim_excuses_no_second_lease(tape: Tape) -> None:
    tape.repeat("claim high", "lost", ms=10)
    tape.lose("lost")
    tape.repeat("claim high", "twice", ms=300, who="w2", attempts=2, workerId="w2")
    assert tape.broken() == {"one-lease": {"high"}}


def test_a_lost_create_leaves_it_open_who_made_a_task(tape: Tape) -> None:
    tape.lose("high")
    assert tape.report().verdict is Verdict.UNKNOWN


def test_a_lost_create_with_a_key_may_have_made_what_a_later_one_found(tape: Tape) -> None:
    tape.ask("high", idempotencyKey="k")
    tape.repeat("high", "high again", ms=600)
    tape.lose("high")
    assert tape.report().verdict is Verdict.UNKNOWN


def test_a_lost_create_leaves_it_open_what_a_stranger_s_callback_is_about(tape: Tape) -> None:
    task_id = tape.id_of("high")
    tape.drop("claim high", "beat high", "end high")
    tape.lose("high")
    report = tape.report()
    assert {violation.task_id for judgement in report.judgements for violation in judgement.doubtful} == {task_id}
    assert report.verdict is Verdict.UNKNOWN


def test_a_lost_clean_up_leaves_it_open_what_is_gone(tape: Tape) -> None:
    tape.repeat("read low", "not found", ms=50)
    tape.change("not found", **NOT_FOUND)
    tape.repeat("read low", "clean up", ms=20)
    tape.change("clean up", method="POST", path="/v1/codeq/admin/tasks/cleanup", body="{}")
    tape.lose("clean up")
    assert tape.report().verdict is Verdict.UNKNOWN


def test_a_server_error_counts_as_a_lost_reply(tape: Tape) -> None:
    tape.change("high", status=502, reply="bad gateway")
    assert tape.report().verdict is Verdict.UNKNOWN


# What is shown.


DEFECTS: dict[str, Callable[[Tape], object]] = {
    "one-lease": lambda tape: tape.repeat("claim high", "x", ms=300, who="w2", attempts=2, workerId="w2"),
    "ended": lambda tape: tape.repeat("claim high", "x", ms=1500, attempts=2),
    "fifo": lambda tape: tape.shift("late", -150),
    "lost": lambda tape: tape.drop("claim delayed", "end delayed"),
    "early": lambda tape: tape.ask("delayed", delaySeconds=8),
    "delay": lambda tape: tape.show("nack middle", delaySeconds=1),
    "attempts": lambda tape: tape.show("claim late again", attempts=2),
}


@pytest.mark.parametrize("law", DEFECTS)
def test_the_events_that_are_shown_break_the_law_by_themselves(tape: Tape, law: str) -> None:
    DEFECTS[law](tape)
    violation = dict(tape.report().violations)[law]
    numbers = {event.number for event in violation.events}
    assert len(numbers) <= 4
    assert law in dict(tape.report(only=numbers).violations)
    for number in numbers:
        assert law not in dict(tape.report(only=numbers - {number}).violations)


def test_moments_are_nanoseconds(tape: Tape) -> None:
    tape.repeat("claim high", "twice", ms=950, who="w2", attempts=3, workerId="w2")
    (mark,) = dict(tape.report().violations)["one-lease"].marks
    assert mark.at == tape.calls["beat high"].sent + 5 * SECOND - 501_000_000
