"""Batches larger than the server's limit: items are encoded one by one, sent in parts, and answered by index.

While the server has a part, the asynchronous client reads the answers to the one before it and encodes the next one. No
more than two encoded parts are in memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
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
    Forbidden,
    RateLimited,
    ServerError,
    Unauthorized,
    Unavailable,
)

from . import calls, limits, refusals, reply_bodies, request_bodies, settlement
from .models import Batch, NewTask, Record, Rejected, Submission
from .sending import Core, Flow, may_have_acted

T = TypeVar("T")
Item = TypeVar("Item")
Encoded = TypeVar("Encoded")

_OUTAGES = (Unavailable, ServerError, RateLimited, Unauthorized, Forbidden, ClientClosed)
"""Errors of a request that the next one would meet too."""

_PATIENCE = 61.0
"""How many seconds a batch goes on without an answer, or two timeouts if these are longer.

It is more than the longest Retry-After that is heeded, a minute.
"""


Progress: TypeAlias = Callable[[int, int], object]
"""Called with the number of items that were answered, and of all."""


Part: TypeAlias = list[tuple[int, Item, Encoded]]
"""Up to `MAX_BATCH` items that are sent together: index, item, and its encoded form."""


class _Operation(ABC, Generic[Item, Encoded, T]):
    """What is done with each item of a batch."""

    @abstractmethod
    def encode(self, index: int, item: Item) -> Encoded:
        """Return what is sent for an item. Raises `ConfigurationError`."""

    @abstractmethod
    def send(self, part: Part[Item, Encoded], deadline: float, meanwhile: Callable[[], object]) -> Flow[list[Any]]:
        """Send a part, and return an answer for each of its items: the server's object, or an error."""

    @abstractmethod
    def read(self, item: Item, answer: Any) -> T | CodeQError:  # noqa: ANN401 - the server's object
        """Return the value of an answer. Raises what decoding raises."""


class _Creation(_Operation[NewTask, request_bodies.NewItem, Task]):
    """Creates tasks. `keys` are the idempotency keys that were used, by index."""

    def __init__(self, core: Core, trace_parent: str) -> None:
        self.keys: dict[int, str] = {}
        self._core = core
        self._trace_parent = trace_parent

    def encode(self, index: int, item: NewTask) -> request_bodies.NewItem:
        self.keys[index] = item.take_key()
        return request_bodies.new_item(item, self.keys[index])

    def send(
        self, part: Part[NewTask, request_bodies.NewItem], deadline: float, meanwhile: Callable[[], object]
    ) -> Flow[list[Any]]:
        call = calls.create_batch([encoded for _, _, encoded in part], trace_parent=self._trace_parent)
        return self._core.send(call, deadline=deadline, meanwhile=meanwhile)

    def read(self, item: NewTask, answer: Any) -> Task | CodeQError:  # noqa: ANN401, ARG002 - as declared above
        return reply_bodies.task(answer["task"]) if answer.get("task") else _refusal(answer)


class _Ending(_Operation[Submission, bytes, Record]):
    """Ends tasks with their results."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def encode(self, index: int, item: Submission) -> bytes:  # noqa: ARG002 - as declared above
        return request_bodies.submission(item.task_id, item.result, item.error)

    def send(self, part: Part[Submission, bytes], deadline: float, meanwhile: Callable[[], object]) -> Flow[list[Any]]:
        call = calls.submit_batch([encoded for _, _, encoded in part])
        try:
            return (yield from self._core.send(call, deadline=deadline, meanwhile=meanwhile))
        except (Unavailable, ServerError) as error:
            if isinstance(error, Unavailable) and not error.sent:
                raise
            return (yield from _resolve(self._core, [item for _, item, _ in part], deadline))

    def read(self, item: Submission, answer: Any) -> Record | CodeQError:  # noqa: ANN401 - the server's object
        if isinstance(answer, Record):  # `_resolve` has read it
            return answer
        result = answer.get("result")
        return calls.about(item.task_id, reply_bodies.record)(result) if result else _refusal(answer)


def _refusal(answer: Any) -> CodeQError:  # noqa: ANN401 - the server's object
    return refusals.item_error(str(answer.get("error")))


def create(
    core: Core, tasks: Sequence[NewTask], trace_parent: str, progress: Progress | None = None
) -> Flow[Batch[Task]]:
    """Create many tasks (C9)."""
    creation = _Creation(core, trace_parent)
    keys = creation.keys
    # Until all answers are here, each item keeps the key that it was sent with, also after an error or a cancellation:
    # sending it again must not create its task twice.
    kept: Mapping[int, object] = keys
    try:
        answers, outage = yield from _send_in_parts(core, creation, dict(enumerate(tasks)), progress)
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
    numbered = dict(enumerate(submissions))
    batched = {index: item for index, item in numbered.items() if _may_be_batched(item)}
    answers, outage = yield from _send_in_parts(core, _Ending(core), batched)
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
    """Return whether the batch route does all that the item needs (S6). An id alone may be of a task with a webhook."""
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


def _deadline(core: Core) -> float:
    """Return the moment at which a batch is given up if it has no answer from now on."""
    return core.clock.monotonic() + max(_PATIENCE, 2 * core.timeout)


class _Parts(Generic[Item, Encoded, T]):
    """The parts of a batch, and what became of its items.

    What takes the CPU is done in `prepare`: the client calls it while the server has a part.
    """

    def __init__(self, operation: _Operation[Item, Encoded, T], items: Mapping[int, Item]) -> None:
        self.answers: dict[int, T | Rejected] = {}
        self.refused: dict[int, Rejected] = {}
        """The items that cannot be encoded."""
        self._operation = operation
        self._left = self._encoded(items)
        self._next: Part[Item, Encoded] | None = None
        self._interrupt: BaseException | None = None
        """What ended the encoding, such as a Ctrl-C. It is raised for each further part, which would lack items."""
        self._unread: tuple[Part[Item, Encoded], Sequence[Any]] = ([], [])

    @property
    def done(self) -> int:
        """The number of items that were answered, or refused here."""
        return len(self.answers) + len(self._unread[1]) + len(self.refused)

    def take(self) -> Part[Item, Encoded]:
        """Return the next part; an empty one is the end."""
        self._encode_next()
        part, self._next = self._next or [], None
        return part

    def prepare(self) -> None:
        """Read the answers to the last part, and encode the next one, unless that is done. Raises only an interrupt."""
        part, answers = self._unread
        self._unread = ([], [])
        for (index, item, _), answer in zip(part, answers, strict=True):
            self.answers[index] = self._read(index, item, answer)
        self._encode_next()

    def note_answers(self, part: Part[Item, Encoded], answers: Sequence[Any]) -> None:
        """Note the answers to a part, which are read later."""
        self._unread = (part, answers)

    def _encode_next(self) -> None:
        if self._interrupt is not None:
            raise self._interrupt
        try:
            if self._next is None:
                self._next = list(islice(self._left, limits.MAX_BATCH))
        except BaseException as error:
            self._interrupt = error
            raise

    def _read(self, index: int, item: Item, answer: Any) -> T | Rejected:  # noqa: ANN401 - the server's object
        try:
            found = answer if isinstance(answer, CodeQError) else self._operation.read(item, answer)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            found = BadReply(f"the answer to one item is not CodeQ's: {excerpt(repr(error))}")
        return Rejected(index, found, item) if isinstance(found, CodeQError) else found

    def _encoded(self, items: Mapping[int, Item]) -> Iterator[tuple[int, Item, Encoded]]:
        """Encode the items one by one. Those that cannot be encoded are refused."""
        for index, item in items.items():
            try:
                yield index, item, self._operation.encode(index, item)
            except ConfigurationError as error:
                self.refused[index] = Rejected(index, error, item)


def _send_in_parts(
    core: Core, operation: _Operation[Item, Encoded, T], items: Mapping[int, Item], progress: Progress | None = None
) -> Flow[tuple[dict[int, T | Rejected], CodeQError | None]]:
    """Send the items that can be encoded, and return the answers, and the error that ended the batch early, if one did.

    A part that fails rejects its items. If all parts fail, and certainly none had an effect, the first error is raised:
    the caller may repeat the whole. In an outage no further part is sent, because each would take as long. A single
    lost reply is no outage, unless it took all of the time.
    """
    parts = _Parts(operation, items)
    failure: CodeQError | None = None
    outage: CodeQError | None = None
    last: CodeQError | None = None
    may_have_acted_once = False
    deadline = _deadline(core)
    while part := parts.take():
        try:
            if outage:
                raise _not_sent(outage)
            answers = yield from operation.send(part, deadline, parts.prepare)
            may_have_acted_once = True
        except CodeQError as error:
            failure = failure or error
            may_have_acted_once = may_have_acted_once or may_have_acted(error)
            answers = [error] * len(part)
        parts.prepare()
        previous, last = last, next((answer for answer in answers if isinstance(answer, _OUTAGES)), None)
        if last is None:
            deadline = _deadline(core)
        # Two parts in a row, or one that had no effect for certain, or the whole time.
        elif previous or not may_have_acted(last) or core.clock.monotonic() >= deadline:
            outage = outage or last
        parts.note_answers(part, answers)
        if progress:
            progress(parts.done, len(items))
    if failure and not may_have_acted_once:
        raise failure
    parts.prepare()
    return {**parts.answers, **parts.refused}, outage


def _in_order(answers: Mapping[int, T | Rejected], outage: CodeQError | None) -> Batch[T]:
    return Batch(tuple(answers[index] for index in sorted(answers)), outage)
