"""Comparisons of fakes in this process, of which the right one may have a defect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from codeq_contract.compare import Limits, Outcome, Search, started_pair
from codeq_contract.driver import Driver, Setup, in_process
from codeq_contract.driver.targets import InProcessTarget, Target
from tests.mutants.building import beside_the_right_one
from tests.mutants.mutants import MUTANTS

RIGHT = InProcessTarget("redis")


@dataclass(frozen=True, slots=True)
class MutantTarget(InProcessTarget):
    """Fakes in this process with the defect of that mutant."""

    mutant: str = ""

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Driver]:
        """As `Target.start`."""
        [mutant] = [each for each in MUTANTS if each.name == self.mutant]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(in_process, "FakeCodeQ", beside_the_right_one(mutant.file, mutant.source))
            with InProcessTarget(self.profile, issuer=self.issuer).start(setup) as driver:
                yield driver


def comparison(right: Target, *, requests: int, seed: int = 1) -> Outcome:
    """Compare a fake without defects with another target, until the first difference."""
    with started_pair(RIGHT, right) as pair:
        return Search(pair, Limits(requests, kinds=1), seed, _ignore, _ignore).run()


def _ignore(_: object) -> None:
    """Show nothing."""
