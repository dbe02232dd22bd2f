"""The known deviations of the real server excuse neither a race that happens more often nor another fault."""

from __future__ import annotations

from functools import partial

import pytest

from codeq_contract.driver.interface import Effort
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.report.results import Verdict
from codeq_contract.suite import options
from codeq_contract.suite.deviations import Deviation, read_deviations
from tests.mutants.defects import DEFECTS
from tests.mutants.run import built_in, case_results
from tests.mutants.suite import DRAWN

KNOWN = "v0.3.3"
DEVIATIONS = read_deviations(KNOWN)
OF_RACES = [defect for defect in DEFECTS if defect.fact.startswith("Z")]
OF_CLAUSES = {deviation.clause: deviation for deviation in DEVIATIONS if not deviation.case}
OF_DRAWN_PLANS = [deviation for deviation in DEVIATIONS if deviation.case == DRAWN]
RACES = sorted({*OF_CLAUSES, *(defect.fact.partition(".")[0] for defect in OF_RACES)})

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("race", RACES)
def test_no_defect_of_a_race_is_excused(race: str) -> None:
    """Each has a case that fails, and one of them fails more often than the known deviation may."""
    reasons = list[str]()
    for defect in OF_RACES:
        if defect.fact.startswith(f"{race}."):
            with built_in(defect):
                cases = case_results([defect.fact], known=KNOWN)
            assert {case.verdict for case in cases} & {Verdict.FAILED, Verdict.KNOWN} == {Verdict.FAILED}, defect.name
            reasons += [case.reason for case in cases]
    if race in OF_CLAUSES:
        assert any(bound_of(OF_CLAUSES[race]) in reason for reason in reasons)


def bound_of(deviation: Deviation) -> str:
    return f"the known deviation from {deviation.clause} is at most {deviation.at_most} of {deviation.tries}"


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
    assert case.verdict is Verdict.FAILED
    assert bound_of(deviation) in case.reason
