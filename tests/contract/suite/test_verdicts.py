"""The verdicts on cases, and the levels that follow from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.suite.support import run_cases

pytestmark = pytest.mark.process

CASES = """
pytestmark = core

@clause("C1")
def test_that_passes(contract):
    contract.producer.created(contract.command())

@clause("C2")
def test_that_fails(contract):
    assert contract.producer.create(" ").status == 202

@clause("C3")
def test_that_breaks(contract):
    raise OSError("no more files")

@clause("C4")
@needs("a_moon")
def test_that_needs_a_missing_feature(contract):
    raise OSError("not reached")

@clause("C5")
def test_that_is_never_conclusive(contract):
    raise InconclusiveError(f"too slow at scale {contract.scale}")

@clause("C6")
def test_that_is_conclusive_at_the_second_attempt(contract):
    if contract.seconds(1) < 2:
        raise InconclusiveError("too slow")

@clause("C7")
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
    head, *cases = CASES.split("\n@clause")
    chosen = [case for case in cases if any(f"test_that_{name}" in case for name in kept)]
    run = run_cases(tmp_path, "\n@clause".join((head, *chosen)), "--codeq-level=core")
    assert (run.report.levels["core"], run.report.exit_code) == (level, code)


def test_a_failure_shows_its_requests_without_tokens(tmp_path: Path) -> None:
    failing = """
    @core
    @clause("A2")
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
        CASES.split("\n@clause", maxsplit=1)[0].replace("core", "timed") + "\n@clause" + CASES.split("\n@clause")[1],
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
    run = run_cases(tmp_path, "@core\n@clause('C99')\ndef test_it(contract): pass")
    assert run.code == 4
    assert "test_it names C99, which the contract does not have" in run.output
