"""Schedules: create a task at each moment of a cron expression, or every so many seconds.

Several producers may run the same schedules. Each moment has an idempotency key, so the server makes one task of it, as
long as the producers do not create it at the same moment (Z6): each waits for another `delay`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from ._api.arguments import check_number, check_text
from ._api.client import CodeQ
from ._api.models import Command, TaskOptions
from ._api.settlement import PASSING
from ._task import Task
from .errors import CertificateError, ClientClosed, CodeQError, ConfigurationError

_LONGEST_SLEEP = 60.0  # the machine may be suspended, or its time be set
_LONGEST_PAUSE = 30.0
_SPREAD = 10.0
_LONGEST_CATCH_UP = 23 * 3600  # C8: a key is known for 24 hours

_log = logging.getLogger("codeq_client.schedules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When to create which task: at each moment of `cron` in `timezone`, or at each multiple of `every` seconds.

    `cron` has five fields, as Debian's cron, also when the clocks change. Multiples are counted from 1970, so that all
    producers have the same. `payload` is a value, or a function of the moment that returns one. Keys are made of `name`
    and moment: a new name means new tasks.
    """

    name: str
    command: str | Command[Any, Any]
    payload: object = field(default_factory=dict)
    cron: str | None = None
    every: float | timedelta | None = None
    timezone: str = "UTC"
    options: TaskOptions = field(default_factory=TaskOptions)

    def __post_init__(self) -> None:
        check_text(self.name, "the name of a schedule")
        if (self.cron is None) == (self.every is None):
            raise ConfigurationError(f"schedule {self.name!r} needs either cron or every")
        if "idempotency_key" in self.options:
            raise ConfigurationError(f"schedule {self.name!r} has a key for each moment, and takes no idempotency_key")
        if self.cron is None:
            check_number(self._interval, "every", least=1)
            return
        try:
            next(self._cron_moments(datetime(2000, 1, 1, tzinfo=UTC)))
        except CronSimError as error:
            raise ConfigurationError(f"cron {self.cron!r}: {error}") from None
        except StopIteration:
            raise ConfigurationError(f"cron {self.cron!r}: there is no such day") from None
        except (ZoneInfoNotFoundError, ValueError):
            raise ConfigurationError(f"there is no time zone {self.timezone!r}") from None

    def after(self, moment: datetime) -> datetime:
        """Return the first moment after `moment`, in UTC."""
        if self.cron is not None:
            return next(self._cron_moments(moment)).astimezone(UTC)
        number = math.floor(moment.timestamp() / self._interval) + 1
        return datetime.fromtimestamp(number * self._interval, UTC)

    def key(self, moment: datetime) -> str:
        """Return the idempotency key of a moment."""
        return f"schedule {self.name} {moment.astimezone(UTC).isoformat()}"

    @property
    def _interval(self) -> float:
        return self.every.total_seconds() if isinstance(self.every, timedelta) else self.every or 0

    def _cron_moments(self, start: datetime) -> CronSim:
        return CronSim(self.cron or "", start.astimezone(ZoneInfo(self.timezone)))


class Scheduler:
    """Creates the tasks of schedules, on the client's clock.

    `delay` is how many seconds after each moment this producer creates the task. Give several producers different ones,
    some seconds apart. By default it is drawn for each moment, up to 10 s or half an interval. Moments of the last
    `catch_up` seconds before the start are created too, if no producer has: so a restart misses none. Of several missed
    moments only the last is created.
    """

    def __init__(
        self, codeq: CodeQ, schedules: Iterable[Schedule], *, delay: float | None = None, catch_up: float = 60
    ) -> None:
        self._codeq = codeq
        self._schedules = _checked(schedules)
        self._delay = delay
        self._catch_up = catch_up
        if delay is not None:
            check_number(delay, "delay")
        check_number(catch_up, "catch_up")
        if catch_up > _LONGEST_CATCH_UP:
            raise ConfigurationError(f"catch_up can be at most {_LONGEST_CATCH_UP} s: the server forgets keys")

    async def run(self) -> None:
        """Create tasks until it is cancelled. After an outage it goes on with the last moment.

        Raises `ClientClosed`, and `CertificateError` if the server's certificate is not trusted.
        """
        _log.info("scheduling %s", ", ".join(schedule.name for schedule in self._schedules))
        try:
            async with asyncio.TaskGroup() as group:
                for schedule in self._schedules:
                    group.create_task(self._follow(schedule))
        except* (CertificateError, ClientClosed) as errors:
            failure: BaseException = errors
            while isinstance(failure, BaseExceptionGroup):
                failure = failure.exceptions[0]
            raise failure from None

    async def _follow(self, schedule: Schedule) -> None:
        """Create the tasks of one schedule."""
        clock, random = self._codeq.core.clock, self._codeq.core.random
        moment = schedule.after(self._now() - timedelta(seconds=self._catch_up))
        share = random()
        failures = 0
        while True:
            moment, due = self._latest(schedule, moment, share)
            if (seconds := (due - self._now()).total_seconds()) > 0:
                await clock.sleep(min(seconds, _LONGEST_SLEEP))
            elif await self._create(schedule, moment):
                moment, share, failures = schedule.after(moment), random(), 0
            else:
                failures += 1
                await clock.sleep(min(_LONGEST_PAUSE, 2.0 ** min(failures, 10)))

    def _latest(self, schedule: Schedule, moment: datetime, share: float) -> tuple[datetime, datetime]:
        """Return the last moment from `moment` on whose task is due, or else `moment`; and when its task is due."""
        while True:
            following = schedule.after(moment)
            spread = min(_SPREAD, (following - moment).total_seconds() / 2)
            delay = timedelta(seconds=share * spread if self._delay is None else self._delay)
            if following + delay > self._now():
                return moment, moment + delay
            moment = following

    async def _create(self, schedule: Schedule, moment: datetime) -> bool:
        """Create the task of a moment; return False if that may be tried again."""
        try:
            task = await self._send(schedule, moment)
        except (CertificateError, ClientClosed):
            raise
        except PASSING as error:
            _log.warning("the task of schedule %s for %s was not created: %s", schedule.name, moment, error)
            return False
        except CodeQError as error:
            _log.error("the task of schedule %s for %s is left out: %s", schedule.name, moment, error)
        except Exception:  # noqa: BLE001 - the user's code
            _log.exception("the payload of schedule %s failed; the task for %s is left out", schedule.name, moment)
        else:
            _log.info("schedule %s has task %s for %s", schedule.name, task.id, moment)
        return True

    async def _send(self, schedule: Schedule, moment: datetime) -> Task:
        payload = schedule.payload(moment) if callable(schedule.payload) else schedule.payload
        options: TaskOptions = {**schedule.options, "idempotency_key": schedule.key(moment)}
        return await self._codeq.create(schedule.command, payload, **options)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._codeq.core.clock.time(), UTC)


def _checked(schedules: object) -> tuple[Schedule, ...]:
    found = tuple(schedules) if isinstance(schedules, Iterable) else ()
    if not found or not all(isinstance(schedule, Schedule) for schedule in found):
        raise ConfigurationError(f"a scheduler needs a list of schedules, not {schedules!r:.80}")
    names = [schedule.name for schedule in found]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"schedules need different names, not {', '.join(names)}")
    return found
