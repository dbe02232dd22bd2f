"""What disturbs real time is noticed: a clock that is set, and a machine that stands still."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from codeq_contract.driver.disturbances import Disturbances
from codeq_contract.recordings.times import MILLISECOND, SECOND


@dataclass
class Machine:
    """A machine's two clocks (ns)."""

    wall: int = 1_800_000_000 * SECOND
    steady: int = 5 * SECOND

    def go_on(self, by: int, *, set_by: int = 0) -> None:
        self.wall += by + set_by
        self.steady += by


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def disturbances(machine: Machine) -> Disturbances:
    return Disturbances(lambda: machine.wall, lambda: machine.steady)


@pytest.mark.parametrize(
    ("by", "set_by", "seen"),
    [
        (100 * MILLISECOND, 0, []),
        (1900 * MILLISECOND, 0, []),
        (100 * MILLISECOND, 15 * MILLISECOND, []),
        (9300 * MILLISECOND, 0, ["this machine stood still for 9.3 s"]),
        (100 * MILLISECOND, 250 * MILLISECOND, ["the clock of this machine was set forward by 0.25 s"]),
        (100 * MILLISECOND, -3 * SECOND, ["the clock of this machine was set back by 3.00 s"]),
    ],
)
def test_a_set_clock_and_a_machine_that_stands_still_are_noticed(
    machine: Machine, disturbances: Disturbances, by: int, set_by: int, seen: list[str]
) -> None:
    machine.go_on(by, set_by=set_by)
    disturbances.look()
    machine.go_on(100 * MILLISECOND)
    disturbances.look()
    assert disturbances.seen == seen


def test_a_pause_between_the_readings_of_both_clocks_is_no_step_of_one(machine: Machine) -> None:
    pauses = iter((300 * MILLISECOND, 0, 0))

    def wall() -> int:
        machine.go_on(next(pauses))
        return machine.wall

    disturbances = Disturbances(wall, lambda: machine.steady)
    disturbances.look()
    assert disturbances.seen == []
