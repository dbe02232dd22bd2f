"""Each defect that is built into the fake is caught by the case of the suite that it names."""

from __future__ import annotations

import pytest

from tests.mutants.defects import DEFECTS, Defect, named
from tests.mutants.histories import laws_broken
from tests.mutants.run import caught_by, laws_broken_on


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_is_caught_by_its_case(defect: Defect) -> None:
    assert defect.case in caught_by(defect, only=defect.case)


def test_there_are_enough_of_them_and_no_two_alike() -> None:
    names = [defect.name for defect in DEFECTS]
    assert len(names) == len(set(names)) >= 20


def test_no_law_is_broken_in_random_histories_of_a_clean_fake() -> None:
    assert laws_broken(range(15)) == {}


def test_random_histories_show_a_defect_by_the_law_that_is_meant_for_it() -> None:
    assert "one-lease" in laws_broken_on(named("lease_expires_early"), histories=2)
