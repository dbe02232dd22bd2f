"""Each defect that is built into the fake is caught by the case of the suite that it names."""

from __future__ import annotations

import pytest

from tests.mutants.defects import DEFECTS, Defect
from tests.mutants.run import caught_by


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_is_caught_by_its_case(defect: Defect) -> None:
    assert defect.case in caught_by(defect, only=defect.case)


def test_there_are_enough_of_them_and_no_two_alike() -> None:
    names = [defect.name for defect in DEFECTS]
    assert len(names) == len(set(names)) >= 20
