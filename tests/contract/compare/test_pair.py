"""The two servers of a comparison: their clocks and their callers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from codeq_contract.compare import started_pair
from codeq_contract.driver import Driver, Setup
from codeq_contract.driver.identities import Issuer, claims_in
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.recordings.times import SECOND
from tests.contract.compare.support import RIGHT


@dataclass(frozen=True, slots=True)
class DeploymentInProcess:
    """A fake in this process whose tokens are given, as those of a deployment are."""

    name: str = "url"

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Driver]:
        """As `Target.start`."""
        with InProcessTarget("redis", issuer=Issuer()).start(setup) as driver:
            yield replace(driver, issuer=None)


def test_two_clocks_that_stand_still_show_the_same_full_second() -> None:
    with started_pair(RIGHT, RIGHT) as pair:
        assert pair.left.clock.now() == pair.right.clock.now()
        assert pair.now % SECOND == 0


def test_the_callers_of_a_deployment_are_imitated_on_a_server_of_the_suite() -> None:
    with started_pair(RIGHT, DeploymentInProcess()) as pair:
        assert pair.left.tokens["worker"] != pair.right.tokens["worker"]
        for name in pair.right.tokens:
            ours, theirs = claims_in(pair.left.tokens[name]), claims_in(pair.right.tokens[name])
            assert ours is not None
            assert theirs is not None
            assert {key: ours.get(key) for key in ("sub", "tenantId", "scope", "eventTypes")} == {
                key: theirs.get(key) for key in ("sub", "tenantId", "scope", "eventTypes")
            }
