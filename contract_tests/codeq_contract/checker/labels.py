"""Says what was done and what came of it, in a few words."""

from __future__ import annotations

from functools import singledispatch

from codeq_contract.checker.events import (
    Abandon,
    CalledBack,
    Claim,
    Created,
    Delivery,
    Event,
    Heartbeat,
    Lost,
    Missing,
    Nack,
    Result,
    Sight,
)
from codeq_contract.recordings.times import SECOND


@singledispatch
def label(event: Event) -> str:
    """A few words for a line of a timeline."""
    return type(event).__name__.lower()


@label.register(Created)
def _(event: Created) -> str:
    due = f", due in {_seconds(event.delay)}" if event.delay else ""
    return f"create, priority {event.task.priority}{', with runAt' if event.run_at is not None else due}"


@label.register(Claim)
def _(event: Claim) -> str:
    return f"claim of {', '.join(task.id[:8] for task in event.tasks) or 'nothing'}"


@label.register(Delivery)
def _(event: Delivery) -> str:
    return f"claim for {_seconds(event.lease)}, attempts {event.task.attempts}"


@label.register(Heartbeat)
def _(event: Heartbeat) -> str:
    return f"heartbeat: {event.refusal or _seconds(event.extension)}"


@label.register(Abandon)
def _(event: Abandon) -> str:
    return f"abandon: {event.refusal or 'requeued'}"


@label.register(Nack)
def _(event: Nack) -> str:
    outcome = "dead letter" if event.dead else f"requeued in {event.delay} s"
    return f"NACK: {event.refusal or outcome}"


@label.register(Result)
def _(event: Result) -> str:
    return f"result: {event.refusal or event.status}"


@label.register(Sight)
def _(event: Sight) -> str:
    by = f" by {event.task.worker}" if event.task.worker else ""
    return f"{event.task.status}{by}, attempts {event.task.attempts}"


@label.register(Missing)
def _(_: Missing) -> str:
    return "no such task"


@label.register(Lost)
def _(event: Lost) -> str:
    return f"{event.path.rpartition('/')[2]}, no reply"


@label.register(CalledBack)
def _(event: CalledBack) -> str:
    return f"callback: {event.status}"


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / SECOND:g} s"
