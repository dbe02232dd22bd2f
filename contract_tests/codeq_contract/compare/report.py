"""A comparison as text for people, and as JSON for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .pair import Pair
from .search import Difference, Outcome
from .session import Exchange
from .steps import BEARER, Plan, Send, Wait

_MOST_CHARACTERS = 400


def lines(difference: Difference) -> Iterator[str]:
    """A kind of difference with the smallest requests that show it, and what each server answered to the last one."""
    yield f"{difference.kind}{_remark(difference)}"
    exchanges = {exchange.request.number: exchange for exchange in difference.smallest.exchanges}
    # The whole session of a difference by chance is only in the report.
    for step in difference.smallest.plan if not difference.by_chance else ():
        if isinstance(step, Wait):
            yield f"    wait {step.seconds:g} s"
        elif step.number in exchanges:
            yield f"    {_request_line(step)}"
            yield f"        answered {_short(exchanges[step.number].left)}"
    for each in difference.smallest.differences:
        yield f"    {each.path}  [{each.clauses}]"
        yield f"        left:  {_short(each.theirs)}"
        yield f"        right: {_short(each.ours)}"


def document(outcome: Outcome, pair: Pair) -> dict[str, Any]:
    """The whole comparison as a JSON object."""
    return {
        "left": {"target": pair.left.target, **pair.left.about},
        "right": {"target": pair.right.target, **pair.right.about},
        "seed": outcome.seed,
        "requests": outcome.requests,
        "sessions": outcome.sessions,
        "seconds": round(outcome.seconds, 1),
        "ended_early": outcome.ended_early,
        "differences": [_entry(each) for each in outcome.found.values()],
    }


def _entry(difference: Difference) -> Mapping[str, Any]:
    """A difference with the smallest plan that shows it, for JSON."""
    exchanges = {exchange.request.number: exchange for exchange in difference.smallest.exchanges}
    return {
        "route": difference.kind.route,
        "places": difference.kind.places,
        "sessions": difference.sessions,
        "known": difference.known,
        "by_chance": difference.by_chance,
        "steps": [*_steps(difference.smallest.plan, exchanges)],
        "values": [
            {"place": each.path, "clauses": each.clauses, "left": each.theirs, "right": each.ours}
            for each in difference.smallest.differences
        ],
    }


def _steps(plan: Plan, exchanges: Mapping[int, Exchange]) -> Iterator[Mapping[str, Any]]:
    """The waits of a plan, and those of its requests that were sent, with both replies."""
    for step in plan:
        if isinstance(step, Wait):
            yield {"wait": step.seconds}
        elif step.number in exchanges:
            exchange = exchanges[step.number]
            yield {
                "number": step.number,
                "request": f"{step.method} {step.target}",
                "caller": step.caller,
                "headers": dict(step.headers),
                "body": None if step.body is None else str(step.body),
                "left": exchange.left,
                "right": exchange.right,
            }


def _remark(difference: Difference) -> str:
    if difference.by_chance:
        return " (by chance: it did not show again)"
    return f" (known: {difference.known})" if difference.known else ""


def _request_line(step: Send) -> str:
    caller = f" as {step.caller}" if step.caller else ""
    headers = "".join(f" [{name}: {text}]" for name, text in step.headers if (name, text) != BEARER)
    body = "" if step.body is None else f" {_short(str(step.body))}"
    return f"{step.number}: {step.method} {_short(step.target)}{caller}{headers}{body}"


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} ... ({len(text)} characters)"
