"""The known deviations of the real server excuse neither a race that happens more often nor another fault."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from codeq_contract.driver.interface import Effort
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.report.results import Verdict
from codeq_contract.suite import options
from codeq_contract.suite.deviations import Deviation, read_deviations
from tests.mutants.defects import DEFECTS, Defect
from tests.mutants.run import built_in, case_results
from tests.mutants.suite import DRAWN

if TYPE_CHECKING:
    from codeq_contract.report import CaseResult

KNOWN = "v0.3.3"
OF_RACES = [defect for defect in DEFECTS if defect.fact.startswith("Z")]
OF_CLAUSES = [deviation for deviation in read_deviations(KNOWN) if not deviation.case]
OF_DRAWN_PLANS = [deviation for deviation in read_deviations(KNOWN) if deviation.case == DRAWN]

pytestmark = pytest.mark.slow(seconds=10)


@pytest.fixture(scope="module")
def results() -> dict[Defect, list[CaseResult]]:
    """The results of the cases of its fact on a fake with each defect of a race."""
    found = {}
    for defect in OF_RACES:
        with built_in(defect):
            found[defect] = case_results([defect.fact], known=KNOWN)
    return found


@pytest.mark.parametrize("defect", OF_RACES, ids=lambda defect: defect.name)
def test_no_defect_of_a_race_is_excused(defect: Defect, results: dict[Defect, list[CaseResult]]) -> None:
    assert {case.verdict for case in results[defect]} & {Verdict.FAILED, Verdict.KNOWN} == {Verdict.FAILED}


@pytest.mark.parametrize("deviation", OF_CLAUSES, ids=lambda deviation: deviation.clause)
def test_a_defect_goes_beyond_the_bound_of_each_deviation(
    deviation: Deviation, results: dict[Defect, list[CaseResult]]
) -> None:
    bound = f"the known deviation from {deviation.clause} is at most {deviation.at_most} of {deviation.tries}"
    reasons = [case.reason for cases in results.values() for case in cases if case.verdict is Verdict.FAILED]
    assert any(bound in reason for reason in reasons)


@pytest.mark.parametrize("deviation", OF_DRAWN_PLANS, ids=lambda deviation: deviation.clause)
def test_a_defect_goes_beyond_the_bound_of_the_deviation_of_drawn_plans(
    deviation: Deviation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plans are not shrunk, which would take most of the time."""
    quick = Effort(examples=30, steps=25, longest_wait=6)
    monkeypatch.setenv("CODEQ_CONTRACT_SEED", "4")
    monkeypatch.setattr(options, "InProcessTarget", partial(InProcessTarget, effort=quick))
    [revoked] = [defect for defect in DEFECTS if defect.name == "fresh_lease_revoked"]
    with built_in(revoked):
        [case] = case_results([f"{deviation.clause}.1"], known=KNOWN, cases=f"{DRAWN}[0]")
    bound = f"the known deviation from {deviation.clause} is at most {deviation.at_most} of {deviation.tries}"
    assert case.verdict is Verdict.FAILED
    assert bound in case.reason
