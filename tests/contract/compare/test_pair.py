"""The two servers of a comparison: their clocks and their callers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

import pytest

from codeq_contract.compare import started_pair
from codeq_contract.driver import Driver, Setup
from codeq_contract.driver.commands import Command
from codeq_contract.driver.detection import detect
from codeq_contract.driver.identities import Issuer, claims_in
from codeq_contract.driver.processes import Program
from codeq_contract.driver.served_fakes import ServedFakes
from codeq_contract.driver.targets import InProcessTarget, ServerTarget, Target
from codeq_contract.recordings.times import SECOND
from tests.contract.compare.support import RIGHT


@dataclass(frozen=True, slots=True)
class DeploymentInProcess:
    """A fake in this process whose tokens are given, as those of a deployment are."""

    fake: InProcessTarget
    name: str = "url"

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Driver]:
        """As `Target.start`."""
        with replace(self.fake, issuer=Issuer()).start(setup) as driver:
            yield replace(driver, target=self.name, issuer=None)


ON_PEBBLE = DeploymentInProcess(InProcessTarget("pebble", version="main"))


def served_fakes() -> ServerTarget:
    """Fakes on ports in this process."""
    first = Command(Program(("none",), "target http:"), profile="redis", version="v0.3.3", name="http")
    return ServerTarget(ServedFakes(first, count(1)))


def test_two_clocks_that_stand_still_show_the_same_full_second() -> None:
    with started_pair(RIGHT, RIGHT) as pair:
        assert pair.left.clock.now() == pair.right.clock.now()
        assert pair.now % SECOND == 0


@pytest.mark.slow
def test_the_callers_of_a_deployment_are_imitated_on_a_server_of_the_suite() -> None:
    with started_pair(RIGHT, DeploymentInProcess(RIGHT)) as pair:
        assert pair.left.tokens["worker"] != pair.right.tokens["worker"]
        for name in pair.right.tokens:
            ours, theirs = claims_in(pair.left.tokens[name]), claims_in(pair.right.tokens[name])
            assert ours is not None
            assert theirs is not None
            assert {key: ours.get(key) for key in ("sub", "tenantId", "scope", "eventTypes")} == {
                key: theirs.get(key) for key in ("sub", "tenantId", "scope", "eventTypes")
            }


@pytest.mark.slow
@pytest.mark.parametrize("fake", [RIGHT, pytest.param(served_fakes(), marks=pytest.mark.port)], ids=["asgi", "http"])
def test_a_fake_imitates_the_version_and_the_store_that_the_other_server_shows(fake: Target) -> None:
    with started_pair(fake, ON_PEBBLE) as pair:
        assert detect(pair.left) == detect(pair.right)
        assert pair.left.about["contract"] == "main, as the other server"


@pytest.mark.slow
def test_a_fake_imitates_what_was_chosen() -> None:
    with started_pair(RIGHT, ON_PEBBLE, adapts_fakes=False) as pair:
        assert detect(pair.left).version == "v0.3.3"
