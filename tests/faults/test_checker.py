"""A load of the fake with each race of the real server: the history's checker finds it by its name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from codeq_contract.checker import check
from codeq_contract.driver import Request, Setup
from codeq_contract.driver.server_settings import SUITE_SETTINGS
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.load import Load, record_load
from codeq_fake import faults
from codeq_fake.faults.parsing import shown

if TYPE_CHECKING:
    from codeq_fake.faults import Rule


pytestmark = pytest.mark.slow


def found(rule: Rule, *, seed: int = 1) -> tuple[int, set[str]]:
    """How often the rule fired in a load, and the races that the checker makes out in the history."""
    with InProcessTarget("redis").start(Setup()) as driver:
        driver.call(Request("POST", "/_fake/faults", body=json.dumps(shown(rule)).encode()))
        history = record_load(driver, Load(tasks=60, seconds=10, seed=seed), SUITE_SETTINGS)
        [fault] = json.loads(driver.call(Request("GET", "/_fake/faults")).body)["faults"]
    return fault["fired"], {violation.race for _, violation in check(history).violations}


@pytest.mark.parametrize(
    ("rule", "race"), [(faults.redeliver_finished(times=3), "Z1"), (faults.revoke_lease(times=3), "Z3")], ids=str
)
def test_a_race_is_found_by_its_name(rule: Rule, race: str) -> None:
    assert found(rule) == (3, {race})


def test_tasks_that_are_lost_are_found_by_their_race_where_their_worker_dies() -> None:
    fired, races = found(faults.lose_task(), seed=2)  # one in which some worker dies with a lost task
    assert fired > 3
    assert "Z2" in races


def test_a_false_204_breaks_no_law_for_another_claim_may_have_been_quicker() -> None:
    assert found(faults.false_empty(times=3)) == (3, set())
