"""Batches larger than the server's limit: items are encoded one by one, sent in parts, and answered by index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from codeq_client._task import Task
from codeq_client.errors import (
    ClientClosed,
    CodeQError,
    ConfigurationError,
    Forbidden,
    RateLimited,
    ServerError,
    Unauthorized,
    Unavailable,
)

from . import calls, decoding, refusals, settlement
from .models import Batch, NewTask, Record, Rejected, Submission
from .retries import Core, Flow, may_have_acted

T = TypeVar("T")
Item = TypeVar("Item")
Encoded = TypeVar("Encoded")

_OUTAGES = (Unavailable, ServerError, RateLimited, Unauthorized, Forbidden, ClientClosed)
"""Errors of a request that the next one would meet too."""

_PATIENCE = 61.0
"""For how many seconds a batch goes on without an answer, or for two timeouts. A Retry-After of a minute is heeded."""


Progress: TypeAlias = Callable[[int, int], object]
"""Called with the number of items that were answered, and of all."""


def create(
    core: Core, tasks: Sequence[NewTask], trace_parent: str, progress: Progress | None = None
) -> Flow[Batch[Task]]:
    """Create many tasks (C9)."""

    def send(part: Sequence[tuple[NewTask, calls.NewItem]], deadline: float) -> Flow[list[Task | CodeQError]]:
        call = calls.create_batch([item for _, item in part], trace_parent=trace_parent)
        answers = yield from core.send(call, deadline=deadline)
        return [_read(answer, "task", decoding.task) for answer in answers]

    keys = [task.take_key() for task in tasks]
    kept = set(range(len(tasks)))
    try:
        answers, outage = yield from _send_in_parts(
            core, lambda index, task: calls.new_item(task, keys[index]), send, dict(enumerate(tasks)), progress
        )
        kept = {index for index, answer in answers.items() if isinstance(answer, Rejected)}
    finally:
        for index in kept:
            tasks[index].keep_key(keys[index])
    for index, answer in answers.items():
        if isinstance(answer, Rejected):
            answers[index] = replace(answer, item=replace(tasks[index], idempotency_key=keys[index]))
    return _in_order(answers, outage)


def submit(core: Core, submissions: Sequence[Submission]) -> Flow[Batch[Record]]:
    """End many tasks (S6): in batches where the server treats it equally, otherwise in separate requests."""

    def send(part: Sequence[tuple[Submission, bytes]], deadline: float) -> Flow[list[Record | CodeQError]]:
        try:
            answers = yield from core.send(calls.submit_batch([body for _, body in part]), deadline=deadline)
        except (Unavailable, ServerError) as error:
            if isinstance(error, Unavailable) and not error.sent:
                raise
            return (yield from _resolve(core, [submission for submission, _ in part], deadline))
        return [
            _read(answer, "result", calls.about(submission.task_id, decoding.record))
            for (submission, _), answer in zip(part, answers, strict=True)
        ]

    numbered = dict(enumerate(submissions))
    batched = {index: item for index, item in numbered.items() if _may_be_batched(item)}
    answers, outage = yield from _send_in_parts(
        core, lambda _, item: calls.submission(item.task_id, item.result, item.error), send, batched
    )
    for index, item in numbered.items():
        if index in batched:
            continue
        if outage:
            answers[index] = Rejected(index, _not_sent(outage), item)
            continue
        try:
            answers[index] = yield from settlement.submit(
                core, item.task, item.result, item.error, item.artifacts, deadline=_deadline(core)
            )
        except CodeQError as error:
            answers[index] = Rejected(index, error, item)
            outage = error if isinstance(error, _OUTAGES) else None
    return _in_order(answers, outage)


def _not_sent(outage: CodeQError) -> Unavailable:
    return Unavailable(f"not sent, because of an earlier error: {outage}", sent=False)


def _may_be_batched(item: Submission) -> bool:
    return isinstance(item.task, Task) and not item.task.webhook and not item.artifacts


def _resolve(core: Core, items: Sequence[Submission], deadline: float) -> Flow[list[Record | CodeQError]]:
    """After a lost answer, read each task, and submit the results that did not arrive."""
    outcomes: list[Record | CodeQError] = []
    for item in items:
        try:
            outcomes.append(
                (
                    yield from settlement.submit(
                        core, item.task, item.result, item.error, unknown=True, deadline=deadline
                    )
                )
            )
        except (Unavailable, ServerError, RateLimited) as error:
            # The server is unavailable: each of the others would take as long.
            return outcomes + [error] * (len(items) - len(outcomes))
        except CodeQError as error:
            outcomes.append(error)
    return outcomes


def _read(answer: Any, key: str, decode: Callable[[Any], T]) -> T | CodeQError:  # noqa: ANN401 - the server's object
    return decode(answer[key]) if answer.get(key) else refusals.item_error(str(answer.get("error")))


def _deadline(core: Core) -> float:
    """Return when a batch that has just begun, or had an answer, is given up without another one."""
    return core.clock.monotonic() + max(_PATIENCE, 2 * core.timeout)


def _encoded(
    encode: Callable[[int, Item], Encoded], items: Mapping[int, Item]
) -> tuple[list[tuple[int, tuple[Item, Encoded]]], dict[int, Rejected]]:
    """Return the items that can be encoded, in both forms, and the others."""
    ready: list[tuple[int, tuple[Item, Encoded]]] = []
    refused: dict[int, Rejected] = {}
    for index, item in items.items():
        try:
            ready.append((index, (item, encode(index, item))))
        except ConfigurationError as error:
            refused[index] = Rejected(index, error, item)
    return ready, refused


def _send_in_parts(
    core: Core,
    encode: Callable[[int, Item], Encoded],
    send: Callable[[Sequence[tuple[Item, Encoded]], float], Flow[list[T | CodeQError]]],
    items: Mapping[int, Item],
    progress: Progress | None = None,
) -> Flow[tuple[dict[int, T | Rejected], CodeQError | None]]:
    """Send the items that can be encoded. A part that fails rejects its items. Return the answers, and what ended them.

    If all parts fail, and certainly none had an effect, that is raised: the caller may repeat the whole. In an outage
    no further part is sent, because each would take as long. A single lost reply is none, unless it took all the time.
    """
    ready, refused = _encoded(encode, items)
    answers: dict[int, T | Rejected] = {**refused}
    failure: CodeQError | None = None
    outage: CodeQError | None = None
    last: CodeQError | None = None
    failed = 0
    has_unknown_part = False
    deadline = _deadline(core)
    for start in range(0, len(ready), calls.MAX_BATCH):
        part = ready[start : start + calls.MAX_BATCH]
        outcomes: list[T | CodeQError]
        try:
            if outage:
                raise _not_sent(outage)
            outcomes = yield from send([item for _, item in part], deadline)
        except CodeQError as error:
            failure = failure or error
            has_unknown_part = has_unknown_part or may_have_acted(error)
            failed += len(part)
            outcomes = [error] * len(part)
        previous, last = last, next((outcome for outcome in outcomes if isinstance(outcome, _OUTAGES)), None)
        if last is None:
            deadline = _deadline(core)
        elif previous or not may_have_acted(last) or core.clock.monotonic() >= deadline:
            outage = outage or last
        for (index, (item, _)), outcome in zip(part, outcomes, strict=True):
            answers[index] = Rejected(index, outcome, item) if isinstance(outcome, CodeQError) else outcome
        if progress:
            progress(len(answers), len(items))
    if failure and failed == len(ready) and not has_unknown_part:
        raise failure
    return answers, outage


def _in_order(answers: Mapping[int, T | Rejected], outage: CodeQError | None) -> Batch[T]:
    return Batch(tuple(answers[index] for index in sorted(answers)), outage)
