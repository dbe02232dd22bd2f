"""Known races excuse the cases that meet them, on a fake that meets them as often as it is told."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codeq_contract.driver import in_process
from codeq_fake import faults
from codeq_fake.testing import FakeCodeQ
from tests.contract.suite.support import Run, run_cases

if TYPE_CHECKING:
    from codeq_fake.faults import Rule

pytestmark = pytest.mark.process


def faulty(rule: Rule, **options: Any) -> FakeCodeQ:
    """A fake on which the rule is active from the start."""
    fake = FakeCodeQ(**options)
    fake.faults(rule).__enter__()
    return fake


def run(folder: Path, case: str, rule: Rule, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one of the concurrent cases on such a fake, as on v0.3.3."""
    monkeypatch.setattr(in_process, "FakeCodeQ", partial(faulty, rule))
    cases = f"from codeq_contract.cases.test_concurrent import {case}\n{case} = concurrent({case})"
    return run_cases(folder, cases, "--codeq-known=v0.3.3", "--codeq-level=concurrent")


REVOKED = "test_a_fresh_lease_is_not_revoked_by_claims_beside_it"
ACCEPTED = "test_a_result_that_is_sent_twice_at_once_counts_once"
DOUBLED = "test_a_key_that_many_send_makes_one_task"


@pytest.mark.parametrize(
    ("race", "rule", "case"),
    [
        ("Z3", faults.revoke_lease(probability=0.05, seed=1), REVOKED),
        ("Z5", faults.accept_result_twice(probability=0.3, seed=1), ACCEPTED),
        ("Z6", faults.double_create(probability=0.03, seed=1), DOUBLED),
    ],
)
def test_a_race_within_its_bound_is_known_with_its_calls_and_makes_the_run_partial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, race: str, rule: Rule, case: str
) -> None:
    done = run(tmp_path, case, rule, monkeypatch)
    assert (done.code, done.report.levels["concurrent"], done.report.exit_code) == (0, "partial", 3)
    met = [each for each in done.report.cases if each.verdict == "known"]
    assert {each.race for each in met} == {race}
    assert [each.name for each in met] == list(done.report.races[race])
    assert all(len(each.transcript) in (2, 3, 4) for each in met), "only the calls that show it"
    assert f"known race: {race} " in done.output


@pytest.mark.parametrize(
    ("rule", "case"),
    [
        (faults.refuse(500, on="complete"), REVOKED),
        (faults.refuse(409, on="submit"), ACCEPTED),
    ],
)
def test_a_failure_without_the_calls_of_a_race_is_not_excused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: Rule, case: str
) -> None:
    done = run(tmp_path, case, rule, monkeypatch)
    failed = [each.reason for each in done.report.cases if each.verdict == "fail"]
    assert any("no calls show Z" in reason for reason in failed)
    assert done.report.exit_code == 1


OF_NO_USE = """
from itertools import count
from codeq_contract.cases import test_concurrent
numbers = count()

@concurrent
@checks("Z3.1")
def test_whose_further_tries_are_of_no_use(contract):
    if next(numbers) % 3 > 0:
        raise InconclusiveError("too slow")
    test_concurrent.{case}(contract, 1)
"""


def test_a_race_is_not_known_while_its_further_tries_show_no_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All further tries that count fail, but those that do not count leave too few to exceed the bound."""
    rule = faults.revoke_lease(probability=1)
    monkeypatch.setattr(in_process, "FakeCodeQ", partial(faulty, rule))
    done = run_cases(tmp_path, OF_NO_USE.format(case=REVOKED), "--codeq-known=v0.3.3", "--codeq-level=concurrent")
    [case] = done.report.cases
    assert (case.verdict, case.tries_failed) == ("inconclusive", case.tries)
    assert "only 13 of 40 further tries count, of which 13 failed, and the known deviation" in case.reason
    assert done.report.exit_code == 3
