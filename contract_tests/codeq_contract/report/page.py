"""The page of a report, rendered from the data of `report.json` by the template `page.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from codeq_contract.clauses import CLAUSES, CONTRACT, SECTIONS, WITHOUT_CASE

from .results import GROUPS, SIGHTINGS_OF_GROUPS, CaseResult, Report, ShownExchange, Verdict

_SHOWN_VERDICTS = (Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.KNOWN)
_LISTED_VERDICTS = {Verdict.SKIPPED: "were not run", Verdict.UNSUPPORTED: "the target does not support"}


def page(reports: Sequence[Report]) -> str:
    """One page for runs on one or more targets. Its matrix of clauses has a column for each."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"seconds": "{:g}".format, "css_class": _css_class}
    return environment.get_template("page.html").render(
        reports=reports,
        contract=CONTRACT,
        groups=GROUPS,
        sightings=[sighting for group in GROUPS for sighting in SIGHTINGS_OF_GROUPS[group]],
        sections={
            SECTIONS[letter]: list(clauses) for letter, clauses in groupby(CLAUSES, key=lambda clause: clause[0])
        },
        titles=CLAUSES,
        without_case=WITHOUT_CASE,
        listed_verdicts=_LISTED_VERDICTS,
        shown_cases=_shown_cases,
        timeline=_timeline,
    )


def _shown_cases(report: Report) -> list[CaseResult]:
    """The cases that did not pass, the worst first."""
    cases = [case for case in report.cases if case.verdict in _SHOWN_VERDICTS]
    return sorted(cases, key=lambda case: _SHOWN_VERDICTS.index(case.verdict))


def _timeline(transcript: Sequence[ShownExchange]) -> Mapping[str, object]:
    """Each request as a bar from its call to its reply, in one row for each caller."""
    start, end = transcript[0].called, max(shown.returned for shown in transcript)
    callers = list(dict.fromkeys(shown.identity or "anonymous" for shown in transcript))
    scale = 720 / max(end - start, 0.001)
    bars = [
        {
            "x": f"{130 + (shown.called - start) * scale:.1f}",
            "y": callers.index(shown.identity or "anonymous") * 22 + 4,
            "width": f"{max((shown.returned - shown.called) * scale, 4):.1f}",
            "shown": shown,
        }
        for shown in transcript
    ]
    return {"callers": callers, "bars": bars, "start": start, "end": end, "height": len(callers) * 22 + 18}


def _css_class(verdict: str) -> str:
    return verdict.replace(" ", "-")
