"""The items of one call have an order, and no claim gets more tasks than it asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from codeq_contract.recordings.format import Recording
from tests.contract.checker.support import SCENARIO, EditedHistory, drive

FIRST = ["low", "late", "high", "middle"]


@pytest.fixture(scope="module")
def recording() -> Recording:
    return drive([SCENARIO[name] for name in (*FIRST, "claim high", "claim middle", "claim low", "claim late")])


@pytest.fixture
def history(recording: Recording) -> EditedHistory:
    """Four tasks made one after another, and claimed: `high`, `middle`, `low`, `late`."""
    return EditedHistory(recording, [*FIRST, "claim high", "claim middle", "claim low", "claim late"])


def make_in_one_call(history: EditedHistory, *names: str, **more: object) -> None:
    """Record the creates as one batch, in this order; `more` is asked for the last of them."""
    bodies = [json.loads(history.calls[name].body or "") for name in names]
    bodies[-1] |= more
    replies = [{"task": json.loads(history.calls[name].reply)} for name in names]
    body, reply = json.dumps({"tasks": bodies}), json.dumps({"results": replies})
    history.change(names[0], path="/v1/codeq/tasks/batch", body=body, reply=reply, status=200)
    history.drop(*names[1:])


def take_in_one_call(history: EditedHistory, *names: str, count: int = 3) -> None:
    """Record the claims as one batch, which got the tasks in this order."""
    reply = {"tasks": [{**json.loads(history.calls[name].reply), "workerId": "w1"} for name in names]}
    last = replace(
        history.calls[names[0]], sent=history.calls[names[-1]].sent, answered=history.calls[names[-1]].answered
    )
    history.calls[names[0]] = replace(last, path="/v1/codeq/tasks/claim/batch", identity="w1", reply=json.dumps(reply))
    history.ask(names[0], count=count)
    history.drop(*names[1:])


def broken(history: EditedHistory, ids: Mapping[str, str]) -> dict[str, set[str]]:
    return {law: {ids.get(name, name) for name in tasks} for law, tasks in history.broken_laws().items()}


@pytest.fixture
def ids(history: EditedHistory) -> Mapping[str, str]:
    return {history.id_of(name): name for name in FIRST}


def test_c9_of_tasks_made_in_one_call_the_first_comes_first(history: EditedHistory) -> None:
    make_in_one_call(history, "low", "late")
    assert history.broken_laws() == {}


def test_c9_a_task_that_overtakes_one_made_before_it_in_the_same_call_is_seen(
    history: EditedHistory, ids: Mapping[str, str]
) -> None:
    make_in_one_call(history, "late", "low")
    assert broken(history, ids) == {"fifo": {"late"}}


def test_c8_which_of_two_creates_with_a_key_made_the_task_is_not_known(
    history: EditedHistory, ids: Mapping[str, str]
) -> None:
    history.repeat("low", "low again", ms=100)
    make_in_one_call(history, "late", "low", idempotencyKey="k")
    assert broken(history, ids) == {}
    take_in_one_call(history, "claim low", "claim late")
    assert broken(history, ids) == {}


def test_k10_tasks_taken_in_one_call_are_taken_in_their_order(history: EditedHistory) -> None:
    take_in_one_call(history, "claim low", "claim late")
    assert history.broken_laws() == {}


def test_k10_tasks_taken_in_one_call_in_another_order_are_seen(history: EditedHistory) -> None:
    take_in_one_call(history, "claim late", "claim low")
    assert history.broken_laws() == {"fifo": {"low"}}


@pytest.mark.parametrize("made", [("late", "low"), ("low", "late")])
def test_k10_what_was_made_in_one_call_is_taken_in_one_call_in_its_order(
    history: EditedHistory, ids: Mapping[str, str], made: tuple[str, str]
) -> None:
    make_in_one_call(history, *made)
    take_in_one_call(history, "claim low", "claim late")
    assert broken(history, ids) == ({} if made == ("low", "late") else {"fifo": {"late"}})


def test_k10_more_tasks_than_were_asked_for_are_seen(history: EditedHistory) -> None:
    take_in_one_call(history, "claim low", "claim late", count=2)
    assert history.broken_laws() == {}
    history.ask("claim low", count=1)
    assert history.broken_laws() == {"count": {"late"}}


def test_k3_a_single_claim_gets_one_task(history: EditedHistory) -> None:
    take_in_one_call(history, "claim low", "claim late")
    history.change("claim low", path="/v1/codeq/tasks/claim")
    assert history.broken_laws() == {"count": {"late"}}
