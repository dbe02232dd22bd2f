"""The verdicts on cases, and the levels that follow from them."""

from __future__ import annotations

import ast
import time  # noqa: TID251 - the clock of a machine is what is tested
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from codeq_contract.driver.disturbances import Disturbances
from codeq_contract.driver.servers import NotRunError
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite import session
from codeq_contract.suite.runner import Runner
from tests.contract.suite.support import run_cases

pytestmark = pytest.mark.process

CASES = """
pytestmark = core

@checks("C1.1")
def test_that_passes(contract):
    contract.producer.created(contract.command())

@checks("C2.1")
def test_that_fails(contract):
    assert contract.producer.create(" ").status == 202

@checks("C3.1")
def test_that_breaks(contract):
    raise OSError("no more files")

@checks("C4.1")
@needs("a_moon")
def test_that_needs_a_missing_feature(contract):
    raise OSError("not reached")

@checks("C5.1")
def test_that_is_never_conclusive(contract):
    raise InconclusiveError(f"too slow at scale {contract.scale}")

@checks("C6.1")
def test_that_is_conclusive_at_the_second_attempt(contract):
    if contract.seconds(1) < 2:
        raise InconclusiveError("too slow")

@checks("C7.1")
def test_that_is_skipped(contract):
    pytest.skip("not today")
"""


def test_each_outcome_has_its_verdict(tmp_path: Path) -> None:
    run = run_cases(tmp_path, CASES)
    found = {case.name.removeprefix("test_that_"): (case.verdict.value, case.attempts) for case in run.report.cases}
    assert found == {
        "passes": ("pass", 1),
        "fails": ("fail", 1),
        "breaks": ("error", 1),
        "needs_a_missing_feature": ("unsupported", 0),
        "is_never_conclusive": ("inconclusive", 3),
        "is_conclusive_at_the_second_attempt": ("pass", 2),
        "is_skipped": ("skipped", 1),
    }
    assert run.case("test_that_is_never_conclusive").reason == "too slow at scale 4"
    assert run.report.levels["core"] == "failed"
    assert run.report.exit_code == 2, "an error of the suite's own counts for more than a failure"


@pytest.mark.parametrize(
    ("kept", "level", "code"),
    [
        (("passes", "needs"), "passed", 0),
        (("passes", "fails"), "failed", 1),
        (("passes", "breaks"), "error", 2),
        (("passes", "is_never"), "partial", 3),
        (("passes", "is_skipped"), "partial", 3),
        (("needs",), "not run", 3),
    ],
)
def test_a_level_is_as_good_as_its_cases(tmp_path: Path, kept: tuple[str, ...], level: str, code: int) -> None:
    head, *cases = CASES.split("\n@checks")
    chosen = [case for case in cases if any(f"test_that_{name}" in case for name in kept)]
    run = run_cases(tmp_path, "\n@checks".join((head, *chosen)), "--codeq-level=core")
    assert (run.report.levels["core"], run.report.exit_code) == (level, code)


def test_a_failure_shows_its_requests_without_tokens(tmp_path: Path) -> None:
    failing = """
    @core
    @checks("A2.1")
    def test_that_fails(contract):
        reply = contract.anonymous.post("/v1/codeq/tasks", {}, Authorization="Basic {token:producer}")
        assert reply.status == 200, contract.driver.tokens["producer"]
    """
    run = run_cases(tmp_path, failing.replace("\n    ", "\n"))
    [shown] = run.case("test_that_fails").transcript
    assert (shown.status, shown.reply) == (401, '{"error":"invalid Authorization format"}')
    assert "Authorization: Basic {token:producer}" in shown.request
    assert "eyJ" not in (tmp_path / "report.json").read_text() + (tmp_path / "report.html").read_text()


def test_a_level_that_saw_nothing_is_inconclusive(tmp_path: Path) -> None:
    run = run_cases(
        tmp_path,
        CASES.split("\n@checks", maxsplit=1)[0].replace("core", "timed") + "\n@checks" + CASES.split("\n@checks")[1],
    )
    assert run.report.levels["timed"] == "inconclusive"
    assert "never seen: a takeover after expiry" in run.output


KNOWN = """
- clause: C2
  why: blank commands are taken
- clause: C1
  why: nothing is ever created
- clause: C6
  why: now and then
  rare: true
"""


def test_a_known_deviation_is_no_failure_unless_the_case_passes(tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text(KNOWN)
    run = run_cases(tmp_path, CASES, f"--codeq-known={tmp_path / 'known.yaml'}")
    known, mended, rare = (
        run.case(f"test_that_{name}") for name in ("fails", "passes", "is_conclusive_at_the_second_attempt")
    )
    assert (known.verdict, mended.verdict, rare.verdict) == ("known", "fail", "pass")
    assert known.reason.endswith("(blank commands are taken)")
    assert mended.reason == "C1 is listed as a known deviation, but no longer fails"


def test_a_case_that_does_not_fit_the_register_stops_the_run(tmp_path: Path) -> None:
    run = run_cases(tmp_path, "@core\n@checks('C99.1')\ndef test_it(contract): pass")
    assert run.code == 4
    assert "test_it names C99.1, which the contract does not have" in run.output


def test_a_fact_has_the_worst_verdict_of_its_cases_or_the_reason_why_it_was_not_checked(tmp_path: Path) -> None:
    run = run_cases(tmp_path, CASES + '\n@checks("C1.1", "C1.2")\ndef test_that_fails_too(contract): assert 0, "no"')
    facts = {fact: (result.verdict, result.reason) for fact, result in run.report.facts.items()}
    assert facts["C1.1"] == facts["C1.2"] == ("fail", "no\nassert 0")
    assert facts["C6.1"] == ("pass", "")
    assert facts["C5.1"] == ("inconclusive", "too slow at scale 4")
    assert facts["C4.1"] == ("not checked", "the target has no a_moon")
    assert facts["C7.1"] == ("not checked", "not today")
    assert facts["C1.3"] == ("not checked", "no case was loaded")
    assert facts["M3.18"] == ("not checked", "no client can see it: without its task a result cannot be read")
    for text in (run.output, (tmp_path / "report.html").read_text(encoding="utf-8")):
        assert "1 pass" in text
        assert "the target has no a_moon: C4.1" in text
        assert "no case was loaded: R1.1" in text
    junit = (tmp_path / "junit.xml").read_text(encoding="utf-8")
    assert '<property name="facts" value="C1.1 C1.2" />' in junit
    assert '<property name="C1.3" value="not checked: no case was loaded" />' in junit


def test_a_case_needs_what_its_facts_need(tmp_path: Path) -> None:
    run = run_cases(
        tmp_path, '@core\n@checks("K8.3")\ndef test_on_redis(contract): pass', "--codeq-profile=kvrocks-2.9"
    )
    assert run.report.facts["K8.3"].reason == "the target has no store:redis (--profile redis gives it)"
    run = run_cases(tmp_path, '@core\n@checks("K8.3")\ndef test_on_redis(contract): pass', "--codeq-profile=redis")
    assert run.report.facts["K8.3"].verdict == "pass"


OF_VERSIONS = """
@core
@checks("C1.1")
def test_of_both(contract): pass

@core
@checks("S6.8")
def test_of_the_earlier(contract): pass

@core
@checks("G5.1")
def test_of_main(contract): pass

@core
@checks("C1.1")
@only("v0.3.3")
def test_of_a_marked_version(contract): pass
"""


@pytest.mark.parametrize(
    ("options", "version", "cases"),
    [
        (["--codeq-contract=v0.3.3"], "v0.3.3", ["test_of_both", "test_of_the_earlier", "test_of_a_marked_version"]),
        (["--codeq-profile=main/redis"], "main", ["test_of_both", "test_of_main"]),
        (["--codeq-contract=auto"], "v0.3.3", ["test_of_both", "test_of_the_earlier", "test_of_a_marked_version"]),
        (["--codeq-contract=auto", "--codeq-profile=main/redis"], "main", ["test_of_both", "test_of_main"]),
    ],
)
def test_a_run_has_the_cases_and_facts_of_its_version(
    tmp_path: Path, options: list[str], version: str, cases: list[str]
) -> None:
    run = run_cases(tmp_path, OF_VERSIONS, "--codeq-level=core", *options)
    assert (run.code, [case.name for case in run.report.cases]) == (0, cases), run.output
    assert (run.report.contract, run.report.exit_code) == (version, 0)
    assert ("S6.8" in run.report.facts, "G5.1" in run.report.facts) == (version == "v0.3.3", version == "main")
    assert run.report.about["contract"].startswith(version)
    assert f"CodeQ contract {version} on" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_run_of_chosen_facts_leaves_out_the_cases_of_others(tmp_path: Path) -> None:
    run = run_cases(tmp_path, CASES, "--codeq-fact=C1,C6.1")
    assert {case.name for case in run.report.cases if case.verdict == "pass"} == {
        "test_that_passes",
        "test_that_is_conclusive_at_the_second_attempt",
    }
    assert run.report.levels["core"] == "partial"
    assert run.report.facts["C2.1"].reason == "not selected"


def test_a_fact_of_another_level_is_not_without_a_case(tmp_path: Path) -> None:
    timed = '\n\n@timed\n@checks("C1.2")\ndef test_later(contract): pass'
    run = run_cases(
        tmp_path,
        CASES.replace("pytestmark = core", "").replace("@checks", "@core\n@checks") + timed,
        "--codeq-level=core",
    )
    assert run.report.facts["C1.2"].reason == "not selected"
    assert run.report.facts["C1.1"].verdict == "pass"


def test_an_unknown_fact_cannot_be_chosen(tmp_path: Path) -> None:
    run = run_cases(tmp_path, CASES, "--codeq-fact=K99")
    assert "--fact: found 'K99', which the contract of v0.3.3 does not have" in run.output


def test_a_failure_whose_source_cannot_be_parsed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython 3.11 raises SystemError where two threads parse at the same moment."""
    cases = """
import ast
pytestmark = core

def fail(*arguments):
    raise SystemError("AST constructor recursion depth mismatch")

@checks("C2.1")
def test_that_fails(contract):
    ast.parse = fail
    assert contract.producer.create(" ").status == 202
"""
    monkeypatch.setattr(ast, "parse", ast.parse)  # the case replaces it
    run = run_cases(tmp_path, cases, "--codeq-level=core")
    assert run.case("test_that_fails").verdict.value == "fail"
    assert "assert 400 == 202" in run.output


DISTURBED = """
from tests.contract.suite.test_verdicts import CLOCK

pytestmark = core

@checks("C1.1")
def test_that_fails_while_the_clock_is_set(contract):
    if contract.scale == 1:
        CLOCK.set_by(9)
        raise AssertionError("too early")

@checks("C2.1")
def test_that_passes_while_the_clock_is_set(contract):
    CLOCK.set_by(9)

@checks("C3.1")
def test_that_fails(contract):
    raise AssertionError("wrong")
"""


class SetClock:
    """A wall clock that cases set."""

    def __init__(self) -> None:
        self.offset = 0

    def set_by(self, seconds: int) -> None:
        self.offset += seconds * SECOND

    def __call__(self) -> int:
        return time.monotonic_ns() + self.offset


CLOCK = SetClock()


def test_a_wrong_set_up_ends_the_run_before_the_cases_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise NotRunError("no server answers")

    monkeypatch.setattr(InProcessTarget, "start", refuse)
    run = run_cases(tmp_path, "raise SystemExit('the cases are loaded')")
    assert (run.code, run.report.not_run) == (4, "no server answers")
    assert "the cases are loaded" not in run.output


MEETING = """
from threading import Barrier
MET = Barrier(2, timeout=20)
pytestmark = [core, needs("variants")]

@checks("C1.1")
def test_of_one_server(contract):
    MET.wait()

@checks("C2.1")
def test_of_another(contract):
    MET.wait()
"""


#: The first case finds the environment as it was before the run.
IN_THE_ENVIRONMENT = """
import os
pytestmark = core

@checks("C1.1")
def test_one(contract):
    pass

@checks("C2.1")
def test_two(contract):
    assert "test_two" not in os.environ.get("PYTEST_CURRENT_TEST", "")
"""


@pytest.mark.port
def test_no_case_changes_the_environment_that_others_in_threads_read(tmp_path: Path) -> None:
    run = run_cases(tmp_path, IN_THE_ENVIRONMENT, "--codeq-target=http", "--codeq-level=core")
    assert {case.verdict.value for case in run.report.cases} == {"pass"}, run.output


@pytest.mark.port
def test_cases_that_start_servers_run_side_by_side_in_real_time(tmp_path: Path) -> None:
    run = run_cases(tmp_path, MEETING, "--codeq-target=http", "--codeq-level=core")
    assert {case.verdict.value for case in run.report.cases} == {"pass"}, run.output


@pytest.mark.port
def test_a_failure_while_the_machines_clock_is_set_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "Runner", partial(Runner, disturbances=Disturbances(CLOCK)))
    run = run_cases(tmp_path, DISTURBED, "--codeq-target=http", "--codeq-level=core")
    found = {case.name.removeprefix("test_that_"): (case.verdict.value, case.attempts) for case in run.report.cases}
    assert found == {
        "fails_while_the_clock_is_set": ("pass", 2),
        "passes_while_the_clock_is_set": ("pass", 1),
        "fails": ("fail", 1),
    }
