"""`codeq-fake task`: the story of one task: data, history, refused requests and callbacks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, cast

import click

from .control_client import Fake, Shape, calls_fake, in_path
from .journals import CALLBACK, REQUEST
from .output import Answer, say
from .tasks import TASK_ID, TASK_IN_FULL, attempts_of

if TYPE_CHECKING:
    from codeq_fake.payloads import TaskInFull

#: What the command reads of a task and its journals.
_STORY: Mapping[str, Shape] = {
    **TASK_IN_FULL,
    "state": str,
    "place": (NoneType, {"number": int | None, "total": int}),
    "latestClaims": [{"at": str, "as": str | None, "got": str}],
    "requests": [REQUEST],
    "callbacks": [CALLBACK],
}
#: A longer payload or result is cut (characters).
_LONGEST = 2000


@click.command()
@TASK_ID
@calls_fake
def task(fake: Fake, *, task_id: str) -> Answer:
    """Show a task, its data and its story.

    ID may be the beginning of an id. With --json, its requests and callbacks are shown in full: attach it to an issue.
    """
    story = fake.get(f"/tasks/{in_path(fake.task_id(task_id))}/story", _STORY)
    return Answer(story, say(*_lines(story)))


def _lines(story: dict[str, Any]) -> Iterator[str]:
    """The story for a person."""
    from codeq_fake import timeline  # noqa: PLC0415 - --help loads no server

    head, *history = timeline.of_tasks([cast("TaskInFull", story)]).split("\n")
    yield head
    tenant = story.get("tenantId")
    of_tenant = f"  tenant {tenant}" if tenant else ""
    yield f"  {story['state']}  attempts {attempts_of(story)}  priority {story.get('priority', 0)}{of_tenant}"
    yield f"  payload {_cut(story['payload'])}"
    if story.get("error"):
        yield f"  error {_cut(story['error'])}"
    result = story.get("result")
    if isinstance(result, dict) and "result" in result:
        yield f"  result {_cut(json.dumps(result['result'], ensure_ascii=False))}"
    yield from history
    yield from _waiting(story)
    yield from _indented(timeline.of_requests(story["requests"]))
    yield from _indented(timeline.of_callbacks(story["callbacks"]))


def _waiting(story: dict[str, Any]) -> Iterator[str]:
    """The place of a ready task in its queue, and what the last workers asked for instead."""
    place = story["place"]
    if place is None:
        return
    number = f"number {place['number']:,}" if place["number"] else "far behind"
    yield f"  {number} of {place['total']:,} ready in its queue"
    for claim in story["latestClaims"]:
        yield f"  last claim of {claim['as'] or 'unknown'} at {claim['at'][11:19]}: {claim['got']}"


def _indented(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"  {line}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... and {len(text) - _LONGEST:,} characters more"
