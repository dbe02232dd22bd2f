"""Operations of a worker that a test plays. They follow the contract, but are no requests: no fault comes on them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

from codeq_fake import wire
from codeq_fake.auth import Caller, KeysNeeded, Refusal
from codeq_fake.http import limits, worker_calls
from codeq_fake.http.operations import Handler
from codeq_fake.http.replies import Reply, Wait, at_once
from codeq_fake.http.request import Call
from codeq_fake.runtime.fake_server import FakeServer

from .errors import BadRequestError

_CLAIM_SCOPE = "codeq:claim"
#: The worker where the settings have no token for one.
_WORKER = Caller("worker-dev", "dev", frozenset(), ("*",), {}, "")


class WorkerOperations:
    """The worker operations of one fake. Each returns the id of its task and needs a running event loop.

    Raises a `codeq_fake.core.errors.Refused` where the contract refuses the operation.
    """

    def __init__(self, runtime: FakeServer) -> None:
        self._runtime = runtime

    def claim(
        self, commands: Sequence[str], *, worker: str | None, tenant: str | None, lease_seconds: int
    ) -> str | None:
        """Claim the next task of `commands`, by default of any command of the tenant. None if there is none.

        `worker` is the token of an identity, or the name of any other worker.
        """
        now = self._runtime.clock.now()
        reply = self._attempt(now, commands, worker=worker, tenant=tenant, lease_seconds=lease_seconds)
        return self._finish_claim(reply)

    async def wait_and_claim(
        self, commands: Sequence[str], *, worker: str | None, tenant: str | None, lease_seconds: int, wait_seconds: int
    ) -> str | None:
        """As `claim`, and wait for a task for `wait_seconds` of the fake's clock, at most 30 (K9)."""
        runtime = self._runtime
        claimed = await runtime.waiters.poll(
            partial(self._attempt, commands=commands, worker=worker, tenant=tenant, lease_seconds=lease_seconds),
            now=runtime.clock.now(),
            wait_seconds=min(wait_seconds, limits.LONGEST_CLAIM_WAIT),
            interval=limits.CLAIM_INTERVAL,
            gone=_never,
            next_chance=at_once,
        )
        return self._finish_claim(claimed)

    def carry_out(self, handler: Handler, task_id: str, *, worker: str | None, **body: Any) -> str:
        """Let a handler of `codeq_fake.http.worker_calls` act on a task, by default as its holder."""
        task = self._runtime.broker.store.tasks.get(task_id)
        holder = worker or (task.worker if task is not None else "") or None
        self._call_handler(handler, self._caller(holder, None), body, task_id)
        self._runtime.carry_out_effects_now()
        return task_id

    def _attempt(
        self, now: int, commands: Sequence[str], *, worker: str | None, tenant: str | None, lease_seconds: int
    ) -> Reply | None:
        """The reply to a claim that gets a task, without a wait. None if it gets none."""
        caller = self._caller(worker, tenant)
        queues = self._runtime.broker.store.queues
        wanted = list(commands) or [name for owner, name in queues if owner == caller.tenant]
        if not wanted:
            return None
        claim = partial(worker_calls.claim, most=inf)  # a tenant may have more queues than a request may name
        reply = self._call_handler(claim, caller, {"commands": wanted, "leaseSeconds": lease_seconds})
        return reply.attempt(now) if isinstance(reply, Wait) else None

    def _finish_claim(self, reply: Reply | None) -> str | None:
        """Carry out the effects of a claim, and return the id of its task. None if it got none."""
        self._runtime.carry_out_effects_now()
        return reply.tasks[0].id if reply is not None else None

    def _call_handler(
        self, handler: Handler, caller: Caller, body: Mapping[str, Any], task_id: str = ""
    ) -> Reply | Wait:
        """Call the handler of a route without a request: the contract's own rules decide, and nothing is recorded."""
        runtime = self._runtime
        call = Call(
            runtime.broker,
            runtime.config.settings.timezone,
            {"id": task_id},
            {},
            b"",
            runtime.clock.now(),
            caller,
            json.dumps(body, allow_nan=False).encode(),
        )
        try:
            return handler(call)
        except wire.BadBody:
            raise BadRequestError(f"CodeQ cannot read {json.dumps(body)}") from None

    def _caller(self, worker: str | None, tenant: str | None) -> Caller:
        """A caller that may claim everything: the one of the token `worker`, or else a worker of that name.

        Without `worker` it is the first worker that has a token. A `tenant` replaces the caller's own.
        """
        first = self._with_token(self._runtime.tokens.worker) or _WORKER
        caller = first if worker is None else self._with_token(worker) or replace(first, subject=worker)
        return replace(caller, tenant=caller.tenant if tenant is None else tenant, event_types=("*",))

    def _with_token(self, token: str | None) -> Caller | None:
        with suppress(Refusal, KeysNeeded):
            return self._runtime.auth.worker(f"Bearer {token}", _CLAIM_SCOPE, now=self._runtime.clock.now())
        return None


async def _never() -> None:
    await asyncio.Event().wait()
