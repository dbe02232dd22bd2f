"""Random plans of producers, workers and time, compared with a simple model of the contract."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, event, given, seed, settings
from hypothesis import strategies as st

from codeq_contract.driver.interface import Effort
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.case import checks, needs, timed
from codeq_contract.suite.case_context import CaseContext
from codeq_contract.suite.model import Model, UndecidedError
from codeq_contract.suite.plans import Claim, Count, Create, Execution, Settle, Step, Wait

pytestmark = timed

WORKERS = ("worker", "worker2", "worker3")
COMMANDS = 2

_workers = st.sampled_from(WORKERS)
#: Mostly the holder of the task, because others are refused.
_actors = st.sampled_from(["", "", "", *WORKERS])
_tasks = st.sampled_from([None, None, None, *range(6)])
_leases = st.sampled_from([3, 4, 60])

_creations = st.builds(
    Create,
    command=st.sampled_from([0, 0, 1]),
    priority=st.sampled_from([0, 0, 5]),
    delay=st.sampled_from([0, 0, 0, 1, 2]),
    max_attempts=st.sampled_from([1, 3, 5]),
    key=st.sampled_from([0, 0, 0, 1]),
)
_claims = st.builds(
    Claim,
    workers=st.tuples(_workers),
    commands=st.sampled_from([(0,), (0, 1), (1, 0), (1,)]),
    lease=_leases,
)
_claims_at_once = st.builds(
    Claim,
    workers=st.lists(_workers, min_size=2, max_size=4).map(tuple),
    commands=st.sampled_from([(0,), (1,)]),
    lease=_leases,
    schedule=st.integers(0, 100),
)
_endings = st.builds(Settle, action=st.sampled_from(["complete", "fail", "abandon"]), worker=_actors, task=_tasks)
_changes = st.builds(
    Settle, action=st.sampled_from(["heartbeat", "nack"]), worker=_actors, task=_tasks, seconds=st.integers(1, 6)
)
_reads = st.builds(Settle, action=st.just("read"), worker=_actors, task=_tasks)
_counts = st.builds(Count, command=st.sampled_from([0, 0, 1]))


def _plans(effort: Effort, *, counts: bool) -> st.SearchStrategy[tuple[Step, ...]]:
    """Plans of which nothing depends on what a server answers. Shrunk ones have waits of no time in place of steps."""
    waits = st.builds(Wait, seconds=st.integers(0, 8).map(lambda share: effort.longest_wait * share / 8))
    steps = [waits, _creations, _claims, _claims_at_once, _endings, _changes, _reads, *([_counts] if counts else [])]
    later = st.lists(st.one_of(steps), min_size=effort.steps - 1, max_size=effort.steps - 1)
    return st.builds(lambda first, rest: (first, *rest), _creations, later)


def _carry_out(contract: CaseContext, plan: Sequence[Step]) -> None:
    # Every example begins at the same fraction of a second, so that it can be repeated.
    contract.clock.until(-(-contract.clock.now() // SECOND) * SECOND)
    contract.begin_example()
    execution = Execution(contract, COMMANDS)
    model = Model(contract.settings, contract.time_bounds, WORKERS)
    for number, done in enumerate(execution.run(plan)):
        try:
            model.judge(done)
        except UndecidedError:
            event(f"undecided from step {number} on")
            break


@checks(
    "C7.1",
    "C7.2",
    "C8.1",
    "K4.1",
    "K4.2",
    "K4.3",
    "K5.1",
    "K5.5",
    "K7.1",
    "K7.2",
    "K8.1",
    "K8.2",
    "H1.6",
    "H2.2",
    "H3.2",
    "D1.5",
    "N1.3",
    "N2.1",
    "N2.2",
    "N2.3",
    "N4.2",
    "N5.2",
    "N5.3",
    "S1.4",
    "S3.1",
    "S3.2",
    "S4.1",
)
@needs("many_workers", "known_settings")
@pytest.mark.parametrize("share", range(4))
def test_whatever_producers_and_workers_do_the_server_answers_as_the_contract_says(
    contract: CaseContext, share: int
) -> None:
    """Where nothing is shrunk, a plan that failed is carried out only once.

    Hypothesis runs it again for its report. A race would rarely come back, and its calls are in the first run.
    """
    effort = contract.driver.effort
    phases = tuple(Phase) if effort.shrinks else (Phase.explicit, Phase.generate)
    failures: dict[tuple[Step, ...], Exception] = {}

    @seed(effort.seed + share)
    @settings(
        max_examples=effort.examples,
        deadline=None,
        database=None,
        phases=phases,
        # The calls of the last example are those of the failure.
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(_plans(effort, counts="admin" in contract.driver.features))
    def every_plan_is_answered_so(plan: tuple[Step, ...]) -> None:
        if plan in failures:
            raise failures[plan]
        try:
            _carry_out(contract, plan)
        except Exception as failure:
            if not effort.shrinks:
                failures[plan] = failure
            raise

    every_plan_is_answered_so()
