"""Random plans of producers, workers and time, compared with a simple model of the contract."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, event, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule, run_state_machine_as_test

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
_actors = st.sampled_from(["", "", *WORKERS])
_leases = st.sampled_from([3, 4, 60])
_commands = st.sampled_from([(0,), (0,), (1,), (0, 1), (1, 0)])


class Plans(RuleBasedStateMachine):
    """Generates a plan, and only then carries it out: nothing in it depends on what a server answered.

    `failures` has the errors of plans that are not to be carried out again.
    """

    tasks = Bundle("tasks")

    def __init__(self, contract: CaseContext, failures: dict[tuple[Step, ...], Exception]) -> None:
        super().__init__()
        self._contract = contract
        self._failures = failures
        self._plan: list[Step] = []
        self._made = 0

    @rule(
        target=tasks,
        command=st.sampled_from([0, 0, 1]),
        priority=st.sampled_from([0, 0, 5]),
        delay=st.sampled_from([0, 0, 0, 1, 2]),
        max_attempts=st.sampled_from([1, 3, 5]),
        key=st.sampled_from([0, 0, 0, 1]),
    )
    def create(self, command: int, priority: int, delay: int, max_attempts: int, key: int) -> int:
        self._plan.append(Create(command, priority, delay, max_attempts, key))
        self._made += 1
        return self._made - 1

    @rule(worker=_workers, commands=_commands, lease=_leases)
    def claim(self, worker: str, commands: tuple[int, ...], lease: int) -> None:
        self._plan.append(Claim((worker,), commands, lease))

    @rule(
        workers=st.lists(_workers, min_size=2, max_size=4),
        commands=st.sampled_from([(0,), (1,)]),
        lease=_leases,
        schedule=st.integers(0, 100),
    )
    def claim_at_once(self, workers: list[str], commands: tuple[int, ...], lease: int, schedule: int) -> None:
        self._plan.append(Claim(tuple(workers), commands, lease, schedule))

    @rule(task=tasks, worker=_actors, what=st.sampled_from(["abandon", "complete", "fail", "read"]))
    def settle(self, task: int, worker: str, what: str) -> None:
        self._plan.append(Settle(what, worker, task))

    @rule(task=tasks, worker=_actors, what=st.sampled_from(["heartbeat", "nack"]), seconds=st.integers(1, 6))
    def settle_for(self, task: int, worker: str, what: str, seconds: int) -> None:
        self._plan.append(Settle(what, worker, task, seconds))

    @rule(command=st.sampled_from([0, 0, 1]))
    def count(self, command: int) -> None:
        if "admin" in self._contract.driver.features:
            self._plan.append(Count(command))

    @rule(share=st.integers(1, 8))
    def wait(self, share: int) -> None:
        self._plan.append(Wait(self._contract.driver.effort.longest_wait * share / 8))

    def teardown(self) -> None:
        plan = tuple(self._plan)
        if plan in self._failures:
            raise self._failures[plan]
        try:
            self._carry_out(plan)
        except Exception as failure:
            if not self._contract.driver.effort.shrinks:
                self._failures[plan] = failure
            raise

    def _carry_out(self, plan: Sequence[Step]) -> None:
        contract = self._contract
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
    def plans() -> Plans:
        return Plans(contract, failures)

    run_state_machine_as_test(
        plans,  # type: ignore[arg-type]  # it takes what makes a machine, its types say otherwise
        settings=settings(
            max_examples=effort.examples,
            stateful_step_count=effort.steps,
            deadline=None,
            database=None,
            phases=phases,
            # The calls of the last example are those of the failure.
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
