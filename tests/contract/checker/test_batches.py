"""What one call makes or takes has an order too, and no call takes more than it asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from codeq_contract.recordings.format import Recording
from tests.contract.checker.driving import drive
from tests.contract.checker.story import STORY
from tests.contract.checker.tape import Tape

FIRST = ["low", "late", "high", "middle"]


@pytest.fixture(scope="module")
def recording() -> Recording:
    return drive([STORY[name] for name in (*FIRST, "claim high", "claim middle", "claim low", "claim late")])


@pytest.fixture
def tape(recording: Recording) -> Tape:
    """Four tasks made one after another, and claimed: `high`, `middle`, `low`, `late`."""
    return Tape(recording, [*FIRST, "claim high", "claim middle", "claim low", "claim late"])


def make_in_one_call(tape: Tape, *names: str, **more: object) -> None:
    """Record the creates as one batch, in this order; `more` is asked for the last of them."""
    bodies = [json.loads(tape.calls[name].body or "") for name in names]
    bodies[-1] |= more
    replies = [{"task": json.loads(tape.calls[name].reply)} for name in names]
    body, reply = json.dumps({"tasks": bodies}), json.dumps({"results": replies})
    tape.change(names[0], path="/v1/codeq/tasks/batch", body=body, reply=reply, status=200)
    tape.drop(*names[1:])


def take_in_one_call(tape: Tape, *names: str, count: int = 3) -> None:
    """Record the claims as one batch, which got the tasks in this order."""
    reply = {"tasks": [{**json.loads(tape.calls[name].reply), "workerId": "w1"} for name in names]}
    last = replace(tape.calls[names[0]], sent=tape.calls[names[-1]].sent, answered=tape.calls[names[-1]].answered)
    tape.calls[names[0]] = replace(last, path="/v1/codeq/tasks/claim/batch", identity="w1", reply=json.dumps(reply))
    tape.ask(names[0], count=count)
    tape.drop(*names[1:])


def broken(tape: Tape, ids: Mapping[str, str]) -> dict[str, set[str]]:
    return {law: {ids.get(name, name) for name in tasks} for law, tasks in tape.broken().items()}


@pytest.fixture
def ids(tape: Tape) -> Mapping[str, str]:
    return {tape.id_of(name): name for name in FIRST}


def test_c9_of_tasks_made_in_one_call_the_first_comes_first(tape: Tape) -> None:
    make_in_one_call(tape, "low", "late")
    assert tape.broken() == {}


def test_c9_a_task_that_overtakes_one_made_before_it_in_the_same_call_is_seen(
    tape: Tape, ids: Mapping[str, str]
) -> None:
    make_in_one_call(tape, "late", "low")
    assert broken(tape, ids) == {"fifo": {"late"}}


def test_c8_which_of_two_creates_with_a_key_made_the_task_is_not_known(tape: Tape, ids: Mapping[str, str]) -> None:
    tape.repeat("low", "low again", ms=100)
    make_in_one_call(tape, "late", "low", idempotencyKey="k")
    assert broken(tape, ids) == {}
    take_in_one_call(tape, "claim low", "claim late")
    assert broken(tape, ids) == {}


def test_k10_tasks_taken_in_one_call_are_taken_in_their_order(tape: Tape) -> None:
    take_in_one_call(tape, "claim low", "claim late")
    assert tape.broken() == {}


def test_k10_tasks_taken_in_one_call_in_another_order_are_seen(tape: Tape) -> None:
    take_in_one_call(tape, "claim late", "claim low")
    assert tape.broken() == {"fifo": {"low"}}


@pytest.mark.parametrize("made", [("late", "low"), ("low", "late")])
def test_k10_what_was_made_in_one_call_is_taken_in_one_call_in_its_order(
    tape: Tape, ids: Mapping[str, str], made: tuple[str, str]
) -> None:
    make_in_one_call(tape, *made)
    take_in_one_call(tape, "claim low", "claim late")
    assert broken(tape, ids) == ({} if made == ("low", "late") else {"fifo": {"late"}})


def test_k10_more_tasks_than_were_asked_for_are_seen(tape: Tape) -> None:
    take_in_one_call(tape, "claim low", "claim late", count=2)
    assert tape.broken() == {}
    tape.ask("claim low", count=1)
    assert tape.broken() == {"count": {"late"}}


def test_k3_a_single_claim_gets_one_task(tape: Tape) -> None:
    take_in_one_call(tape, "claim low", "claim late")
    tape.change("claim low", path="/v1/codeq/tasks/claim")
    assert tape.broken() == {"count": {"late"}}
