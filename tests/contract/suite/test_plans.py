"""Random plans: a failure is reported with the calls that show it, whether it comes back or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from codeq_contract.driver import Driver, Reply, Request, Setup
from codeq_contract.driver.interface import Transport
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.suite import options
from codeq_contract.suite.case_context import CaseContext
from codeq_contract.suite.runner import Runner
from tests.contract.suite.support import run_cases

pytestmark = pytest.mark.process

CASE = "test_whatever_producers_and_workers_do_the_server_answers_as_the_contract_says"
CASES = f"from codeq_contract.cases.test_plans import {CASE}\n{CASE} = timed({CASE})"
REFUSAL = json.dumps({"error": "not-in-progress"})


@dataclass
class RefusedOnce:
    """A transport on which one accepted result seems refused, as by a race that does not come back."""

    transport: Transport
    is_over: bool = False

    def exchange(self, requests: Sequence[Request], schedule: int) -> list[Reply]:
        replies = self.transport.exchange(requests, schedule)
        if self.is_over or not requests[0].path.endswith("/result") or replies[0].status != 200:
            return replies
        self.is_over = True
        return [replace(replies[0], status=409, body=REFUSAL.encode())]


class TargetThatRefusesOnce(InProcessTarget):
    """Repeats plans no better than a server in real time."""

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Driver]:
        with InProcessTarget.start(self, setup) as driver:
            effort = replace(driver.effort, shrinks=False)
            yield replace(driver, transport=RefusedOnce(driver.transport), effort=effort)


def test_a_failure_that_does_not_come_back_is_reported_with_its_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "InProcessTarget", TargetThatRefusesOnce)
    run = run_cases(tmp_path, CASES, "-k", f"{CASE}[0]", "--codeq-seed=0")
    failed = run.case(f"{CASE}[0]")
    assert "found 409; it must be 200" in failed.reason
    assert (409, REFUSAL) in [(call.status, call.reply) for call in failed.transcript]


def test_further_tries_are_of_other_plans() -> None:
    """The same plan may meet a race again and again. Its bound is about the rate of all plans."""
    seeds: list[int] = []

    def case(contract: CaseContext) -> None:
        seeds.append(contract.driver.effort.seed)

    with InProcessTarget("redis").start(Setup()) as driver:
        tries = Runner(driver).sample(cast("pytest.Function", SimpleNamespace(obj=case)), 3, at_once=1)
    assert [each.error for each in tries] == [None] * 3
    assert len({driver.effort.seed, *seeds}) == 4
