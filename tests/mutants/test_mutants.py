"""Each defect of the fake is caught by the case of the suite that it names."""

from __future__ import annotations

import pytest

from tests.mutants.defects import DEFECTS, Defect, named
from tests.mutants.histories import laws_broken
from tests.mutants.run import built_in, failed_cases


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_is_caught_by_its_case(defect: Defect) -> None:
    with built_in(defect):
        assert failed_cases(only=defect.case) == [defect.case]


@pytest.mark.parametrize("case", sorted({defect.case for defect in DEFECTS}))
def test_no_case_fails_once_a_defect_is_gone(case: str) -> None:
    """A defect that stays in this process would make every later test worthless."""
    assert failed_cases(only=case) == []


def test_there_are_enough_of_them_and_no_two_alike() -> None:
    names = [defect.name for defect in DEFECTS]
    assert len(names) == len(set(names)) >= 20


def test_no_law_is_broken_in_random_histories_of_a_clean_fake() -> None:
    assert laws_broken(range(15)) == {}


def test_random_histories_show_a_defect_by_the_law_that_is_meant_for_it() -> None:
    with built_in(named("lease_expires_early")):
        assert "one-lease" in laws_broken(range(2))
