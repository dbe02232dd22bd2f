"""The control calls: what a test or a person does to a fake outside the contract. One method for each call.

`routes` serves them over HTTP under `/_fake`; the page and the in-process handle call them directly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from typing import Any, Literal, TypeVar, cast

from anyio import to_thread

from codeq_fake import __version__, payloads, wire
from codeq_fake.auth import identities_of
from codeq_fake.clause_coverage import coverage
from codeq_fake.clocks import Clock, EndOfTimeError, FollowsItsLoopError, Mode, TimeWentBackError, WallClock, in_slices
from codeq_fake.core import Status, Task, errors, manual_operations, saved_state
from codeq_fake.core.commands import queue_name
from codeq_fake.core.effects import NoticeDue
from codeq_fake.core.frozen_tasks import FrozenTasks
from codeq_fake.core.slices import BATCH, Slices, at_once, in_order
from codeq_fake.http.faults.task_effects import RACES, affect
from codeq_fake.journal import Journal
from codeq_fake.runtime.fake_server import FakeServer, StateReplacedError
from codeq_fake.runtime.ids import TakenIdError
from codeq_fake.server_settings import Settings, SettingsError

from . import json_blocks, representations, state_file
from .argument_readers import instant, profile
from .errors import BadRequestError, ConflictError, UnknownCallbackError, UnknownTaskError
from .fault_rules import FaultControls
from .worker_operations import WorkerOperations

T = TypeVar("T")

#: A YAML text of this length takes some hundredths of a second to read (characters).
_LONG_YAML = 2048


class Controls:
    """The control calls of one fake. Instants are ns since the epoch; replies are plain JSON values."""

    def __init__(self, runtime: FakeServer) -> None:
        self._runtime = runtime
        self.faults = FaultControls(runtime)
        self.worker = WorkerOperations(runtime)

    def health(self) -> payloads.Health:
        """Version, profile and clock of the running fake."""
        clock = self._runtime.clock
        return {
            "status": "ok",
            "version": __version__,
            "profile": self._runtime.config.profile,
            "now": representations.time(clock.now()),
            "clock": clock.mode,
        }

    def clock(self) -> payloads.Clock:
        """The current time, and whether the clock is real, manual or auto."""
        clock = self._runtime.clock
        return {"now": representations.time(clock.now()), "mode": clock.mode}

    async def set_clock(self, *, now: int | None = None, mode: Mode | None = None) -> payloads.Clock:
        """Set the mode of the clock, advance it to an instant, or both.

        Raises ConflictError for an instant in the past, and BadRequestError for one beyond the year 9999.
        """
        await self._advance(to=now, mode=mode)
        return self.clock()

    async def advance(self, *, by: int | None = None, to: int | None = None) -> payloads.Advanced:
        """Advance the clock by a duration (ns) or to an instant, and return when everything that was due is done.

        Raises ConflictError for an instant in the past, and BadRequestError for one beyond the year 9999.
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
            wanted = representations.time(clock.now() + by if to is None else to)
            raise ConflictError(
                f"time never goes back: it is {representations.time(clock.now())}, and {wanted} is in the past"
            ) from None
        except EndOfTimeError:
            raise BadRequestError("the clock ends with the year 9999") from None
        except StateReplacedError:
            raise ConflictError("the fake was reset or got another state: its clock went no further") from None
        except FollowsItsLoopError as error:
            raise ConflictError(str(error)) from None

    def next(self, *, ids: Iterable[str] = (), delays: Iterable[int] = ()) -> dict[str, Any]:
        """Set the next task or subscription ids, and the next delays of the jittered backoff (seconds).

        Raises BadRequestError, or ConflictError for an id that exists.
        """
        ids, delays = list(ids), list(delays)
        if any(type(one) is not str or not one for one in ids) or any(
            type(delay) is not int or delay < 0 for delay in delays
        ):
            raise BadRequestError("an id is a text that is not empty, a delay a whole number of seconds from 0")
        try:
            self._runtime.source.queue(ids=ids, delays=delays)
        except TakenIdError as taken:
            raise ConflictError(f"ids: {taken} is taken, or queued twice") from None
        return {"ids": len(ids), "delays": len(delays)}

    def reset(
        self,
        *,
        profile: str | None = None,
        settings: Mapping[str, str] | None = None,
        yaml: str | None = None,
        identities: object = None,
        clock: Literal["real", "manual"] | None = None,
        now: int | None = None,
    ) -> payloads.Health:
        """Start over with an empty state; settings and clock stay unless new ones are given.

        `settings` are environment variables, `yaml` is a configuration file, `clock` is a mode. Raises BadRequestError.
        """
        self._begin(self._read_setup(settings, yaml, identities), profile, self._new_clock(clock, now))
        return self.health()

    async def reset_beside_others(
        self,
        *,
        profile: str | None = None,
        settings: Mapping[str, str] | None = None,
        yaml: str | None = None,
        identities: object = None,
        clock: Literal["real", "manual"] | None = None,
        now: int | None = None,
    ) -> payloads.Health:
        """As `reset`. Others have turns while a long YAML text is read, which takes a second for 100 KiB."""
        read = partial(self._read_setup, settings, yaml, identities)
        if len(yaml or "") > _LONG_YAML:
            async with self._runtime.freezing:  # one at a time: many threads would leave the others few turns
                setup = await to_thread.run_sync(read)
        else:
            setup = read()
        self._begin(setup, profile, self._new_clock(clock, now))
        return self.health()

    def _read_setup(self, settings: Mapping[str, str] | None, yaml: str | None, identities: object) -> dict[str, Any]:
        """What these change in the configuration. Raises BadRequestError."""
        changes: dict[str, Any] = {}
        try:
            if settings is not None or yaml is not None:
                # With a YAML text, though it is empty, no file of settings is read.
                given = Settings.from_env(settings or {}, yaml or "")
                given.check_files(self._runtime.started_with.settings)
                changes["settings"] = given
            if identities is not None:
                changes["identities"] = identities_of(identities)
        except SettingsError as error:
            raise BadRequestError(str(error)) from None
        return changes

    def _begin(self, setup: Mapping[str, Any], profile: str | None, clock: Clock | None) -> None:
        """Start over with a changed configuration."""
        config = replace(self._runtime.config, **setup)
        self._runtime.reset(replace(config, profile=profile or config.profile), clock)

    def _new_clock(self, mode: Literal["real", "manual"] | None, now: int | None) -> Clock | None:
        """The clock after a reset; None if it stays."""
        if mode is None and now is None:
            return None
        clock = self._runtime.clock
        start = now if now is not None else clock.now()
        return WallClock(mode, start=start) if mode is not None else clock.starting_at(start)

    def state(self) -> dict[str, Any]:
        """The whole state: profile, time, and everything that the broker stores."""
        runtime = self._runtime
        return {
            "profile": runtime.config.profile,
            "now": representations.time(runtime.clock.now()),
            "broker": saved_state.dump(runtime.broker),
        }

    def begin_state(self) -> dict[str, Any]:
        """As `state`, with iterators in the place of long lists: see `saved_state.begin_dump`."""
        runtime = self._runtime
        return {
            "profile": runtime.config.profile,
            "now": representations.time(runtime.clock.now()),
            "broker": saved_state.begin_dump(runtime.broker),
        }

    async def state_text(self) -> list[bytes]:
        """The JSON text of the state at one instant, in blocks. Others have turns meanwhile."""
        async with self._runtime.freezing:
            return await in_slices(json_blocks.encoded(self.begin_state()))

    def restore(self, state: Mapping[str, Any]) -> payloads.Health:
        """Replace the state by one that `state` returned; the settings stay. Needs a running event loop.

        A manual clock is set to the time of the state, a real one only if it is behind. Raises BadRequestError for an
        invalid state, which changes nothing.
        """
        return at_once(self._restore(state))

    async def restore_in_slices(self, state: Mapping[str, Any]) -> payloads.Health:
        """As `restore`. Others have turns meanwhile, and see the old state until the new one is complete.

        Afterwards the given state has no tasks: to free many at once would hold the others up, too.
        """
        try:
            return await in_slices(self._restore(state))
        finally:
            await in_slices(_free_tasks(state))

    def _restore(self, state: Mapping[str, Any]) -> Slices[payloads.Health]:
        try:
            loaded = yield from saved_state.load(state)
        except saved_state.InvalidState as error:
            raise BadRequestError(str(error)) from None
        fill = partial(saved_state.restore, state=loaded["broker"])
        yield from self._runtime.restore(profile(loaded["profile"]), instant(loaded["now"]), fill)
        return self.health()

    async def save(self) -> dict[str, Any]:
        """Write the state to this fake's state file, in slices. Raises ConflictError if it has none."""
        file = self._runtime.config.state_file
        if file is None:
            raise ConflictError("this fake has no state file; start it with --persist FILE")
        async with self._runtime.freezing:
            tasks = len(self._runtime.broker.store.tasks)
            blocks = await in_slices(json_blocks.encoded(self.begin_state()))
            state_file.save_text(file, b"".join(blocks).decode())
        return {"file": str(file), "tasks": tasks}

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
        run_at: str = "",
        idempotency_key: str = "",
    ) -> Task:
        """Create a task of `tenant`; `payload` is JSON text. The caller lets the fake send the notices.

        Raises a `codeq_fake.core.errors.Refused`, or BadRequestError for a payload that is not JSON.
        """
        try:
            json.loads(payload)  # exactly one value: Go would ignore the rest (B1)
            text = wire.decode(f'{{"payload":{payload}}}'.encode(), _PAYLOAD).get("payload", "null")
        except json.JSONDecodeError as error:
            raise BadRequestError(f"the payload is not JSON: {error}") from None
        except (wire.BadBody, ValueError, RecursionError):
            raise BadRequestError("the payload is not JSON") from None
        return self._runtime.broker.create(
            command,
            text,
            tenant=tenant,
            now=self._runtime.clock.now(),
            priority=priority,
            webhook=webhook,
            max_attempts=max_attempts,
            delay_seconds=delay_seconds,
            run_at=run_at,
            idempotency_key=idempotency_key,
        )

    def tasks(
        self, *, status: str = "", command: str = "", tenant: str | None = None, limit: int | None = None
    ) -> list[payloads.Task]:
        """The first `limit` tasks that match, oldest first. No side effects. Raises BadRequestError."""
        matches = _filter(status, command, tenant)
        zone = self._runtime.config.settings.timezone
        matching = filter(matches, self._runtime.broker.store.tasks.values())
        return [representations.task(task, zone) for task in islice(matching, limit)]

    def begin_tasks(
        self, *, status: str = "", command: str = "", tenant: str | None = None, limit: int
    ) -> Iterator[payloads.Task | None]:
        """As `tasks`, to be read later, while the broker goes on. An item None only says that others may have a turn.

        It has to be read to its end or closed.
        """
        matches = _filter(status, command, tenant)
        zone = self._runtime.config.settings.timezone

        def show(task: Task) -> payloads.Task | None:
            return representations.task(task, zone) if matches(task) else None

        tasks = self._runtime.broker.store.tasks.values()
        matches_all = not (status or command or tenant is not None)
        return _first(limit, iter(FrozenTasks(list(islice(tasks, limit if matches_all else None)), show)))

    def task(self, task_id: str) -> payloads.TaskInFull:
        """One task with its result, its history, and whether it can be claimed. Raises UnknownTaskError."""
        runtime = self._runtime
        return representations.task_in_full(
            self._find(task_id), runtime.broker, runtime.config.settings.timezone, now=runtime.clock.now()
        )

    def expire(self, task_id: str) -> payloads.TaskInFull:
        """End the lease of a task now. Raises UnknownTaskError, or ConflictError if it has none."""
        self._find(task_id)
        try:
            manual_operations.expire_lease(self._runtime.broker, task_id, now=self._runtime.clock.now())
        except errors.NotInProgress:
            raise ConflictError(f"task {task_id} is not in progress: it has no lease to end") from None
        return self.task(task_id)

    def race(self, kind: str, task_id: str) -> payloads.TaskInFull:
        """Let one of the real server's races (Z1 to Z3) happen to a task now.

        Raises UnknownTaskError, BadRequestError for another kind, or ConflictError if the task is in no such state.
        """
        self._find(task_id)
        if kind not in RACES:
            raise BadRequestError(f"there is no race {kind!r} of one task; known are {', '.join(RACES)}")
        if not affect(kind, self._runtime.broker, (task_id,), now=self._runtime.clock.now()):
            raise ConflictError(f"{kind} cannot happen to task {task_id} in its present state")
        return self.task(task_id)

    def requeue(self, task_id: str) -> payloads.TaskInFull:
        """Put a task in any state at the tail of its pending list. Raises UnknownTaskError.

        One that is finished starts over.
        """
        self._find(task_id)
        manual_operations.requeue(self._runtime.broker, task_id, now=self._runtime.clock.now())
        return self.task(task_id)

    def delete(self, task_id: str) -> payloads.TaskInFull:
        """Delete a task with its result, and return the deleted task. Raises UnknownTaskError."""
        deleted = self.task(task_id)
        manual_operations.delete(self._runtime.broker, task_id)
        return deleted

    def queues(self) -> payloads.Queues:
        """The queue sizes of each tenant and command, and the number of parked claims."""
        found = at_once(self._begin_queues())
        return {"queues": list(found["queues"]), "parkedClaims": found["parkedClaims"]}

    async def begin_queues(self) -> dict[str, Any]:
        """As `queues`, with an iterator in the place of the list. Others have turns meanwhile."""
        return await in_slices(self._begin_queues())

    def _begin_queues(self) -> Slices[dict[str, Any]]:
        broker = self._runtime.broker
        keys = yield from in_order(list(broker.store.queues))
        spelled = yield from representations.spelled_commands(broker)
        queues = (representations.queue(broker, key, spelled) for key in keys)
        return {"queues": queues, "parkedClaims": self._runtime.waiters.parked}

    def requests(self, *, since: int = 0, path: str = "", status: int = 0) -> list[payloads.Request]:
        """The journal of requests after number `since`; `path` matches a part of the path, `status` 0 matches all."""
        return [
            representations.request(entry)
            for entry in self._runtime.requests.since(since)
            if path in entry.path and status in (0, entry.status)
        ]

    def request_journal(self, *, since: int = 0, path: str = "", status: int = 0) -> dict[str, Any]:
        """As `requests`, but an iterator, with the number of requests after `since` that were dropped, if any were."""
        journal = self._runtime.requests
        found = [entry for entry in journal.since(since) if path in entry.path and status in (0, entry.status)]
        return {"requests": map(representations.request, found), **_dropped(journal, since)}

    def callback_journal(self, *, since: int = 0) -> dict[str, Any]:
        """As `callbacks`, but an iterator, with the number of those after `since` that were dropped, if any were."""
        journal = self._runtime.deliveries.journal
        return {"callbacks": map(representations.callback, journal.since(since)), **_dropped(journal, since)}

    def callbacks(self, *, since: int = 0) -> list[payloads.Callback]:
        """The journal of callbacks and notices after number `since`."""
        return [representations.callback(entry) for entry in self._runtime.deliveries.journal.since(since)]

    async def resend(self, n: int) -> dict[str, Any]:
        """Send a callback or notice of the journal again, and return its new entry when everything due is done.

        A callback is made from the current result of its task and has all its attempts again. If the rate limit of the
        webhook delays it, `callback` is None. Raises UnknownCallbackError, or ConflictError if the task or its result
        no longer exists.
        """
        runtime = self._runtime
        journal = runtime.deliveries.journal
        entry, before = journal.find(n), journal.count
        if entry is None:
            raise UnknownCallbackError(f"the journal has no callback {n}")
        if entry.kind == "queue_ready":
            await runtime.notify(NoticeDue(entry.subscription_id, entry.url, entry.command))
        else:
            self._resend_callback(entry.task_id)
            await runtime.carry_out_effects()
        await self._advance()
        again = journal.find(before + 1)
        return {"callback": representations.callback(again) if again is not None else None}

    def _resend_callback(self, task_id: str) -> None:
        try:
            manual_operations.resend_callback(self._runtime.broker, task_id, now=self._runtime.clock.now())
        except errors.TaskNotFound:
            raise ConflictError(f"task {task_id} is gone: there is nothing left to send") from None
        except errors.ResultNotFound:
            raise ConflictError(f"task {task_id} has no result any more: there is nothing left to send") from None

    def surprises(self) -> list[payloads.Surprise]:
        """Requests that expect what upstream's documents say and the server does not do."""
        surprises = self._runtime.surprises.so_far()
        return [cast("payloads.Surprise", asdict(surprise)) for surprise in surprises]

    def contract(self) -> dict[str, Any]:
        """All clauses of the contract, whether the fake does the same, and how often its traffic touched each."""
        return coverage(self._runtime.seen)

    def _find(self, task_id: str) -> Task:
        try:
            return self._runtime.broker.get(task_id)
        except errors.TaskNotFound:
            raise UnknownTaskError(f"no task {task_id}") from None


def _filter(status: str, command: str, tenant: str | None) -> Callable[[Task], bool]:
    """Whether a task matches all that is given. Raises BadRequestError."""
    if status and status not in Status.__members__:
        raise BadRequestError(f"status: found {status!r}, allowed are {', '.join(Status.__members__)}")
    name = queue_name(command)

    def matches(task: Task) -> bool:
        return (
            (not status or task.status == status)
            and (not command or queue_name(task.command) == name)
            and (tenant is None or task.tenant == tenant)
        )

    return matches


def _free_tasks(state: Mapping[str, Any]) -> Slices[None]:
    """Free the memory of the tasks of a state as JSON values, whatever they are."""
    broker = state.get("broker")
    tasks = broker.get("tasks") if isinstance(broker, dict) else None
    while isinstance(tasks, list) and tasks:
        del tasks[-BATCH:]
        yield


def _first(limit: int, found: Iterator[T | None]) -> Iterator[T | None]:
    """The first items up to the one with which `limit` of them are not None."""
    for item in found if limit else ():
        yield item
        limit -= item is not None
        if not limit:
            return


def _dropped(journal: Journal[Any], since: int) -> dict[str, int]:
    dropped = journal.dropped(since)
    return {"dropped": dropped} if dropped else {}


_PAYLOAD = wire.Struct({"payload": wire.ANY})
