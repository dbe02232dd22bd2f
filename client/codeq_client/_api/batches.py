"""Batches larger than the server's limit: items are encoded one by one, sent in parts, and answered by index.

The asynchronous client encodes a part while the server has the one before it. So no more than two are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

from codeq_client._display import excerpt
from codeq_client._task import Task
from codeq_client.errors import (
    BadReply,
    ClientClosed,
    CodeQError,
    ConfigurationError,
    EncodeError,
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


Part: TypeAlias = list[tuple[int, Item, Encoded]]
"""Up to `MAX_BATCH` items that are sent together: index, item, and its encoded form."""


def create(
    core: Core, tasks: Sequence[NewTask], trace_parent: str, progress: Progress | None = None
) -> Flow[Batch[Task]]:
    """Create many tasks (C9)."""
    keys: dict[int, str] = {}

    def encode(index: int, task: NewTask) -> calls.NewItem:
        keys[index] = task.take_key()
        return calls.new_item(task, keys[index])

    def send(
        part: Part[NewTask, calls.NewItem], deadline: float, meanwhile: Callable[[], object]
    ) -> Flow[list[Task | CodeQError]]:
        call = calls.create_batch([item for _, _, item in part], trace_parent=trace_parent)
        answers = yield from core.send(call, deadline=deadline, meanwhile=meanwhile)
        return [_read(answer, "task", decoding.task) for answer in answers]

    kept: Mapping[int, object] = keys
    try:
        answers, outage = yield from _send_in_parts(core, encode, send, dict(enumerate(tasks)), progress)
        kept = {index: answer for index, answer in answers.items() if isinstance(answer, Rejected)}
    finally:
        for index in kept:
            tasks[index].keep_key(keys[index])
    for index, answer in answers.items():
        if isinstance(answer, Rejected):
            answers[index] = replace(answer, item=replace(tasks[index], idempotency_key=keys[index]))
    return _in_order(answers, outage)


def submit(core: Core, submissions: Sequence[Submission]) -> Flow[Batch[Record]]:
    """End many tasks (S6): in batches where the server treats it equally, otherwise in separate requests."""

    def send(
        part: Part[Submission, bytes], deadline: float, meanwhile: Callable[[], object]
    ) -> Flow[list[Record | CodeQError]]:
        call = calls.submit_batch([body for _, _, body in part])
        try:
            answers = yield from core.send(call, deadline=deadline, meanwhile=meanwhile)
        except (Unavailable, ServerError) as error:
            if isinstance(error, Unavailable) and not error.sent:
                raise
            return (yield from _resolve(core, [submission for _, submission, _ in part], deadline))
        return [
            _read(answer, "result", calls.about(submission.task_id, decoding.record))
            for (_, submission, _), answer in zip(part, answers, strict=True)
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
    try:
        return decode(answer[key]) if answer.get(key) else refusals.item_error(str(answer.get("error")))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        return BadReply(f"the answer to one item is not CodeQ's: {excerpt(repr(error))}")


def _deadline(core: Core) -> float:
    """Return when a batch that has just begun, or had an answer, is given up without another one."""
    return core.clock.monotonic() + max(_PATIENCE, 2 * core.timeout)


class _Parts(Generic[Item, Encoded]):
    """The parts of a batch, and the items that cannot be encoded."""

    def __init__(self, encode: Callable[[int, Item], Encoded], items: Mapping[int, Item]) -> None:
        self.refused: dict[int, Rejected] = {}
        self._encode = encode
        self._left = self._encoded(items)
        self._next: Part[Item, Encoded] | None = None

    def prepare(self) -> None:
        """Encode the next part, unless that is done. Raises nothing."""
        if self._next is None:
            self._next = list(islice(self._left, calls.MAX_BATCH))

    def take(self) -> Part[Item, Encoded]:
        """Return the next part; an empty one is the end."""
        self.prepare()
        part, self._next = self._next or [], None
        return part

    def _encoded(self, items: Mapping[int, Item]) -> Iterator[tuple[int, Item, Encoded]]:
        for index, item in items.items():
            try:
                yield index, item, self._encode(index, item)
            except ConfigurationError as error:
                self.refused[index] = Rejected(index, error, item)
            except Exception as error:  # noqa: BLE001 - from the user's types, such as a serializer of pydantic
                self.refused[index] = Rejected(index, _not_encoded(error), item)


def _not_encoded(error: Exception) -> EncodeError:
    refused = EncodeError(f"it cannot be encoded: {type(error).__name__}: {excerpt(str(error))}")
    refused.__cause__ = error
    return refused


def _send_in_parts(
    core: Core,
    encode: Callable[[int, Item], Encoded],
    send: Callable[[Part[Item, Encoded], float, Callable[[], object]], Flow[list[T | CodeQError]]],
    items: Mapping[int, Item],
    progress: Progress | None = None,
) -> Flow[tuple[dict[int, T | Rejected], CodeQError | None]]:
    """Send the items that can be encoded. A part that fails rejects its items. Return the answers, and what ended them.

    If all parts fail, and certainly none had an effect, that is raised: the caller may repeat the whole. In an outage
    no further part is sent, because each would take as long. A single lost reply is none, unless it took all the time.
    """
    parts = _Parts(encode, items)
    answers: dict[int, T | Rejected] = {}
    failure: CodeQError | None = None
    outage: CodeQError | None = None
    last: CodeQError | None = None
    may_have_acted_once = False
    deadline = _deadline(core)
    while part := parts.take():
        outcomes: list[T | CodeQError]
        try:
            if outage:
                raise _not_sent(outage)
            outcomes = yield from send(part, deadline, parts.prepare)
            may_have_acted_once = True
        except CodeQError as error:
            failure = failure or error
            may_have_acted_once = may_have_acted_once or may_have_acted(error)
            outcomes = [error] * len(part)
        parts.prepare()
        previous, last = last, next((outcome for outcome in outcomes if isinstance(outcome, _OUTAGES)), None)
        if last is None:
            deadline = _deadline(core)
        elif previous or not may_have_acted(last) or core.clock.monotonic() >= deadline:
            outage = outage or last
        for (index, item, _), outcome in zip(part, outcomes, strict=True):
            answers[index] = Rejected(index, outcome, item) if isinstance(outcome, CodeQError) else outcome
        if progress:
            progress(len(answers) + len(parts.refused), len(items))
    if failure and not may_have_acted_once:
        raise failure
    answers.update(parts.refused)
    return answers, outage


def _in_order(answers: Mapping[int, T | Rejected], outage: CodeQError | None) -> Batch[T]:
    return Batch(tuple(answers[index] for index in sorted(answers)), outage)
