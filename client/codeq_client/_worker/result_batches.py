"""Sends the results of a worker: one at once, and those that come while it is on its way together in one request.

So a lone result never waits, and a busy worker sends few requests. Only the first try of a result is shared: if its
answer is lost, or the whole request is refused, each result is settled alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from codeq_client._api import calls, limits, refusals, request_bodies, settlement
from codeq_client._api.calls import Call
from codeq_client._api.client import CodeQ
from codeq_client._api.clock import sleep_or
from codeq_client._api.models import Record
from codeq_client._api.sending import Flow
from codeq_client._api.settlement import RetryPolicy
from codeq_client._task import Task
from codeq_client.errors import (
    BadReply,
    CodeQError,
    LeaseLost,
    NotInProgress,
    NotOwner,
    Refused,
    ServerError,
    TaskNotFound,
    Unavailable,
)

_LONGEST_COLLECTION = 0.1
"""For how many seconds results wait for the answer to earlier ones, which may be lost."""

_MAX_BYTES = 256 * 1024
"""How large a shared request may be: proxies limit the size of a body, often to 1 MiB."""


@dataclass(frozen=True, slots=True, eq=False)
class _Result:
    """A result to be sent. `tried` becomes None if the server accepts the first try, otherwise the error."""

    task: Task
    call: Call[Record]
    policy: RetryPolicy
    tried: asyncio.Future[Exception | None]

    @property
    def body(self) -> bytes:
        return self.call.body or b""


_Tried: TypeAlias = dict[_Result, Exception | None]


class ResultBatches:
    """Collects the results of one worker run. Its requests are tasks of `group`, like the deliveries that wait."""

    def __init__(self, codeq: CodeQ, group: asyncio.TaskGroup) -> None:
        self._codeq = codeq
        self._group = group
        self._collected: list[_Result] = []
        self._sending: asyncio.Task[None] | None = None

    async def submit(self, task: Task, call: Call[Record], policy: RetryPolicy) -> None:
        """End a task, as `settlement.end` does. The call has no artifacts, and the task no webhook (S6)."""
        result = _Result(task, call, policy, asyncio.get_running_loop().create_future())
        self._collected.append(result)
        if self._sending is None or self._sending.done():
            self._sending = self._group.create_task(self._send_collected())
        error = await result.tried
        if isinstance(error, settlement.PASSING):
            await self._codeq.run(settlement.end(self._codeq.core, task, call, policy, earlier=error))
        elif error is not None:
            raise error

    async def _send_collected(self) -> None:
        """Send what is collected, one request after the other, until nothing is left."""
        while self._collected:
            request = self._group.create_task(self._send(self._next_batch()))
            await sleep_or(self._codeq.core.clock, _LONGEST_COLLECTION, partial(asyncio.wait, {request}))

    def _next_batch(self) -> list[_Result]:
        """Take the results that came first, as many as one request may hold."""
        count = size = 0
        for result in self._collected[: limits.MAX_BATCH]:
            size += len(result.body)
            if count and size > _MAX_BYTES:
                break
            count += 1
        batch, self._collected = self._collected[:count], self._collected[count:]
        return batch

    async def _send(self, batch: Sequence[_Result]) -> None:
        """Try once to send the results whose leases are held, and note what became of each."""
        held = [result for result in batch if result.policy.may_send()]
        tried: _Tried = {result: LeaseLost(result.task.id, "it expired before the result was sent") for result in batch}
        try:
            tried |= await self._codeq.run(self._request(held)) if held else {}
        except Exception as error:  # noqa: BLE001 - not even a bug may end the other deliveries
            tried |= dict.fromkeys(held, error)
        for result, outcome in tried.items():
            if not result.tried.done():  # a cancelled delivery does not wait for it
                result.tried.set_result(outcome)

    def _request(self, held: Sequence[_Result]) -> Flow[_Tried]:
        """Send results in one request, and return what became of each. A lone one is sent by its own call."""
        core, timeout, guard = self._codeq.core, held[0].policy.timeout, partial(_check, held)
        send_by = min(result.policy.send_by for result in held)
        if len(held) == 1:
            yield from core.send(held[0].call, retries=0, timeout=timeout, send_by=send_by, guard=guard)
            return {held[0]: None}
        call = calls.submit_batch([request_bodies.in_batch(result.task.id, result.body) for result in held])
        try:
            answers = yield from core.send(call, retries=0, timeout=timeout, send_by=send_by, guard=guard)
        except settlement.PASSING:
            raise
        except Refused as error:  # it says nothing about any one of them
            raise Unavailable(f"the results were refused together: {error}", sent=False) from error
        return {result: _error_in(answer, result.task.id) for result, answer in zip(held, answers, strict=True)}


def _check(results: Sequence[_Result]) -> None:
    """Raise if a lease was lost while the token was fetched: then nothing is sent, and each result is settled alone."""
    if not all(result.policy.may_send() for result in results):
        raise Unavailable("a lease was lost before its result was sent", sent=False)


def _error_in(answer: Any, task_id: str) -> CodeQError | None:  # noqa: ANN401 - the server's object
    """Return why the server did not accept one result of a batch (S6), or None."""
    try:
        if answer.get("result"):
            accepted = answer["result"]["taskId"]
            return None if accepted == task_id else BadReply(f"the answer for task {task_id} is about another one")
        refusal = refusals.item_error(str(answer["error"]))
    except (AttributeError, LookupError, TypeError):
        return BadReply(f"the answer for task {task_id} is not a reply of CodeQ")
    # Any other text may be an error of the store, which has no status here: settled alone, it has one.
    is_lost = isinstance(refusal, NotOwner | NotInProgress | TaskNotFound)
    return refusal if is_lost else ServerError(refusal.message, status=200)
