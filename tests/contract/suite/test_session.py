"""The state of a run, from which its report follows."""

from __future__ import annotations

from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.case_context import CaseContext
from codeq_contract.suite.options import Options
from codeq_contract.suite.session import Session


def test_a_clock_that_is_set_back_does_not_change_how_long_a_run_took() -> None:
    session = Session(Options(), InProcessTarget("redis"), (), began=RealClock().now() + 3600 * SECOND)
    _ = session.runner
    session.finish([])
    assert 0 <= session.report().seconds < 60


def test_a_session_that_begins_again_has_another_server() -> None:
    session = Session(Options(), InProcessTarget("redis"), ())
    session.begin()
    first = session.driver
    task = CaseContext(first).producer.created("x")
    session.begin()
    assert CaseContext(session.driver).producer.task(task).status == 404
    assert CaseContext(first).producer.task(task).status == 200
