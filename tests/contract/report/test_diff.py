"""`codeq-contract diff`: the clauses on which two runs differ, and the page with both."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from codeq_contract.clauses import VERSIONS, clauses_on
from codeq_contract.cli import main
from codeq_contract.report import CaseResult, Report
from codeq_contract.report.results import GROUPS, Verdict

#: A parameter that a terminal's markup would take for its own.
NAME = "test_it[/v1/codeq/tasks-codeq:claim]"


def report(folder: Path, target: str, verdict: Verdict) -> str:
    cases = (
        CaseResult(NAME, "core", ("A5",), verdict, 0.1),
        CaseResult("test_other", "core", ("C1",), Verdict.PASSED, 0.1),
    )
    result = Report("0.1.0", "2026-11-24T12:00:00+00:00", target, GROUPS, seed="1", cases=cases)
    file = folder / f"{target}.json"
    file.write_text(result.to_json(), encoding="utf-8")
    return str(file)


def diff(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["diff", *arguments])


def test_clauses_that_differ_are_listed_with_their_cases(tmp_path: Path) -> None:
    files = report(tmp_path, "asgi", Verdict.PASSED), report(tmp_path, "url", Verdict.FAILED)
    page = tmp_path / "both.html"
    shown = diff(*files, "--html", str(page))
    assert shown.exit_code == 1
    row = next(line for line in shown.output.splitlines() if " A5 " in line)
    assert [cell.strip() for cell in row.split("│")[3:5]] == ["pass", "fail"]
    assert NAME in "".join(cell.split("│")[-2].strip() for cell in shown.output.splitlines() if "│" in cell)
    assert f"1 of {len(clauses_on(VERSIONS[0]))} clauses differ; core passed and failed" in shown.output
    assert '<th scope="col">asgi</th><th scope="col">url</th>' in page.read_text(encoding="utf-8")


def test_runs_that_agree_have_no_difference(tmp_path: Path) -> None:
    file = report(tmp_path, "asgi", Verdict.PASSED)
    shown = diff(file, file)
    assert (shown.exit_code, shown.output.startswith(f"0 of {len(clauses_on(VERSIONS[0]))} clauses differ")) == (
        0,
        True,
    )


@pytest.mark.parametrize("text", ["{}", "[]", "7", "[" * 100_000, '{"schemaVersion": 1, "cases": 7}'])
def test_a_file_that_is_not_a_report_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "nothing.json"
    file.write_text(text)
    shown = diff(str(file), str(file))
    assert shown.exit_code == 2
    assert f"{file} is not a report" in shown.output
