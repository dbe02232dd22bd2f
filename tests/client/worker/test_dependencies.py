"""Dependencies: keyword-only parameters of handlers get, by their type, what the worker's lifespan yields."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, NewType, Optional

import pytest

from codeq_client import Complete, Job, Registry, TaskContext, Worker
from codeq_client.errors import ConfigurationError
from codeq_client.testing import run_one
from tests.client.support import Scenario

Number = NewType("Number", int)


@dataclass
class Database:
    rows: list[object]


class Mailer:
    """What some handlers need besides a database."""


class Resources(NamedTuple):
    database: Database
    mailer: Mailer


async def store(job: Job[Any], *, database: Database) -> int:
    database.rows.append(job.payload)
    return len(database.rows)


def store_on_thread(job: Job[Any], task: TaskContext, *, database: Database, mailer: Mailer) -> bool:
    database.rows.append(job.payload)
    return bool(task.state == (database, mailer))


class Storing:
    """A handler that is an object."""

    async def __call__(self, job: Job[Any], *, database: Database) -> int:
        return await store(job, database=database)


@pytest.mark.asyncio
async def test_handlers_get_what_the_lifespan_yields_by_its_type(scenario: Scenario) -> None:
    database = Database([])

    @asynccontextmanager
    async def lifespan(_worker: Worker) -> AsyncIterator[Resources]:
        yield Resources(database, Mailer())
        database.rows.append("closed")

    worker = scenario.worker(lifespan=lifespan)
    worker.handler("LOOP")(store)
    worker.handler("THREAD")(store_on_thread)
    worker.handler("OBJECT")(Storing())
    tasks = [scenario.enqueue(command, command) for command in ("LOOP", "THREAD", "OBJECT")]
    async with scenario.running(worker):
        await scenario.until_ended(3)
    assert all(scenario.task(task).status == "COMPLETED" for task in tasks)
    assert sorted(map(str, database.rows[:3])) == ["LOOP", "OBJECT", "THREAD"]
    assert database.rows[3:] == ["closed"]


@pytest.mark.asyncio
async def test_a_test_gives_the_dependencies_as_state(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(store)
    assert await run_one(worker, "X", 1, state=Database([])) == Complete(1)
    assert await run_one(store, 1, state=(Mailer(), Database([0]))) == Complete(2)


async def unknown(_job: Job[Any], *, database: Undefined) -> None: ...  # type: ignore[name-defined]  # noqa: F821


async def unnamed(_job: Job[Any], *, database) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


async def no_class(_job: Job[Any], *, number: Number) -> None: ...


async def union(_job: Job[Any], *, database: Database | None) -> None: ...


async def optional(_job: Job[Any], *, database: Optional[Database]) -> None: ...  # noqa: UP045 - older than `|`


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("function", "state", "message"),
    [
        (store, None, "store needs database, but the lifespan yields no value of the type Database"),
        (store, (Database([]), Database([])), "yields more than one value of the type Database"),
        (unknown, Database([]), "the types of handler unknown cannot be found"),
        (unnamed, Database([]), "unnamed needs database"),
        (no_class, 1, "no_class needs number, whose type must be a class"),
        (union, Database([]), r"union needs database, whose type must be a class, not .*Database \| None"),
        (optional, Database([]), "optional needs database, whose type must be a class"),
    ],
)
async def test_a_worker_does_not_begin_without_a_dependency(
    scenario: Scenario, function: Any, state: object, message: str
) -> None:
    @asynccontextmanager
    async def lifespan(_worker: Worker) -> AsyncIterator[object]:
        yield state

    worker = scenario.worker(lifespan=lifespan)
    worker.handler("X")(function)
    scenario.enqueue("X", 1)
    with pytest.raises(ConfigurationError, match=message):
        await worker.run(signals=False)
    assert scenario.network.times("claim") == []


def test_a_handler_in_a_process_has_no_dependencies() -> None:
    with pytest.raises(ConfigurationError, match="what the lifespan yields stays in the worker"):
        Registry().handler("X", pool="process")(store_on_thread)


@pytest.mark.asyncio
async def test_a_keyword_with_a_default_keeps_it() -> None:
    async def with_default(_job: Job[Any], *, factor: int = 3) -> int:
        return factor

    assert await run_one(with_default, None, state=5) == Complete(3)
