"""Each defect of the fake is caught by the case of the suite that it names."""

from __future__ import annotations

import pytest

from tests.mutants.defects import DEFECTS, Defect, named
from tests.mutants.histories import laws_broken
from tests.mutants.run import built_in, failed_cases

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_is_caught_by_its_case(defect: Defect) -> None:
    with built_in(defect):
        assert failed_cases(defect.case) == [defect.case]


def test_the_same_cases_pass_on_a_fake_without_defects() -> None:
    assert failed_cases(*{defect.case for defect in DEFECTS}) == []


def test_a_defect_is_gone_with_its_context() -> None:
    defect = named("lowest_priority_first")
    with built_in(defect):
        pass
    assert failed_cases(defect.case) == []


def test_there_are_enough_of_them_and_no_two_alike() -> None:
    names = [defect.name for defect in DEFECTS]
    assert len(names) == len(set(names)) >= 20


def test_no_law_is_broken_in_random_histories_of_a_clean_fake() -> None:
    assert laws_broken(range(15)) == {}


def test_random_histories_show_a_defect_by_the_law_that_is_meant_for_it() -> None:
    with built_in(named("lease_expires_early")):
        assert "one-lease" in laws_broken(range(2))
