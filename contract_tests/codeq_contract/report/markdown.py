"""A run in Markdown, for the page of a CI job or a comment."""

from __future__ import annotations

from collections.abc import Iterator

from .results import GROUPS, SHOWN_VERDICTS, CaseResult, Report, Verdict

#: The most cases that are listed for one verdict.
_MOST = 20


def as_markdown(report: Report) -> str:
    """The outcome, a row for each level, and the cases that did not pass."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    """The lines: the target, the levels, the facts, and then the cases by verdict."""
    yield f"## CodeQ contract on {report.target}: {report.outcome}"
    yield ""
    if report.not_run:
        yield f"Not run: {_verbatim(report.not_run)}"
        return
    for name, value in report.about.items():
        yield f"- {name}: {_verbatim(value)}"
    yield ""
    yield "| level | result | cases |"
    yield "| --- | --- | --- |"
    for group in GROUPS:
        counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts(group).items())
        yield f"| {group} | {report.levels[group]} | {counts} |"
    yield ""
    yield report.counted_facts
    if report.races:
        yield ""
        yield f"Known races: {', '.join(f'{race} ({len(cases)})' for race, cases in report.races.items())}"
    for verdict in SHOWN_VERDICTS:
        yield from _cases(verdict, [case for case in report.cases if case.verdict is verdict])


def _cases(verdict: Verdict, cases: list[CaseResult]) -> Iterator[str]:
    """The cases with one verdict, each with the first line of its reason."""
    if not cases:
        return
    yield ""
    yield f"### {verdict}: {len(cases)}"
    yield ""
    for case in cases[:_MOST]:
        reason = case.reason.partition("\n")[0]
        yield f"- {_verbatim(case.name)} ({', '.join(case.facts or case.clauses)}): {_verbatim(reason)}"
    if len(cases) > _MOST:
        yield f"- and {len(cases) - _MOST} more"


def _verbatim(text: str) -> str:
    """The text on one line, which Markdown shows as it is."""
    line = " ".join(text.split()).replace("`", "'")
    return f"`{line}`"
