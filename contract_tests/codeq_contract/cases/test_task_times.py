"""Section 4: the times that a task shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from codeq_contract.driver import Reply
from codeq_contract.recordings.times import parse_moment
from codeq_contract.suite.case import checks, timed
from codeq_contract.suite.case_context import CaseContext

pytestmark = timed


@checks("T.10", "T.11", "T.15")
def test_times_have_a_fraction_and_the_end_of_a_lease_has_none(contract: CaseContext) -> None:
    command = contract.command()
    contract.wait_for_fraction(123_456_780)
    created = contract.producer.create(command)
    task = created.json
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?(Z|[+-]\d\d:\d\d)", task["createdAt"])
    assert task["updatedAt"] == task["createdAt"]
    assert contract.lies_after(created, 0, task["createdAt"])
    claimed = contract.worker.claim(command, leaseSeconds=90)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", claimed.json["leaseUntil"])
    assert contract.lasts(claimed, 90, claimed.json["leaseUntil"])


@checks("T.13", "T.14")
@pytest.mark.parametrize("last", ["heartbeat", "abandon", "nack", "submit"])
def test_a_task_shows_when_it_was_touched_last(contract: CaseContext, last: str) -> None:
    command, worker = contract.command(), contract.worker
    task = contract.producer.created(command)
    claimed = _touched(contract, task, lambda: worker.claim(command))
    _touched(contract, claimed, lambda: getattr(worker, last)(task))


def _touched(contract: CaseContext, task: dict[str, Any], touch: Callable[[], Reply]) -> dict[str, Any]:
    """The task after `touch`, which shows the time of that and still the one of its creation."""
    # Longer than the clocks of two machines differ that serve together.
    contract.clock.sleep(0.25)
    reply = touch()
    seen = contract.worker.seen(task)
    assert contract.lies_after(reply, 0, seen["updatedAt"])
    assert parse_moment(seen["updatedAt"]) > parse_moment(task["updatedAt"])
    assert seen["createdAt"] == task["createdAt"]
    return seen
