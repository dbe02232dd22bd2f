"""The producer's side of a fake, for tests that create tasks."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable
from datetime import datetime
from functools import partial
from types import NoneType
from typing import TypedDict, Unpack

from codeq_fake.control.controls import Controls
from codeq_fake.control.representations import time as time_of
from codeq_fake.core.durations import Duration, whole_seconds
from codeq_fake.runtime.fake_server import FakeServer

from .arguments import check_types, check_whole, nanoseconds
from .event_loop import Home
from .task_view import TaskView


class TaskOptions(TypedDict, total=False):
    """What a new task may have besides its command and payload."""

    priority: int
    webhook: str
    max_attempts: int
    delay: Duration
    run_at: str | datetime
    idempotency_key: str
    tenant: str


class ProducerSide:
    """The part of `FakeCodeQ` by which a test creates tasks, in blocking code and in coroutines alike."""

    _controls: Controls
    _home: Home
    _runtime: FakeServer

    @abstractmethod
    def task(self, task_id: str) -> TaskView:
        """One task."""

    def enqueue(self, command: str, payload: object = None, **options: Unpack[TaskOptions]) -> TaskView:
        """Create a task, as a producer would. Its tenant is by default that of `tokens["producer"]`.

        The options are `priority`, `webhook`, `max_attempts`, `tenant`, and `delay` or `run_at`, from when on it can be
        claimed. With an `idempotency_key` of the last 24 hours it returns the first task with this key (C8).

        Raises `Refused`, and RuntimeError in a coroutine if there are subscriptions, because they are notified before a
        create ends: call `aenqueue` there.
        """
        create = self._creation(command, payload, **options)
        if self._runtime.broker.subscriptions.by_id:  # U4
            return self.task(self._home.block(partial(self._create_and_notify, create)))
        return self.task(self._home.call(create))

    async def aenqueue(self, command: str, payload: object = None, **options: Unpack[TaskOptions]) -> TaskView:
        """As `enqueue`, for coroutines; also while there are subscriptions."""
        create = self._creation(command, payload, **options)
        return self.task(await self._home.run(partial(self._create_and_notify, create)))

    def _creation(
        self,
        command: str,
        payload: object,
        *,
        priority: int = 0,
        webhook: str = "",
        max_attempts: int = 0,
        delay: Duration = 0,
        run_at: str | datetime | None = None,
        idempotency_key: str = "",
        tenant: str | None = None,
    ) -> Callable[[], str]:
        """A function that creates a task and returns its id. Raises TypeError or ValueError for wrong options."""
        if delay and run_at is not None:
            raise TypeError("give either a delay or run_at: with both, CodeQ ignores the delay (C6)")
        check_whole(priority=priority, max_attempts=max_attempts)
        check_types(str, command=command, webhook=webhook, idempotency_key=idempotency_key)
        check_types(str, NoneType, tenant=tenant)
        check_types(str, datetime, NoneType, noun="a text or a datetime", run_at=run_at)
        if isinstance(run_at, datetime):
            run_at = time_of(nanoseconds(run_at))
        create = partial(
            self._controls.create,
            command,
            json.dumps(payload, allow_nan=False),
            tenant=tenant if tenant is not None else self._runtime.producers_tenant() or "dev",
            priority=priority,
            webhook=webhook,
            max_attempts=max_attempts,
            delay_seconds=whole_seconds(delay, "delay"),
            run_at=run_at or "",
            idempotency_key=idempotency_key,
        )
        return lambda: create().id

    async def _create_and_notify(self, create: Callable[[], str]) -> str:
        task_id = create()
        await self._runtime.carry_out_effects()
        return task_id
