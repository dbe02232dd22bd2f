"""The whole suite on the fake: in process, and on a port in real time."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from codeq_contract.report.results import GROUPS
from tests.contract.suite.support import SHARE, Run, run_suite, run_suite_here

pytestmark = pytest.mark.process
together = pytest.mark.xdist_group("the suite in process")


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_suite(tmp_path_factory.mktemp("asgi"), "--target", "asgi", "--seed", "1")


@pytest.mark.slow(seconds=10)
@pytest.mark.parametrize(
    ("profile", "levels"),
    [
        ("redis", "timed,recorded"),
        ("kvrocks-2.9", "timed,recorded"),
        ("main/redis", "recorded"),
        ("main/pebble", "recorded"),
    ],
)
def test_a_fake_in_process_passes_the_levels_that_depend_on_the_store(
    tmp_path: Path, profile: str, levels: str
) -> None:
    # A quarter of the drawn plans is enough here. The usual store has all.
    few = ("-k", "not says[1] and not says[2] and not says[3]")
    run = run_suite(tmp_path, "--target", "asgi", "--profile", profile, "--level", levels, *few)
    assert run.report.levels["recorded"] == "passed", run.output
    others = [case for case in run.report.cases if case.verdict not in ("pass", "unsupported")]
    assert [(case.name[-3:], case.reason) for case in others] == [
        (f"[{share}]", "not selected") for share in (1, 2, 3) if "timed" in levels
    ], run.output


@pytest.mark.slow(seconds=20)
@together
def test_a_fake_in_process_passes_every_level(in_process: Run) -> None:
    assert in_process.code == 0, in_process.output
    assert in_process.report.levels == dict.fromkeys(GROUPS, "passed")
    assert set(in_process.report.clauses.values()) <= {"pass", "no case"}
    of_other_stores = {case.name for case in in_process.report.cases if "no store:" in case.reason}
    assert {case.verdict for case in in_process.report.cases if case.name not in of_other_stores} == {"pass"}


@pytest.mark.slow(seconds=30)
def test_a_fake_on_a_port_passes_every_level_in_real_time(tmp_path: Path) -> None:
    levels = [group for group in GROUPS if group != "recorded"]
    run = run_suite(tmp_path, "--target", "http", "--level", ",".join(levels), **SHARE)
    assert run.report.levels == {**dict.fromkeys(levels, "passed"), "core": "partial", "recorded": "not run"}
    others = {case.reason for case in run.report.cases if case.verdict != "pass" and "store:" not in case.reason}
    assert others <= {"not selected", "the target has no long_waits"}, run.output
    assert "webhooks: all cases are over" in run.output.splitlines(), "without a terminal there are lines"


@together
def test_a_report_is_three_files(in_process: Run) -> None:
    report = in_process.report
    page = (in_process.folder / "report.html").read_text(encoding="utf-8")
    assert all(f'id="{clause}"' in page for clause in report.clauses)
    assert "http://" not in page.partition("<main>")[0]
    suites = ET.parse(in_process.folder / "junit.xml").getroot()  # noqa: S314 - written a moment ago, by pytest
    assert len(suites.findall(".//testcase")) == len(report.cases)
    told = [each.get("value") for each in suites.findall(".//property[@name='verdict']")]
    assert told == [case.verdict for case in report.cases]


@together
def test_a_run_reports_its_seed(in_process: Run) -> None:
    assert in_process.report.seed == "1"


def test_a_selection_is_partial(tmp_path: Path) -> None:
    run = run_suite_here(tmp_path, "-k", "pending", "--level", "core")
    assert run.code == 3, run.output
    assert run.report.levels["core"] == "partial"
    assert run.report.levels["timed"] == "not run"


def test_a_dry_run_lists_the_cases_and_reports_nothing(tmp_path: Path) -> None:
    run = run_suite_here(tmp_path, "--dry-run", "--level", "webhooks")
    assert run.code == 0, run.output
    assert "test_a_result_is_sent_to_the_webhook_of_its_task  [W1.1 W1.2" in run.output
    assert not (tmp_path / "report.json").exists()


def test_a_wrong_target_is_an_error_of_the_suite(tmp_path: Path) -> None:
    run = run_suite_here(tmp_path, "--target", "nowhere")
    assert run.code == 2
    assert "ERROR: --target: found 'nowhere'" in run.output
