"""The page of a report, rendered from the data of `report.json` by the template `page.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from codeq_contract.clauses import CLAUSES, FACTS, SECTIONS, VERSIONS, Fact, shortened

from .results import (
    GROUPS,
    NOT_IN_CONTRACT,
    SHOWN_VERDICTS,
    SIGHTINGS_OF_GROUPS,
    CaseResult,
    Report,
    ShownExchange,
    Verdict,
)

if TYPE_CHECKING:
    from jinja2 import Environment

#: The timeline's sizes in pixels, as the template `page.html` has them. The times are divided over `_BARS_WIDTH`.
_NAMES_WIDTH = 130
_BARS_WIDTH = 720
_ROW_HEIGHT = 22
_BAR_MARGIN = 4
_NARROWEST_BAR = 4
_AXIS_HEIGHT = 18
#: A shorter transcript is scaled as if it took this many seconds.
_SHORTEST_SECONDS = 0.001
_LISTED_VERDICTS = {Verdict.SKIPPED: "were not run", Verdict.UNSUPPORTED: "the target does not support"}


def page(reports: Sequence[Report]) -> str:
    """One page for runs on one or more targets. Its matrix of clauses has a column for each."""
    clauses = {clause for report in reports for clause in report.clauses}
    facts: dict[str, list[Fact]] = {clause: [] for clause in clauses}
    for fact in FACTS.values():
        if fact.clause in facts:
            facts[fact.clause].append(fact)
    return rendered(
        "page.html",
        reports=reports,
        contract=contracts_of(reports),
        groups=GROUPS,
        sightings=[sighting for group in GROUPS for sighting in SIGHTINGS_OF_GROUPS[group]],
        sections={title: [clause for clause in SECTIONS[title] if clause in clauses] for title in SECTIONS},
        titles=CLAUSES,
        facts=facts,
        not_in_contract=NOT_IN_CONTRACT,
        listed_verdicts=_LISTED_VERDICTS,
        shown_cases=_shown_cases,
        timeline=_timeline,
    )


def contracts_of(reports: Sequence[Report]) -> str:
    """The versions that the reports are about, for a title."""
    asked = {report.contract for report in reports}
    return " and ".join(version for version in VERSIONS if version in asked)


def rendered(template: str, **values: object) -> str:
    """The text of a template in this folder with these values."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    """What compiles the templates, each once."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - slow; many runs have no page

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "seconds": "{:g}".format,
        "css_class": lambda verdict: verdict.replace(" ", "-"),
        "shortened": shortened,
        "case_title": lambda name: name.removeprefix("test_").replace("_", " "),
    }
    return environment


def _shown_cases(report: Report) -> list[CaseResult]:
    """The cases that did not pass, the worst first."""
    cases = [case for case in report.cases if case.verdict in SHOWN_VERDICTS]
    return sorted(cases, key=lambda case: SHOWN_VERDICTS.index(case.verdict))


def _timeline(transcript: Sequence[ShownExchange]) -> Mapping[str, object]:
    """Each request as a bar from its call to its reply, in one row for each caller."""
    start, end = transcript[0].called, max(exchange.returned for exchange in transcript)
    callers = list(dict.fromkeys(exchange.identity or "anonymous" for exchange in transcript))
    scale = _BARS_WIDTH / max(end - start, _SHORTEST_SECONDS)
    bars = [
        {
            "x": f"{_NAMES_WIDTH + (exchange.called - start) * scale:.1f}",
            "y": callers.index(exchange.identity or "anonymous") * _ROW_HEIGHT + _BAR_MARGIN,
            "width": f"{max((exchange.returned - exchange.called) * scale, _NARROWEST_BAR):.1f}",
            "shown": exchange,
        }
        for exchange in transcript
    ]
    height = len(callers) * _ROW_HEIGHT + _AXIS_HEIGHT
    return {"callers": callers, "bars": bars, "start": start, "end": end, "height": height}
