"""The control calls: what a test or a person does to a fake outside the contract. One method for each call.

`routes` serves them over HTTP under `/_fake`; the page and the in-process handle call them directly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, Literal, TypeVar

from codeq_fake import payloads, wire
from codeq_fake.auth import identities_of
from codeq_fake.clocks import Clock, WallClock, in_slices
from codeq_fake.core import Task, errors, manual_operations
from codeq_fake.core.claimability import position
from codeq_fake.core.frozen_items import FrozenItems
from codeq_fake.core.slices import Slices, at_once, in_order
from codeq_fake.http.faults.task_effects import RACES, affect
from codeq_fake.journal import callbacks_about, requests_about
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.runtime.ids import MOST_QUEUED, QueueFullError, TakenIdError
from codeq_fake.server_settings import Settings, SettingsError

from . import representations, workers
from .clock_controls import ClockControls
from .errors import BadRequestError, ConflictError, UnknownTaskError
from .fault_rules import FaultControls
from .journal_controls import JournalControls
from .limits import LONGEST_ID
from .state_controls import StateControls
from .task_search import TaskSearch, word_for
from .worker_operations import WorkerOperations

T = TypeVar("T")

#: A YAML text of this length takes some hundredths of a second to read (characters).
_LONG_YAML = 2048


class Controls(ClockControls, StateControls, JournalControls):
    """The control calls of one fake. Instants are ns since the epoch; replies are plain JSON values."""

    def __init__(self, runtime: FakeServer) -> None:
        self._runtime = runtime
        self.faults = FaultControls(runtime)
        self.worker = WorkerOperations(runtime)

    def health(self) -> payloads.Health:
        """Version, profile and clock of the running fake."""
        return representations.health(self._runtime)

    def next(self, *, ids: Iterable[str] = (), delays: Iterable[int] = ()) -> dict[str, Any]:
        """Set the next task or subscription ids, and the next delays of the jittered backoff (seconds).

        Raises BadRequestError, or ConflictError for an id that exists, and if too many wait already.
        """
        if isinstance(ids, str):
            raise BadRequestError(f"ids: found {ids!r}, a list of texts belongs here")
        ids, delays = list(ids), list(delays)
        if any(type(one) is not str or not one for one in ids) or any(
            type(delay) is not int or delay < 0 for delay in delays
        ):
            raise BadRequestError("an id is a text that is not empty, a delay a whole number of seconds from 0")
        if any(len(one) > LONGEST_ID for one in ids):
            raise BadRequestError(f"an id has at most {LONGEST_ID:,} characters here")
        try:
            self._runtime.source.queue(ids=ids, delays=delays)
        except TakenIdError as taken:
            raise ConflictError(f"ids: {taken} is taken, or queued twice") from None
        except QueueFullError:
            raise ConflictError(f"at most {MOST_QUEUED:,} ids and as many delays may wait for their use") from None
        return {"ids": len(ids), "delays": len(delays)}

    def reset(self) -> payloads.Health:
        """Start over with an empty state; settings and clock stay."""
        self._runtime.reset()
        return self.health()

    async def reset_with(
        self,
        *,
        profile: str | None = None,
        settings: Mapping[str, str] | None = None,
        yaml: str | None = None,
        identities: object = None,
        clock: Literal["real", "manual"] | None = None,
        now: int | None = None,
        reaper_phase: int | None = None,
    ) -> payloads.Health:
        """As `reset`, with a new set-up for what is given. Raises BadRequestError.

        `settings` are environment variables, `yaml` is a configuration file, `clock` is a mode. Other requests are
        answered while a long YAML text is read, which takes a second for 100 KiB.
        """
        read = partial(self._read_setup, settings, yaml, identities)
        if len(yaml or "") > _LONG_YAML:
            from anyio import to_thread  # noqa: PLC0415 - slow, and rarely needed

            async with self._runtime.freezing:  # one at a time: many threads would leave the others few turns
                setup = await to_thread.run_sync(read)
        else:
            setup = read()
        if reaper_phase is not None:
            setup["reaper_phase"] = reaper_phase
        before = self._runtime.config
        profile = profile or (setup["settings"].chosen_profile if "settings" in setup else None) or before.profile
        try:
            config = replace(before.with_profile(profile), **setup)
        except SettingsError as error:
            raise BadRequestError(str(error)) from None
        self._runtime.reset(config, self._new_clock(clock, now))
        return self.health()

    def _read_setup(self, settings: Mapping[str, str] | None, yaml: str | None, identities: object) -> dict[str, Any]:
        """The fields of the configuration that these arguments change. Raises BadRequestError."""
        changes: dict[str, Any] = {}
        try:
            if settings is not None or yaml is not None:
                # An empty YAML text, unlike None, keeps the file in CODEQ_CONFIG_PATH from being read.
                new_settings = Settings.from_env(settings or {}, yaml or "")
                new_settings.check_files(self._runtime.started_with.settings)
                changes["settings"] = new_settings
            if identities is not None:
                changes["identities"] = identities_of(identities)
        except SettingsError as error:
            raise BadRequestError(str(error)) from None
        return changes

    def _new_clock(self, mode: Literal["real", "manual"] | None, now: int | None) -> Clock | None:
        """The clock after a reset; None if it stays."""
        if mode is None and now is None:
            return None
        clock = self._runtime.clock
        start = now if now is not None else clock.now()
        return WallClock(mode, start=start) if mode is not None else clock.starting_at(start)

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
        """Create a task of `tenant`; `payload` is JSON text. The caller has to carry out the effects: the notices.

        Raises a `codeq_fake.core.errors.Refused`, or BadRequestError for a payload that is not JSON.
        """
        try:
            json.loads(payload)  # exactly one value: Go would ignore the rest (B1)
            # As the HTTP route reads it, so that the stored text is the same.
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
    ) -> list[payloads.ListedTask]:
        """The first `limit` tasks that match, oldest first. No side effects. Raises BadRequestError."""
        search = TaskSearch(status, command, tenant)
        broker, now = self._runtime.broker, self._runtime.clock.now()
        zone = self._runtime.config.settings.timezone
        matching = (task for task in broker.store.tasks.values() if search.matches(task, broker, now))
        return [
            representations.listed_task(task, zone, word_for(task, broker, now)) for task in islice(matching, limit)
        ]

    def begin_tasks(self, *, limit: int, **search: str) -> Iterator[payloads.ListedTask | None]:
        """The tasks that a search finds, to be read later, while the broker goes on.

        An item None only says that others may have a turn. The iterator has to be read to its end or closed: until then
        each task that changes is shown before its change. `search` are the fields of a TaskSearch. Raises
        BadRequestError.
        """
        wanted = TaskSearch(**search)
        tasks = islice(self._runtime.broker.store.all(), limit if wanted.is_empty else None)
        return _first(limit, self._with_text(wanted, tasks) if wanted.text else self._shown(wanted, tasks))

    def _with_text(self, wanted: TaskSearch, tasks: Iterable[Task]) -> Iterator[payloads.ListedTask | None]:
        """The tasks that match and have the text, as they are when all texts have been read."""
        matching: list[Task] = []
        for task in tasks:
            if (yield from wanted.has_text(task)):
                matching.append(task)
            yield None
        yield from self._shown(wanted, matching)

    def _shown(self, wanted: TaskSearch, tasks: Iterable[Task]) -> Iterator[payloads.ListedTask | None]:
        """Those of the tasks that match now, whatever their texts."""
        broker, now = self._runtime.broker, self._runtime.clock.now()
        zone = self._runtime.config.settings.timezone

        def show(task: Task) -> payloads.ListedTask | None:
            if not wanted.matches(task, broker, now):
                return None
            return representations.listed_task(task, zone, word_for(task, broker, now))

        return iter(FrozenItems(tasks, show, broker.store.watch_of_tasks))

    def task(self, task_id: str) -> payloads.TaskInFull:
        """One task with its result, its history, and whether it can be claimed. Raises UnknownTaskError."""
        runtime = self._runtime
        return representations.task_in_full(
            self._find(task_id), runtime.broker, runtime.config.settings.timezone, now=runtime.clock.now()
        )

    async def story_in_slices(self, task_id: str) -> dict[str, Any]:
        """A TaskStory, with an iterator in the place of the requests. Other requests are answered meanwhile.

        Raises UnknownTaskError.
        """
        # What may change is read before the first pause, at one instant. The journals only grow.
        runtime, task = self._runtime, self.task(task_id)
        broker, now = runtime.broker, runtime.clock.now()
        place = position(broker, broker.get(task_id))
        state = word_for(broker.get(task_id), broker, now)
        claims = workers.latest_claims(runtime) if place is not None else []
        about = await in_slices(requests_about(runtime.requests, task_id))
        callbacks = callbacks_about(runtime.deliveries.journal, task_id)
        return {
            **task,
            "state": state,
            "place": {"number": place.number or None, "total": place.total} if place is not None else None,
            "latestClaims": [representations.latest_claim(entry) for entry in claims],
            "requests": map(representations.request, about),
            "callbacks": [representations.callback(entry) for entry in callbacks],
        }

    def expire(self, task_id: str) -> payloads.TaskInFull:
        """End the lease of a task now. Raises UnknownTaskError, or ConflictError for a task that is not in progress."""
        self._find(task_id)
        try:
            manual_operations.expire_lease(self._runtime.broker, task_id, now=self._runtime.clock.now())
        except errors.NotInProgress:
            raise ConflictError(f"task {task_id} is not in progress: it has no lease to end") from None
        return self.task(task_id)

    def take_lease(self, task_id: str) -> payloads.TaskInFull:
        """Take a task from its worker: end its lease, and requeue it as the next claim would.

        Raises UnknownTaskError, or ConflictError for a task that has no lease.
        """
        self._find(task_id)
        try:
            manual_operations.take_lease(self._runtime.broker, task_id, now=self._runtime.clock.now())
        except errors.NotInProgress:
            raise ConflictError(f"task {task_id} has no lease to take away") from None
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
        sizes = at_once(self._queues())
        return {"queues": list(sizes["queues"]), "parkedClaims": sizes["parkedClaims"]}

    async def workers_in_slices(self) -> list[payloads.Worker]:
        """The workers in the journal, the latest first. Other requests are answered meanwhile."""
        return await in_slices(workers.of_fake(self._runtime))

    async def queues_in_slices(self) -> dict[str, Any]:
        """As `queues`, with an iterator in the place of the list. Other requests are answered meanwhile."""
        return await in_slices(self._queues())

    def _queues(self) -> Slices[dict[str, Any]]:
        """What `queues_in_slices` returns."""
        broker = self._runtime.broker
        keys = yield from in_order(list(broker.store.queues))
        spelled = yield from representations.spelled_commands(broker)
        for queue in list(broker.store.queues.values()):
            # Else the first entries, which are looked at below, might come after many outdated ones.
            yield from queue.leases.tidied()
            yield from queue.delays.tidied()
            yield
        queues = (representations.queue(broker, key, spelled) for key in keys)
        return {"queues": queues, "parkedClaims": self._runtime.waiters.parked}

    def contract(self) -> dict[str, Any]:
        """All clauses of the contract, whether the fake does the same, and how often its traffic touched each."""
        from codeq_fake.clause_coverage.coverage import coverage  # noqa: PLC0415 - slow, and rarely needed

        profile = self._runtime.broker.profile
        return coverage(self._runtime.seen, profile.version.name, profile.store.name)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document of what this fake imitates."""
        from codeq_fake.openapi import document  # noqa: PLC0415 - as above

        profile = self._runtime.broker.profile
        return document(profile.version.name, profile.store.name)

    def _find(self, task_id: str) -> Task:
        try:
            return self._runtime.broker.get(task_id)
        except errors.TaskNotFound:
            raise UnknownTaskError(f"no task {task_id}") from None


def _first(limit: int, items: Iterator[T | None]) -> Iterator[T | None]:
    """The items until `limit` of them were not None: one that is None is only a pause."""
    for item in items if limit else ():
        yield item
        limit -= item is not None
        if not limit:
            return


_PAYLOAD = wire.Struct({"payload": wire.ANY})
