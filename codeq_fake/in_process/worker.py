"""The worker's side of a fake, for tests that play a worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import NoneType
from typing import Any

from codeq_fake.control.controls import Controls
from codeq_fake.core.durations import Duration, whole_seconds
from codeq_fake.http import worker_calls
from codeq_fake.http.operations import Handler

from .arguments import check_types
from .event_loop import Home
from .task_view import TaskView


class WorkerSide:
    """The part of `FakeCodeQ` by which a test plays a worker, in blocking code and in coroutines alike.

    The rules are those of the contract: a refused operation raises `Refused`. But no request is made: faults do not
    come on it, and it is not among the `requests`.
    """

    _controls: Controls
    _home: Home

    def claim(
        self, *commands: str, lease: Duration = 0, worker: str | None = None, tenant: str | None = None
    ) -> TaskView | None:
        """Claim the next task of these commands, or of any command if none is given. None if no task is ready.

        `lease` is the server's default (300 s) if it is 0. `worker` is the token of an identity or the id of any other
        worker; it and `tenant` are those of `tokens["worker"]` if they are not given.
        """
        check_types(str, NoneType, worker=worker, tenant=tenant)
        claim = partial(
            self._controls.worker.claim,
            commands,
            worker=worker,
            tenant=tenant,
            lease_seconds=whole_seconds(lease, "lease"),
        )
        task_id = self._home.call_in_loop(claim)
        return None if task_id is None else self._view(task_id)

    async def aclaim(
        self,
        *commands: str,
        lease: Duration = 0,
        wait: Duration = 0,
        worker: str | None = None,
        tenant: str | None = None,
    ) -> TaskView | None:
        """As `claim`, and wait for a task for up to `wait` of the fake's clock, at most 30 s (K9)."""
        check_types(str, NoneType, worker=worker, tenant=tenant)
        claim = partial(
            self._controls.worker.wait_and_claim,
            commands,
            worker=worker,
            tenant=tenant,
            lease_seconds=whole_seconds(lease, "lease"),
            wait_seconds=whole_seconds(wait, "wait"),
        )
        task_id = await self._home.run(claim)
        return None if task_id is None else self._view(task_id)

    def complete(
        self,
        task: TaskView | str,
        result: Mapping[str, Any] | None = None,
        *,
        artifacts: Iterable[Mapping[str, str]] = (),
        worker: str | None = None,
    ) -> TaskView:
        """Complete a task with a `result`, as the worker that claimed it. Its callback goes out at once.

        `artifacts` are as in the API: `{"name", "url"}` or `{"name", "contentBase64", "contentType"}`.
        """
        check_types(Mapping, NoneType, noun="an object", result=result)
        files = [dict(artifact) for artifact in artifacts]
        return self._carry_out(
            worker_calls.submit, task, worker, status="COMPLETED", result=dict(result or {}), artifacts=files
        )

    def fail(self, task: TaskView | str, error: str, *, worker: str | None = None) -> TaskView:
        """End a task as FAILED, which is final (S4). Its callback goes out at once."""
        return self._carry_out(worker_calls.submit, task, worker, status="FAILED", error=error)

    def nack(
        self, task: TaskView | str, *, delay: Duration = 0, reason: str = "", worker: str | None = None
    ) -> TaskView:
        """Give a task back to be retried after `delay`, by default that of the backoff policy (N2 to N4)."""
        return self._carry_out(
            worker_calls.nack, task, worker, delaySeconds=whole_seconds(delay, "delay"), reason=reason
        )

    def abandon(self, task: TaskView | str, *, worker: str | None = None) -> TaskView:
        """Give a task back at once, without an attempt for it (D1)."""
        return self._carry_out(worker_calls.abandon, task, worker)

    def heartbeat(self, task: TaskView | str, *, extend: Duration = 0, worker: str | None = None) -> TaskView:
        """Let a lease end `extend` from now, by default the server's 300 s. It can also shorten it (H1)."""
        return self._carry_out(worker_calls.heartbeat, task, worker, extendSeconds=whole_seconds(extend, "extend"))

    def _carry_out(self, handler: Handler, task: TaskView | str, worker: str | None, **body: Any) -> TaskView:
        """Call a handler as `worker`, or else as the worker that the view shows, or that holds the task."""
        if not isinstance(task, (TaskView, str)):
            raise TypeError(f"a task or its id belongs here, not {task!r}: claim() returns None if no task is ready")
        check_types(str, NoneType, worker=worker)
        task_id, holder = (task, None) if isinstance(task, str) else (task.id, task.worker)
        operation = partial(self._controls.worker.carry_out, handler, task_id, worker=worker or holder, **body)
        return self._view(self._home.call_in_loop(operation))

    def _view(self, task_id: str) -> TaskView:
        """The task as it is now."""
        return TaskView.of(self._home.call(partial(self._controls.task, task_id)))
