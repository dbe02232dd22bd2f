"""The page of a report: levels, the matrix of clauses and targets, and what did not pass with its requests."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from codeq_contract.register import CLAUSES, CONTRACT, WITHOUT_CASE
from codeq_contract.report.style import STYLE
from codeq_contract.report.verdicts import GROUPS, SIGHTINGS_OF_GROUPS, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from codeq_contract.report.results import CaseResult, Report, Shown

SECTIONS = {
    "R": "Surface",
    "B": "Request bodies",
    "A": "Authentication",
    "T": "The task",
    "C": "Create",
    "K": "Claim",
    "H": "Heartbeat",
    "D": "Abandon",
    "N": "NACK",
    "S": "Result",
    "W": "Callbacks",
    "U": "Subscriptions",
    "M": "Admin",
    "L": "Limits and metrics",
    "X": "Tracing",
    "Z": "Races",
}
_SHOWN_VERDICTS = (Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.KNOWN)
_LISTED_VERDICTS = {Verdict.SKIPPED: "were not run", Verdict.UNSUPPORTED: "the target does not support"}


def page(reports: Sequence[Report]) -> str:
    """One page for runs on one or more targets: the matrix has a column for each."""
    body = "".join((*_heads(reports), *_details(reports), _matrix(reports)))
    title = f"CodeQ contract {CONTRACT} on {', '.join(report.target for report in reports)}"
    ways = "<nav><a href=#failures>What did not pass</a> <a href=#clauses>All clauses</a></nav>"
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<main><h1>{escape(title)}</h1>{ways}{body}</main></html>\n"
    )


def _heads(reports: Sequence[Report]) -> Iterator[str]:
    for report in reports:
        about = " · ".join(f"{name} {value}" for name, value in report.about.items())
        seed = f" · seed {report.seed}" if report.seed else ""
        yield f"<section><h2>{escape(report.target)}: {_outcome(report)}</h2><p class=about>{escape(about)}<br>"
        yield f"{escape(report.date)} · suite {escape(report.suite)}{escape(seed)}</p><div class=levels>"
        for group in GROUPS:
            level = report.levels[group]
            counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts(group).items()) or "no cases"
            yield f"<div class='level {_class(level)}'><b>{group}</b><span>{level}</span><small>{counts}</small></div>"
        yield "</div>"
        if report.not_run:
            yield f"<p class=reason>Not run: {escape(report.not_run)}</p></section>"
            continue
        yield _sightings(report)
        settings = ", ".join(f"{name}: {value}" for name, value in {**report.settings, **report.tolerances}.items())
        yield f"<details><summary>Settings and tolerances</summary><p>{escape(settings)}</p></details></section>"


def _outcome(report: Report) -> str:
    word = {0: "passed", 1: "failed", 3: "partial"}.get(report.exit_code, "error")
    return f"<span class='verdict {word}'>{word}</span>"


def _sightings(report: Report) -> str:
    seen = [
        f"<li class={'pass' if report.sightings[sighting] else 'inconclusive'}>{sighting}: {report.sightings[sighting]}"
        for group in GROUPS
        for sighting in SIGHTINGS_OF_GROUPS[group]
    ]
    return f"<p>What has to have happened at least once:</p><ul class=seen>{''.join(seen)}</ul>"


def _matrix(reports: Sequence[Report]) -> str:
    columns = "".join(f"<th>{escape(report.target)}" for report in reports)
    rows = []
    for letter, clauses in groupby(CLAUSES, key=lambda clause: clause[0]):
        rows.append(f"<tr class=part><th colspan={2 + len(reports)}>{SECTIONS[letter]}")
        rows.extend(_row(clause, reports) for clause in clauses)
    return (
        "<section id=clauses><h2>Clauses</h2><table class=matrix><thead>"
        f"<tr><th>Clause<th>What it says{columns}</thead><tbody>{''.join(rows)}</tbody></table></section>"
    )


def _row(clause: str, reports: Sequence[Report]) -> str:
    cells = []
    for report in reports:
        verdict = report.clauses[clause]
        cases = [f"{case.verdict}: {case.name}" for case in report.cases if clause in case.clauses]
        hint = "\n".join(cases) or WITHOUT_CASE.get(clause, "not run")
        cells.append(
            f"<td class='verdict {_class(verdict)}' title=\"{escape(hint)}\">{verdict} <small>{len(cases)}</small>"
        )
    return f"<tr><th id={clause}>{clause}<td>{escape(CLAUSES[clause])}{''.join(cells)}"


def _details(reports: Sequence[Report]) -> Iterator[str]:
    for report in reports:
        shown = sorted(
            (case for case in report.cases if case.verdict in _SHOWN_VERDICTS),
            key=lambda case: _SHOWN_VERDICTS.index(case.verdict),
        )
        yield f"<section id=failures><h2>What did not pass on {escape(report.target)}</h2>"
        nothing = "Nothing was run." if report.not_run else "Nothing."
        # One that is open shows that all can be opened.
        yield "".join(_case(case, opened=not number) for number, case in enumerate(shown)) or f"<p>{nothing}</p>"
        yield from _logs(report)
        yield from _left_behind(report)
        for verdict, what in _LISTED_VERDICTS.items():
            without = [case for case in report.cases if case.verdict is verdict]
            if without:
                yield f"<details><summary>{len(without)} cases that {what}</summary><ul>"
                yield "".join(f"<li>{escape(case.name)}: {escape(case.reason)}" for case in without)
                yield "</ul></details>"
        yield "</section>"


def _left_behind(report: Report) -> Iterator[str]:
    if report.left_behind:
        yield f"<details><summary>{len(report.left_behind)} delayed tasks that could not be ended</summary>"
        yield "<p>Nobody claims their commands, and no request ends a task before it is due.</p><ul>"
        yield "".join(f"<li>{escape(task)} {escape(command)}" for task, command in report.left_behind.items())
        yield "</ul></details>"


def _logs(report: Report) -> Iterator[str]:
    for name, log in report.logs.items():
        yield f"<details><summary>The end of the {escape(name)}'s log</summary><pre>{escape(log)}</pre></details>"


def _case(case: CaseResult, *, opened: bool) -> str:
    clauses = " ".join(f"<a href=#{clause}>{clause}</a>" for clause in case.clauses)
    says = case.name.removeprefix("test_").replace("_", " ")
    return (
        f"<details class=case{' open' * opened}><summary>"
        f"<span class='verdict {_class(case.verdict)}'>{case.verdict}</span> "
        f"<span title='{escape(case.name)}'>{escape(says)}</span> "
        f"<small>{clauses} · {case.seconds:g} s · attempt {case.attempts}</small></summary>"
        f"<p class=reason>{escape(case.reason)}</p>{_timeline(case.transcript)}"
        f"<ol>{''.join(map(_exchange, case.transcript))}</ol></details>"
    )


def _timeline(transcript: Sequence[Shown]) -> str:
    """Each request as a bar from its call to its reply, a row for each caller."""
    if not transcript:
        return ""
    start, end = transcript[0].called, max(shown.returned for shown in transcript)
    callers = list(dict.fromkeys(shown.identity or "nobody" for shown in transcript))
    scale = 720 / max(end - start, 0.001)
    bars = [f"<text x=0 y={row * 22 + 15}>{escape(caller[:18])}</text>" for row, caller in enumerate(callers)]
    bars += [f"<line x1=130 x2=860 y1={row * 22 + 11} y2={row * 22 + 11} />" for row in range(len(callers))]
    for number, shown in enumerate(transcript, start=1):
        x, width = 130 + (shown.called - start) * scale, max((shown.returned - shown.called) * scale, 4)
        y = callers.index(shown.identity or "nobody") * 22 + 4
        request = shown.request.partition("\n")[0]
        hint = escape(f"{number}: {request} {shown.status}, {shown.called:g} to {shown.returned:g} s")
        place = f"x={x:.1f} y={y} width={width:.1f} height=14"
        bars.append(f"<rect {place} class=s{shown.status // 100}><title>{hint}</title></rect>")
    height = len(callers) * 22 + 18
    ends = f"<text x=130 y={height - 3}>{start:g} s</text><text x=860 y={height - 3} text-anchor=end>{end:g} s</text>"
    drawing = f"<svg viewBox='0 0 870 {height}' role=img aria-label=timeline>{''.join(bars)}{ends}</svg>"
    return f"<div class=timeline>{drawing}</div>"


def _exchange(shown: Shown) -> str:
    sent = f"\n{shown.body}" if shown.body else ""
    return (
        f"<li><small>{shown.called:.3f} s · {escape(shown.identity or 'nobody')}</small>"
        f"<pre>{escape(shown.request + sent)}</pre><pre class=s{shown.status // 100}>{shown.status or 'no answer'} "
        f"{escape(shown.reply)}</pre>"
    )


def _class(verdict: str) -> str:
    return verdict.replace(" ", "-")
