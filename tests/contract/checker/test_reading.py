"""Requests are read as Go reads them, and a reply that does not come from the API does not stop the check."""

from __future__ import annotations

import pytest

from codeq_contract.checker import Validity
from tests.contract.checker.support import EditedHistory

GATEWAY = '{"error":{"code":503,"message":"no healthy upstream"}}'


@pytest.mark.parametrize("status", [404, 503])
@pytest.mark.parametrize("call", ["read low", "empty claim", "end low"])
def test_an_error_that_is_an_object_comes_from_a_gateway(history: EditedHistory, call: str, status: int) -> None:
    history.change(call, status=status, reply=GATEWAY)
    assert history.check().validity is not Validity.VIOLATED


@pytest.mark.parametrize("body", [None, "", "<html>", "[1]", '{"commands":5}', '{"commands":[5]}', "[" * 9999])
def test_k4_a_lost_claim_with_an_unreadable_body_may_name_any_command(history: EditedHistory, body: str | None) -> None:
    history.lose("claim high")
    history.change("claim high", body=body)
    report = history.check()
    assert report.validity is Validity.UNKNOWN
    assert report.violations == ()


@pytest.mark.parametrize("call", ["claim high", "heartbeat high", "end low", "nack middle", "abandon low", "low"])
@pytest.mark.parametrize("cut", [0, 1, 9])
def test_a_cut_reply_counts_as_lost(history: EditedHistory, call: str, cut: int) -> None:
    history.change(call, reply=history.calls[call].reply[:cut])
    assert history.check().violations == ()


@pytest.mark.parametrize("call", ["claim high", "heartbeat high", "read low", "low"])
@pytest.mark.parametrize("reply", ["null", "[]", '"signed out"'])
def test_a_reply_that_is_not_an_object_counts_as_lost(history: EditedHistory, call: str, reply: str) -> None:
    history.change(call, reply=reply)
    assert history.check().violations == ()


def test_a_read_with_a_cut_reply_is_ignored(history: EditedHistory) -> None:
    history.change("read low", reply='{"id":"')
    assert history.check().validity is Validity.VALID


# As Go reads it.


@pytest.mark.parametrize("run_at", ["0001-01-01T00:00:00Z", "0001-01-01T03:00:00+03:00", "", None])
def test_c6_the_zero_time_counts_as_absent(history: EditedHistory, run_at: str | None) -> None:
    history.ask("delayed", runAt=run_at)
    assert history.broken_laws() == {}
    history.ask("delayed", delaySeconds=9)
    assert history.broken_laws() == {"early": {"delayed"}}


@pytest.mark.parametrize(("created", "claimed"), [("ΟΔΟΣ", "οδοσ"), ("İX", "ix"), ("\ufffd", "\ud800")])
def test_c2_commands_are_lowered_rune_by_rune(history: EditedHistory, created: str, claimed: str) -> None:
    for call in history.calls:
        if history.calls[call].status in {200, 202} and '"command":"A"' in history.calls[call].reply:
            history.show(call, command=created)
        if '"commands"' in (history.calls[call].body or ""):
            history.ask(call, commands=[claimed, "B"])
    assert history.broken_laws() == {}


@pytest.mark.parametrize("field", ["leaseSeconds", "extendSeconds"])
def test_k2_a_lease_of_more_nanoseconds_than_go_can_count_may_be_over_at_once(
    history: EditedHistory, field: str
) -> None:
    call = {"leaseSeconds": "claim late", "extendSeconds": "heartbeat high"}[field]
    if field == "extendSeconds":
        history.drop("end high")
        history.repeat("claim late again", "claim high again", ms=0, id=history.id_of("high"), priority=2)
    history.ask(call, **{field: 10**10})
    assert "one-lease" not in history.broken_laws()
    history.ask(call, **{field: 10**9})
    assert "one-lease" in history.broken_laws()


def test_c7_a_delay_of_more_nanoseconds_than_go_can_count_may_be_none(history: EditedHistory) -> None:
    history.ask("delayed", delaySeconds=10**10)
    assert history.broken_laws() == {}
    history.ask("delayed", delaySeconds=10**9)
    assert history.broken_laws() == {"early": {"delayed"}}
