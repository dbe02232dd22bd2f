"""What can be done to a fake beside the contract: its clock, its state, its journals. One method a control call.

The HTTP routes under ``/_fake`` and the in-process handle are two doors to this.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from codeq_fake import wire
from codeq_fake.auth import identities_of
from codeq_fake.clause_coverage import coverage
from codeq_fake.clocks.clock import Clock, EndOfTimeError, TimeWentBackError
from codeq_fake.clocks.loop_clock import FollowsItsLoopError
from codeq_fake.core import PROFILES, Status, errors, manual_operations
from codeq_fake.core.commands import queue_name
from codeq_fake.core.effects import NoticeDue
from codeq_fake.core.snapshot import dump, load
from codeq_fake.openapi import document
from codeq_fake.runtime.ids import TakenIdError
from codeq_fake.settings import Settings, SettingsError
from codeq_fake.version import VERSION

from . import representations, state_file
from .arguments import field
from .errors import BadRequestError, ConflictError, UnknownCallbackError, UnknownTaskError
from .fault_rules import FaultControls
from .state_format import check

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from codeq_fake.clocks.clock import Mode
    from codeq_fake.core import Task
    from codeq_fake.runtime.fake_server import Config, Runtime


class Controls:
    """The control calls on one runtime. Instants are ns since the epoch; what is returned is plain JSON values."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.faults = FaultControls(runtime)

    def health(self) -> dict[str, Any]:
        """That it runs, as which version and profile, and what its clock says."""
        clock = self._runtime.clock
        return {
            "status": "ok",
            "version": VERSION,
            "profile": self._runtime.config.profile,
            "now": representations.time(clock.now()),
            "clock": clock.mode,
        }

    def clock(self) -> dict[str, Any]:
        """The present instant, and whether the clock is real, manual or auto."""
        clock = self._runtime.clock
        return {"now": representations.time(clock.now()), "mode": clock.mode}

    async def set_clock(self, *, now: int | None = None, mode: Mode | None = None) -> dict[str, Any]:
        """Set the clock: its mode, the instant, or both. To get to the instant it advances.

        Raises ConflictError when that would go back, and BadRequestError for an instant beyond the year 9999.
        """
        await self._advance(to=now, mode=mode)
        return self.clock()

    async def advance(self, *, by: int | None = None, to: int | None = None) -> dict[str, Any]:
        """Advance the clock by a duration (ns) or to an instant, and return when all is quiet.

        Raises ConflictError when that would go back, and BadRequestError for an instant beyond the year 9999.
        """
        if (by is None) == (to is None):
            raise BadRequestError('give either {"seconds": number} or {"to": RFC 3339 time}')
        fired = await self._advance(by=by or 0, to=to)
        return {"now": representations.time(self._runtime.clock.now()), "fired": fired}

    async def _advance(self, *, by: int = 0, to: int | None = None, mode: Mode | None = None) -> int:
        clock = self._runtime.clock
        try:
            return await self._runtime.advance(by=by, to=to, mode=mode)
        except TimeWentBackError:
            over = representations.time(clock.now() + by if to is None else to)
            raise ConflictError(
                f"time never goes back: it is {representations.time(clock.now())}, and {over} is over"
            ) from None
        except EndOfTimeError:
            raise BadRequestError("the clock ends with the year 9999") from None
        except FollowsItsLoopError as error:
            raise ConflictError(str(error)) from None

    def next(self, *, ids: Iterable[str] = (), delays: Iterable[int] = ()) -> dict[str, Any]:
        """Queue the next task or subscription ids, and the next jittered backoff delays (seconds).

        Raises BadRequestError, or ConflictError for an id that is taken.
        """
        ids, delays = list(ids), list(delays)
        if "" in ids or any(delay < 0 for delay in delays):
            raise BadRequestError("an id is a text that is not empty, a delay a whole number of seconds from 0")
        try:
            self._runtime.source.queue(ids=ids, delays=delays)
        except TakenIdError as taken:
            raise ConflictError(f"ids: {taken} is taken, or queued twice") from None
        return {"ids": len(ids), "delays": len(delays)}

    def reset(self, setup: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Start over with an empty state; settings and clock are kept unless ``setup`` names new ones.

        ``setup`` may have ``profile``, ``settings`` (environment variables), ``yaml``, ``identities``, ``clock`` (its
        mode) and ``now``. Raises BadRequestError.
        """
        setup = setup or {}
        config, clock = self._new_config(setup), self._new_clock(setup)
        self._runtime.reset(config, clock)
        return self.health()

    def _new_config(self, setup: Mapping[str, Any]) -> Config:
        config = self._runtime.config
        try:
            if "settings" in setup or "yaml" in setup:
                environ = field(setup, "settings", dict[str, str], {})
                # With a YAML text, though it is empty, no file of settings is read.
                settings = Settings.from_env(environ, field(setup, "yaml", str, ""))
                settings.check_files(self._runtime.started_with.settings)
                config = replace(config, settings=settings)
            if "identities" in setup:
                config = replace(config, identities=identities_of(setup["identities"]))
        except SettingsError as error:
            raise BadRequestError(str(error)) from None
        return replace(config, profile=profile(setup["profile"])) if "profile" in setup else config

    def _new_clock(self, setup: Mapping[str, Any]) -> Clock | None:
        """A clock as ``setup`` wants it; what it does not say stays as it is."""
        if "clock" not in setup and "now" not in setup:
            return None
        clock = self._runtime.clock
        start = instant(setup["now"]) if "now" in setup else clock.now()
        if "clock" not in setup:
            return clock.at(start)
        mode = setup["clock"]
        if mode not in ("real", "manual"):
            raise BadRequestError(f"clock: found {mode!r}, allowed are real and manual")
        return Clock(mode, start=start)

    def state(self) -> dict[str, Any]:
        """The whole state as plain JSON: profile, instant, and everything that the broker knows."""
        runtime = self._runtime
        return {
            "profile": runtime.config.profile,
            "now": representations.time(runtime.clock.now()),
            "broker": dump(runtime.broker),
        }

    def restore(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the state by one that :meth:`state` returned; settings are kept. To be called in an event loop.

        A manual clock stands at the state's instant afterwards, a real one that is behind moves on to it. Raises
        BadRequestError when it is no such state, and then has changed nothing.
        """
        check(state)
        self._runtime.restore(
            profile(state["profile"]), instant(state["now"]), lambda broker: load(broker, state["broker"])
        )
        return self.health()

    def save(self) -> dict[str, Any]:
        """Write the state to the file in which this fake keeps it. Raises ConflictError when it has none."""
        file = self._runtime.config.state_file
        if file is None:
            raise ConflictError("this fake keeps its state in no file; start it with --persist FILE")
        return state_file.save(self, file)

    def create(
        self,
        command: str,
        payload: str,
        *,
        tenant: str,
        priority: int = 0,
        webhook: str = "",
        max_attempts: int = 0,
        delay_seconds: int = 0,
    ) -> Task:
        """Create a task of ``tenant``; ``payload`` is JSON text. What it sets going is carried out by the runtime.

        Raises a ``codeq_fake.core.errors.Refused``, or BadRequestError for a payload that is no JSON.
        """
        try:
            json.loads(payload)  # one value and no more: Go would not look at what follows (B1)
            text = wire.decode(f'{{"payload":{payload}}}'.encode(), _PAYLOAD).get("payload", "null")
        except json.JSONDecodeError as error:
            raise BadRequestError(f"the payload is no JSON: {error}") from None
        except (wire.BadBody, ValueError, RecursionError):
            raise BadRequestError("the payload is no JSON") from None
        return self._runtime.broker.create(
            command,
            text,
            tenant=tenant,
            now=self._runtime.clock.now(),
            priority=priority,
            webhook=webhook,
            max_attempts=max_attempts,
            delay_seconds=delay_seconds,
        )

    def tasks(
        self, *, status: str = "", command: str = "", tenant: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """The tasks that match, oldest first, at most ``limit``; looking has no side effect. Raises BadRequestError."""
        if status and status not in Status.__members__:
            raise BadRequestError(f"status: found {status!r}, allowed are {', '.join(Status.__members__)}")
        zone = self._runtime.config.settings.timezone
        matching = (
            task
            for task in self._runtime.broker.store.tasks.values()
            if (not status or task.status == status)
            and (not command or queue_name(task.command) == queue_name(command))
            and (tenant is None or task.tenant == tenant)
        )
        return [representations.task(task, zone) for task in islice(matching, limit)]

    def task(self, task_id: str) -> dict[str, Any]:
        """One task with its result, history, and whether it can be claimed. Raises UnknownTaskError."""
        runtime = self._runtime
        return representations.task_in_full(
            self._find(task_id), runtime.broker, runtime.config.settings.timezone, now=runtime.clock.now()
        )

    def expire(self, task_id: str) -> dict[str, Any]:
        """End a task's lease now. Raises UnknownTaskError, or ConflictError when it holds none."""
        self._find(task_id)
        try:
            self._runtime.broker.expire_lease(task_id, now=self._runtime.clock.now())
        except errors.NotInProgress:
            raise ConflictError(f"task {task_id} is not in progress: it has no lease to end") from None
        return self.task(task_id)

    def requeue(self, task_id: str) -> dict[str, Any]:
        """Put a task at the tail of its pending list, whatever became of it; one that has ended begins anew.

        Raises UnknownTaskError.
        """
        self._find(task_id)
        manual_operations.requeue(self._runtime.broker, task_id, now=self._runtime.clock.now())
        return self.task(task_id)

    def delete(self, task_id: str) -> dict[str, Any]:
        """Delete a task with its result. Returns the task as it was. Raises UnknownTaskError."""
        deleted = self.task(task_id)
        manual_operations.delete(self._runtime.broker, task_id)
        return deleted

    def queues(self) -> dict[str, Any]:
        """How many tasks of each tenant and command are where, and how many claims are parked."""
        runtime = self._runtime
        queues = representations.queues(runtime.broker, sorted(runtime.broker.store.queues))
        return {"queues": list(queues), "parkedClaims": runtime.waiters.parked}

    def requests(self, *, since: int = 0, path: str = "", status: int | None = None) -> list[dict[str, Any]]:
        """The journal of requests after number ``since``; ``path`` matches any part of the path."""
        return [
            representations.request(entry)
            for entry in self._runtime.requests.since(since)
            if path in entry.path and (status is None or entry.status == status)
        ]

    def callbacks(self, *, since: int = 0) -> list[dict[str, Any]]:
        """The journal of callbacks and notices after number ``since``."""
        return [representations.callback(entry) for entry in self._runtime.deliveries.journal.since(since)]

    async def resend(self, n: int) -> dict[str, Any]:
        """Send a callback or notice of the journal anew, and return when all is quiet: the new entry.

        A callback is made from the task's present result, has all its tries again, and is an entry of its own. When the
        webhook's rate limit holds it back, ``callback`` is None until time has passed. Raises UnknownCallbackError, or
        ConflictError when its task is gone or has no result any more.
        """
        runtime = self._runtime
        journal = runtime.deliveries.journal
        entry, before = journal.find(n), journal.count
        if entry is None:
            raise UnknownCallbackError(f"the journal has no callback {n}")
        if entry.kind == "queue_ready":
            await runtime.notify(NoticeDue(entry.subscription_id, entry.url, entry.command))
        else:
            self._call_back_again(entry.task_id)
            await runtime.carry_out()
        await self._advance()
        again = journal.find(before + 1)
        return {"callback": representations.callback(again) if again is not None else None}

    def _call_back_again(self, task_id: str) -> None:
        try:
            manual_operations.call_back_again(self._runtime.broker, task_id, now=self._runtime.clock.now())
        except errors.TaskNotFound:
            raise ConflictError(f"task {task_id} is gone: there is nothing left to send") from None
        except errors.ResultNotFound:
            raise ConflictError(f"task {task_id} has no result any more: there is nothing left to send") from None

    def surprises(self) -> list[dict[str, Any]]:
        """What this fake's traffic shows somebody to expect, as upstream's documents say it, and does not get."""
        return [asdict(surprise) for surprise in self._runtime.surprises.look()]

    def contract(self) -> dict[str, Any]:
        """The ledger: every clause, how sure it is, where we differ, and how often this fake's traffic touched it."""
        return coverage(self._runtime.seen)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document of the contract's surface."""
        return document()

    def _find(self, task_id: str) -> Task:
        try:
            return self._runtime.broker.get(task_id)
        except errors.TaskNotFound:
            raise UnknownTaskError(f"no task {task_id}") from None


_PAYLOAD = wire.Struct({"payload": wire.ANY})


def instant(text: object) -> int:
    """An RFC 3339 text as ns. Raises BadRequestError."""
    try:
        return wire.parse_rfc3339(text if isinstance(text, str) else "")
    except wire.BadTime:
        raise BadRequestError(f"found {text!r} where an RFC 3339 time such as 2026-01-31T12:00:00Z belongs") from None


def profile(name: object) -> str:
    """A store profile's name. Raises BadRequestError."""
    if not isinstance(name, str) or name not in PROFILES:
        raise BadRequestError(f"profile: found {name!r}, allowed are {', '.join(PROFILES)}")
    return name
