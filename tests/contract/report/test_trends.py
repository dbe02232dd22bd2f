"""`codeq-contract report`: the page with the trends of several runs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from codeq_contract.cli import main
from codeq_contract.driver import TASKS, Exchange, Reply, Request
from codeq_contract.report import CaseResult, Report
from codeq_contract.report.latencies import Latency, latencies
from codeq_contract.report.results import GROUPS, Verdict
from codeq_contract.report.trends import Trends

MILLISECOND = 1_000_000
RACE = "test_a_result_counts_once"


def report(day: int, *cases: CaseResult, **fields: Any) -> Report:
    return Report("0.1.0", f"2026-11-{day:02}T12:00:00+00:00", "url", GROUPS, cases=cases, **fields)


def case(verdict: Verdict, fact: str = "H2.1", *, name: str = "test_it", seconds: float = 0.5) -> CaseResult:
    return CaseResult(name, "core", (fact.partition(".")[0],), verdict, seconds, facts=(fact,))


def race(failed: int, parameter: int = 1) -> CaseResult:
    known = case(Verdict.KNOWN, "Z5.1", name=f"{RACE}[{parameter}]")
    return replace(known, race="Z5", tries=200, tries_failed=failed)


def page(folder: Path, *reports: Report) -> tuple[Result, str]:
    files = [folder / f"{number}.json" for number, _ in enumerate(reports)]
    for file, each in zip(files, reports, strict=True):
        file.write_text(each.to_json(), encoding="utf-8")
    out = folder / "trends.html"
    done = CliRunner().invoke(main, ["report", *map(str, files), "--out", str(out)])
    return done, out.read_text(encoding="utf-8") if out.exists() else ""


class Rows(HTMLParser):
    """The rows of a page's tables, as the texts of their cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._is_in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, _: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._is_in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._is_in_cell = False

    def handle_data(self, data: str) -> None:
        if self._is_in_cell:
            self.rows[-1][-1] = " ".join([*self.rows[-1][-1].split(), *data.split()])

    def beginning(self, text: str) -> list[str]:
        """The first row that begins with a text, without that cell."""
        return next(cells[1:] for cells in self.rows if cells and cells[0].startswith(text))


def test_runs_are_ordered_by_date_and_what_changed_comes_first(tmp_path: Path) -> None:
    later, earlier = report(9, case(Verdict.FAILED)), report(7, case(Verdict.PASSED))
    done, text = page(tmp_path, later, earlier)
    assert (done.exit_code, done.output) == (
        0,
        f"{tmp_path / 'trends.html'}: 2 runs, 1 fact with different verdicts\n",
    )
    rows = Rows(text)
    assert [rows.beginning(run)[1] for run in ("1 · 2026-11-07 12:00", "2 · 2026-11-09")] == ["partial", "failed"]
    assert rows.beginning("H2.1 ") == ["✓", "✗"]
    assert rows.beginning("H2 ") == ["✓", "✗"]
    assert text.index("What changed</h2>") < text.index("All clauses</h2>")


def test_a_fact_that_only_some_runs_checked_has_not_changed() -> None:
    trends = Trends.of([report(1, case(Verdict.PASSED)), report(2, case(Verdict.SKIPPED)), report(3)])
    assert not trends.changed_facts
    assert trends.partly_checked == ["H2.1"]


def test_rates_of_races_are_shown_once_for_a_case_and_only_for_runs_that_met_it(tmp_path: Path) -> None:
    _, text = page(
        tmp_path, report(1, race(103), race(103, 2)), report(2, case(Verdict.PASSED)), report(3, race(91, 3))
    )
    rows = Rows(text)
    assert rows.beginning("a result counts once") == ["103 of 200", "-", "91 of 200"]
    assert "width: 52%" in text


def test_latencies_and_durations_are_shown_for_each_run(tmp_path: Path) -> None:
    fast, slow = ({"create": Latency(10, median, 9.5)} for median in (1.25, 3))
    runs = [
        report(1, case(Verdict.PASSED, seconds=2), latencies=fast, seconds=61.4),
        report(2, latencies=slow),
        report(3, case(Verdict.PASSED, seconds=4.5)),
    ]
    _, text = page(tmp_path, *runs)
    rows = Rows(text)
    assert rows.beginning("create") == ["1.25 · 9.5", "3 · 9.5", "-"]
    assert rows.beginning("it") == ["2", "-", "4.5"]
    assert [rows.beginning(f"{run} · ")[-1] for run in (1, 2, 3)] == ["61", "unknown", "unknown"]


def test_the_page_needs_no_script_and_no_other_file_and_has_a_dark_mode(tmp_path: Path) -> None:
    done, text = page(tmp_path, report(1, replace(case(Verdict.FAILED), name="test_<script>[https://a.test]")))
    assert done.exit_code == 0
    assert "color-scheme: light dark" in text
    assert not re.search(r"<script|<link|src=|href=\"(?!#)|url\(", text)
    assert not re.search(r"<th(?![^>]* scope=)[ >]", text), "a screen reader must tell what a cell is about"


def test_a_folder_of_a_run_and_a_report_of_an_earlier_suite_are_read(tmp_path: Path) -> None:
    document = json.loads(report(1, race(3)).to_json())
    for name in ("seconds", "latencies"):
        del document[name]
    for name in ("tries", "tries_failed"):
        del document["cases"][0][name]
    (tmp_path / "report.json").write_text(json.dumps(document))
    done = CliRunner().invoke(main, ["report", str(tmp_path), "--out", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    assert "No run met one." in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["{}", "[" * 100_000, None])
def test_what_is_no_report_is_named_and_no_page_is_written(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    done = CliRunner().invoke(main, ["report", str(tmp_path), "--out", str(tmp_path / "page.html")])
    assert (done.exit_code, (tmp_path / "page.html").exists()) == (2, False)
    assert f"{tmp_path / 'report.json'} is not a report: " in done.output


def exchange(milliseconds: float, path: str = TASKS, *, status: int = 202, body: bytes = b"{}") -> Exchange:
    return Exchange(Request("POST", path, "producer", body), Reply(0, int(milliseconds * MILLISECOND), status))


def test_latencies_are_those_of_successful_calls_that_do_not_wait() -> None:
    calls = [exchange(each) for each in range(1, 101)]
    others = [
        exchange(900, status=409),
        exchange(900, f"{TASKS}/cleanup"),
        exchange(900, f"{TASKS}/claim", status=204, body=b'{"waitSeconds":5}'),
        exchange(900, status=0),
    ]
    claims = [exchange(2.5, f"{TASKS}/claim", status=204)]
    expected = {"create": Latency(100, 51, 100), "claim": Latency(1, 2.5, 2.5)}
    assert latencies([*calls, *others, *claims]) == expected
