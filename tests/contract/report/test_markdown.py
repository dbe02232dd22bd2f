"""A run in Markdown."""

from __future__ import annotations

from codeq_contract.report import CaseResult, Report
from codeq_contract.report.markdown import as_markdown
from codeq_contract.report.results import GROUPS, Verdict

DATE = "2026-11-24T12:00:00+00:00"


def case(name: str, verdict: Verdict, reason: str = "", race: str = "") -> CaseResult:
    return CaseResult(name, "core", ("H2",), verdict, 0.1, reason=reason, facts=("H2.1",), race=race)


def test_it_has_the_levels_and_what_did_not_pass() -> None:
    cases = (
        case("test_good", Verdict.PASSED),
        case("test_bad[a|b]", Verdict.FAILED, "assert `<1>` == 2\nmore"),
        case("test_race", Verdict.KNOWN, "twice", "Z5"),
    )
    lines = as_markdown(Report("0.1.0", DATE, "url", GROUPS, {"server": "a_b"}, cases=cases)).splitlines()
    assert lines[0] == "## CodeQ contract on url: failed"
    assert "- server: `a_b`" in lines
    assert "| core | failed | 1 pass, 1 fail, 1 known |" in lines
    assert "| timed | not run |  |" in lines
    assert "- `test_bad[a|b]` (H2.1): `assert '<1>' == 2`" in lines
    assert "Known races: Z5 (1)" in lines
    assert "test_good" not in "\n".join(lines)


def test_a_long_list_is_cut() -> None:
    cases = tuple(case(f"test_{number}", Verdict.FAILED, "no") for number in range(25))
    text = as_markdown(Report("0.1.0", DATE, "url", GROUPS, cases=cases))
    assert "### fail: 25\n" in text
    assert text.endswith("- `test_19` (H2.1): `no`\n- and 5 more\n")


def test_a_run_that_could_not_start_has_its_reason() -> None:
    text = as_markdown(Report("0.1.0", DATE, "url", GROUPS, not_run="no `server`\nanswers"))
    assert text == "## CodeQ contract on url: error\n\nNot run: `no 'server' answers`\n"
