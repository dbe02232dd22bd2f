"""Batches beyond the server's limit: each item is encoded by itself, sent with others, and answered at its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from codeq_client.errors import CodeQError, ConfigurationError, RateLimited, ServerError, Unavailable

from . import calls, decoding, refusals, settlement
from .models import Batch, NewTask, Record, Rejected, Submission, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .retries import Core, Flow

T = TypeVar("T")
Given = TypeVar("Given")
Encoded = TypeVar("Encoded")


@dataclass(frozen=True, slots=True)
class _Kind(Generic[Given, Encoded, T]):
    """How one kind of batch is sent: `encode` makes an item ready, `send` returns the answers to a part of them."""

    encode: Callable[[Given], Encoded]
    send: Callable[[Sequence[tuple[Given, Encoded]]], Flow[list[T | CodeQError]]]


def create(core: Core, tasks: Sequence[NewTask], trace_parent: str) -> Flow[Batch[Task]]:
    """Create many tasks (C9)."""

    def send(part: Sequence[tuple[NewTask, calls.NewItem]]) -> Flow[list[Task | CodeQError]]:
        call = calls.create_batch([item for _, item in part], trace_parent=trace_parent)
        answers = yield from core.send(call)
        return [_item(answer, "task", decoding.task) for answer in answers]

    answers = yield from _together(_Kind(calls.new_item, send), dict(enumerate(tasks)))
    return _in_order(answers)


def submit(core: Core, submissions: Sequence[Submission]) -> Flow[Batch[Record]]:
    """End many tasks (S6): together those that lose nothing by it, the others singly."""

    def send(part: Sequence[tuple[Submission, bytes]]) -> Flow[list[Record | CodeQError]]:
        try:
            answers = yield from core.send(calls.submit_batch([body for _, body in part]))
        except (Unavailable, ServerError) as error:
            if isinstance(error, Unavailable) and not error.sent:
                raise
            return (yield from _find_out(core, [submission for submission, _ in part]))
        return [_item(answer, "result", decoding.record) for answer in answers]

    numbered = dict(enumerate(submissions))
    together = {index: item for index, item in numbered.items() if _may_go_together(item)}
    answers = yield from _together(_Kind(_encoded, send), together)
    for index, item in numbered.items():
        if index not in together:
            try:
                answers[index] = yield from settlement.submit(core, item.task, item.result, item.error, item.artifacts)
            except CodeQError as error:
                answers[index] = Rejected(index, error)
    return _in_order(answers)


def _may_go_together(item: Submission) -> bool:
    return isinstance(item.task, Task) and not item.task.webhook and not item.artifacts


def _encoded(item: Submission) -> bytes:
    return calls.end_item(_id_of(item), item.result, item.error)


def _id_of(item: Submission) -> str:
    return item.task.id if isinstance(item.task, Task) else item.task


def _find_out(core: Core, items: Sequence[Submission]) -> Flow[list[Record | CodeQError]]:
    """Look at each task whose end may or may not have counted, and end it where it did not."""
    outcomes: list[Record | CodeQError] = []
    for item in items:
        try:
            outcomes.append((yield from settlement.submit(core, item.task, item.result, item.error, unknown=True)))
        except (Unavailable, ServerError, RateLimited) as error:
            # The server is away: to look for the others would take as long for each of them.
            return outcomes + [error] * (len(items) - len(outcomes))
        except CodeQError as error:
            outcomes.append(error)
    return outcomes


def _item(answer: Any, key: str, read: Callable[[Any], T]) -> T | CodeQError:  # noqa: ANN401  # the server's object
    return read(answer[key]) if answer.get(key) else refusals.item_error(str(answer.get("error")))


def _together(kind: _Kind[Given, Encoded, T], items: Mapping[int, Given]) -> Flow[dict[int, T | Rejected]]:
    """Send what can be encoded in parts; a part that fails as a whole rejects its items, unless all do: that raises."""
    answers: dict[int, T | Rejected] = {}
    ready: list[tuple[int, tuple[Given, Encoded]]] = []
    for index, item in items.items():
        try:
            ready.append((index, (item, kind.encode(item))))
        except ConfigurationError as error:
            answers[index] = Rejected(index, error)
    failure: CodeQError | None = None
    failed = 0
    for start in range(0, len(ready), calls.MAX_BATCH):
        part = ready[start : start + calls.MAX_BATCH]
        try:
            outcomes = yield from kind.send([item for _, item in part])
        except CodeQError as error:
            failure = error
            failed += len(part)
            outcomes = [error] * len(part)
        for (index, _), outcome in zip(part, outcomes, strict=True):
            answers[index] = Rejected(index, outcome) if isinstance(outcome, CodeQError) else outcome
    if failure and failed == len(ready):
        raise failure
    return answers


def _in_order(answers: Mapping[int, T | Rejected]) -> Batch[T]:
    return Batch(tuple(answers[index] for index in sorted(answers)))
