"""The client's operations, shared by both clients. Each is a flow of one or more calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from codeq_client._task import Status, Task
from codeq_client.errors import BadRequest, CodeQError, ConfigurationError, Forbidden, InvalidTenant, TaskNotFound

from . import batches, calls, limits, settlement
from .arguments import check_number
from .calls import Call, Role
from .models import Artifact, Batch, NewTask, Record, Requeued, Submission
from .sending import Core, Flow

P = ParamSpec("P")
R = TypeVar("R")


def _sends(call: Callable[P, Call[R]]) -> Callable[Concatenate[Core, P], Flow[R]]:
    """Return the operation that sends this one call. It has the documentation and the arguments of the call."""

    @functools.wraps(call)
    def operation(core: Core, /, *args: P.args, **kwargs: P.kwargs) -> Flow[R]:
        return core.send(call(*args, **kwargs))

    own = inspect.signature(call)
    core = inspect.Parameter("core", inspect.Parameter.POSITIONAL_ONLY)
    operation.__signature__ = own.replace(parameters=[core, *own.parameters.values()])  # type: ignore[attr-defined]  # read by help() and mocks
    return operation


create = _sends(calls.create)
claim = _sends(calls.claim)
heartbeat = _sends(calls.heartbeat)
subscribe = _sends(calls.subscribe)
renew_subscription = _sends(calls.renew_subscription)
get = _sends(calls.get)
result = _sends(calls.result)
queue_sizes = _sends(calls.queue_sizes)
queue_stats = _sends(calls.queue_stats)
cleanup = _sends(calls.cleanup)
put_topic = _sends(calls.put_topic)
get_topic = _sends(calls.get_topic)
delete_topic = _sends(calls.delete_topic)


def create_batch(
    core: Core,
    tasks: Iterable[NewTask],
    *,
    trace_parent: str = "",
    progress: Callable[[int, int], object] | None = None,
) -> Flow[Batch[Task]]:
    """Create many tasks, 100 a request (C9). A rejected item raises nothing: it is in the answer, at its index.

    After each request `progress(done, total)` is called with the numbers of items that were answered, and of all.

    An item that cannot be sent at all is rejected too, and the others are sent. In an outage no more is sent: without
    an answer for 61 s, or two timeouts if these are longer, the batch is given up. `rejected.item` may be sent again:
    its task is not created twice.

    Raises only if every request failed and certainly created nothing, so that the same call may be repeated.
    """
    return batches.create(core, _items(tasks, NewTask), trace_parent, progress)


def recreate(core: Core, task: Task | str) -> Flow[Task]:
    """Create a task again that failed or is a dead letter: with its command, payload and options, and another id.

    The server requeues no dead letter and lists none, so you must know the id. The old task stays as it is. For 24
    hours (C8) the same task is recreated once: a further call returns the task of the first.

    Raises `ConfigurationError` for a task in another state.
    """
    old = task if isinstance(task, Task) else (yield from get(core, task))
    if old.status != Status.FAILED:
        raise ConfigurationError(f"task {old.id} is {old.status}: only a failed task or a dead letter is recreated")
    return (
        yield from create(
            core,
            old.command,
            old.payload,
            priority=old.priority,
            webhook=old.webhook,
            max_attempts=old.max_attempts,
            idempotency_key=f"recreated {old.id}",
            trace_parent=old.trace_parent,
        )
    )


def claim_batch(core: Core, commands: Sequence[str] = (), *, lease: float = 60, count: int = 10) -> Flow[list[Task]]:
    """Claim up to `count` tasks at once, without waiting (R4), 10 a request.

    An error after the first request ends the batch; the tasks claimed before it are returned.
    """
    check_number(count, "count", is_whole=True)
    claimed: list[Task] = []
    while len(claimed) < count:
        size = min(count - len(claimed), limits.MAX_CLAIM_BATCH)
        try:
            tasks = yield from core.send(calls.claim_batch(commands, lease=lease, count=size))
        except CodeQError:
            if not claimed:
                raise
            break
        claimed += tasks
        if len(tasks) < size:
            break
    return claimed


def abandon(core: Core, task: Task | str) -> Flow[None]:
    """Give a task back at once (R6). It uses up no attempt beyond that of the claim (K5, D1).

    With a `Task`, not only its id, a lost answer is resolved by reading the task.
    """
    if isinstance(task, Task):
        return settlement.abandon(core, task, calls.abandon(task.id))
    return core.send(calls.abandon(task))


def nack(core: Core, task: Task | str, *, delay: float | timedelta = 0, reason: str = "") -> Flow[Requeued]:
    """Give a task back, to be tried again after `delay` or the server's backoff (R7). It uses up an attempt (N2).

    With a `Task`, not only its id, a lost answer is resolved by reading the task.
    """
    if isinstance(task, Task):
        return settlement.nack(core, task, calls.nack(task.id, delay=delay, reason=reason))
    return core.send(calls.nack(task, delay=delay, reason=reason))


def complete(
    core: Core,
    task: Task | str,
    result: Any = None,  # noqa: ANN401 - as a payload
    *,
    artifacts: Sequence[Artifact] = (),
) -> Flow[Record]:
    """End a task as COMPLETED (R8). A result that is not an object is wrapped in one; this client unwraps it.

    With a `Task`, not only its id, a lost answer is resolved by reading the task: raises `LeaseLost` if another worker
    ended it.
    """
    return settlement.submit(core, task, result, error="", artifacts=artifacts)


def fail(core: Core, task: Task | str, error: str, *, artifacts: Sequence[Artifact] = ()) -> Flow[Record]:
    """End a task as FAILED, permanently (R8, S4). To have it tried again, use `nack`."""
    return settlement.submit(core, task, result=None, error=error or "unknown error", artifacts=artifacts)


def submit_batch(core: Core, submissions: Iterable[Submission]) -> Flow[Batch[Record]]:
    """End many tasks, 100 a request (R9). A rejected item is in the answer, at its index, as in `create_batch`.

    A lost answer is resolved task by task. The server's batch route ignores artifacts and sends no callbacks (S6), so
    an item with artifacts, for a task with a webhook, or with only a task id is sent in a separate request.
    """
    return batches.submit(core, _items(submissions, Submission))


def _items(given: Iterable[R], kind: type[R]) -> tuple[R, ...]:
    """Return the items of a batch; raises `ConfigurationError` for others."""
    if not isinstance(given, Iterable):
        raise ConfigurationError(f"a batch is a list of {kind.__name__}, not a {type(given).__name__}")
    items = tuple(given)
    for index, item in enumerate(items):
        if not isinstance(item, kind):
            raise ConfigurationError(f"item {index} is a {type(item).__name__}; pass {kind.__name__}(...)")
    return items


# An empty body and a missing task are refused only after token and scope (B3), so these requests have no effect.
_PROBES = ("claim", *(f"codeq-worker-check/{name}" for name in ("heartbeat", "result", "nack", "abandon")))


def check_worker_token(core: Core) -> Flow[None]:
    """Raise `ConfigurationError` if the worker's token lacks a scope that a worker needs; no task is touched."""
    missing = []
    for path in _PROBES:
        try:
            yield from core.send(Call("POST", f"/v1/codeq/tasks/{path}", Role.WORKER, _accepted), retries=0)
        except (BadRequest, TaskNotFound):
            pass
        except InvalidTenant:
            raise  # no scope is missing
        except Forbidden:
            missing.append(f"codeq:{path.rpartition('/')[2]}")
    if missing:
        raise ConfigurationError(f"the worker's token lacks {', '.join(missing)}")


def _accepted(_wire: object) -> None:
    """Read the reply to a probe, which CodeQ refuses: a success is raised as `BadReply`."""
    raise ValueError("CodeQ would have refused this request")
