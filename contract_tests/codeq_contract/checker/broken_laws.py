"""The laws that a recording breaks, as plain data: what `codeq_fake.simulation` asks for by an entry point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from codeq_contract.recordings.files import recording_of

from .events import CallbackReceived
from .judgements import check
from .laws import Violation


class BrokenLaw(NamedTuple):
    """A law that is certainly broken: its title, what happened, and which tasks and requests show it.

    `tasks` are ids, the first is the one with which it was broken. `requests` are the numbers of calls.
    """

    law: str
    text: str
    tasks: tuple[str, ...]
    requests: tuple[int, ...]


def broken_laws(lines: Iterable[Mapping[str, Any]]) -> Iterator[BrokenLaw]:
    """All laws that a recording with these lines breaks. Raises RecordingError."""
    for judgement in check(recording_of(lines, name="the history")).judgements:
        for violation in judgement.violations:
            text = f"task {violation.task_id} {violation.message}"
            requests = tuple(event.number for event in violation.events if not isinstance(event, CallbackReceived))
            yield BrokenLaw(judgement.law.title, text, _tasks(violation), requests)


def _tasks(violation: Violation) -> tuple[str, ...]:
    """The tasks that the events of a violation name."""
    named = [getattr(event, "task_id", violation.task_id) for event in violation.events]
    return tuple(dict.fromkeys((violation.task_id, *named)))
