"""Callers are read as Go reads them, and what is no reply of the API keeps no history from being judged."""

from __future__ import annotations

import pytest

from codeq_contract.checker import Verdict
from codeq_contract.recordings.format import Recording
from tests.contract.checker.driving import drive
from tests.contract.checker.story import STORY
from tests.contract.checker.tape import Tape

GATEWAY = '{"error":{"code":503,"message":"no healthy upstream"}}'


@pytest.fixture(scope="module")
def recording() -> Recording:
    return drive(STORY.values())


@pytest.fixture
def tape(recording: Recording) -> Tape:
    return Tape(recording, STORY)


@pytest.mark.parametrize("status", [404, 503])
@pytest.mark.parametrize("call", ["read low", "claim in vain", "end low"])
def test_an_error_that_is_an_object_is_somebody_elses(tape: Tape, call: str, status: int) -> None:
    tape.change(call, status=status, reply=GATEWAY)
    assert tape.report().verdict is not Verdict.VIOLATED


@pytest.mark.parametrize("body", [None, "", "<html>", "[1]", '{"commands":5}', '{"commands":[5]}', "[" * 9999])
def test_k4_a_lost_claim_whose_body_says_nothing_may_have_been_for_anything(tape: Tape, body: str | None) -> None:
    tape.lose("claim high")
    tape.change("claim high", body=body)
    report = tape.report()
    assert report.verdict is Verdict.UNKNOWN
    assert report.violations == ()


@pytest.mark.parametrize("call", ["claim high", "beat high", "end low", "nack middle", "abandon low", "low"])
@pytest.mark.parametrize("cut", [0, 1, 9])
def test_a_call_whose_reply_was_cut_is_a_lost_one(tape: Tape, call: str, cut: int) -> None:
    tape.change(call, reply=tape.calls[call].reply[:cut])
    assert tape.report().violations == ()


@pytest.mark.parametrize("call", ["claim high", "beat high", "read low", "low"])
@pytest.mark.parametrize("reply", ["null", "[]", '"signed out"'])
def test_a_reply_that_is_no_object_is_a_lost_one(tape: Tape, call: str, reply: str) -> None:
    tape.change(call, reply=reply)
    assert tape.report().violations == ()


def test_a_read_whose_reply_was_cut_is_none(tape: Tape) -> None:
    tape.change("read low", reply='{"id":"')
    assert tape.report().verdict is Verdict.VALID


# As Go reads it.


@pytest.mark.parametrize("run_at", ["0001-01-01T00:00:00Z", "0001-01-01T03:00:00+03:00", "", None])
def test_c6_the_zero_time_counts_as_absent(tape: Tape, run_at: str | None) -> None:
    tape.ask("delayed", runAt=run_at)
    assert tape.broken() == {}
    tape.ask("delayed", delaySeconds=9)
    assert tape.broken() == {"early": {"delayed"}}


@pytest.mark.parametrize(("created", "claimed"), [("ΟΔΟΣ", "οδοσ"), ("İX", "ix"), ("\ufffd", "\ud800")])
def test_c2_commands_are_lowered_rune_by_rune(tape: Tape, created: str, claimed: str) -> None:
    for call in tape.calls:
        if tape.calls[call].status in {200, 202} and '"command":"A"' in tape.calls[call].reply:
            tape.show(call, command=created)
        if '"commands"' in (tape.calls[call].body or ""):
            tape.ask(call, commands=[claimed, "B"])
    assert tape.broken() == {}


@pytest.mark.parametrize("field", ["leaseSeconds", "extendSeconds"])
def test_k2_a_lease_of_more_nanoseconds_than_go_can_count_may_be_over_at_once(tape: Tape, field: str) -> None:
    call = {"leaseSeconds": "claim late", "extendSeconds": "beat high"}[field]
    if field == "extendSeconds":
        tape.drop("end high")
        tape.repeat("claim late again", "claim high again", ms=0, id=tape.id_of("high"), priority=2)
    tape.ask(call, **{field: 10**10})
    assert "one-lease" not in tape.broken()
    tape.ask(call, **{field: 10**9})
    assert "one-lease" in tape.broken()


def test_c7_a_delay_of_more_nanoseconds_than_go_can_count_may_be_none(tape: Tape) -> None:
    tape.ask("delayed", delaySeconds=10**10)
    assert tape.broken() == {}
    tape.ask("delayed", delaySeconds=10**9)
    assert tape.broken() == {"early": {"delayed"}}
