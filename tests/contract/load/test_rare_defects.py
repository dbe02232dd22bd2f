"""A load of the usual size meets a defect that shows at one call in a hundred, and `check` reports it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from codeq_contract.checker import CheckResult, Validity, check
from codeq_contract.driver import Setup
from codeq_contract.driver.server_settings import SUITE_SETTINGS
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.load import Load, record_load
from codeq_fake.core import Broker
from codeq_fake.core.leases import Leases
from codeq_fake.runtime.waiters import Waiters

pytestmark = pytest.mark.slow

Wrong = Callable[..., Any]


def checked(load: Load, profile: str = "redis") -> CheckResult:
    """The judgement on a load."""
    with InProcessTarget(profile).start(Setup()) as driver:
        return check(record_load(driver, load, SUITE_SETTINGS))


def rarely(patch: pytest.MonkeyPatch, owner: Any, name: str, wrong: Wrong, *, among: Wrong | None = None) -> None:
    """Let `wrong` take the place of a method at each hundredth call, of those `among` which the defect counts.

    `wrong` gets the right method as its first argument.
    """
    right, numbers = getattr(owner, name), count(1)

    def patched(*arguments: Any, **named: Any) -> Any:
        is_due = (among is None or among(*arguments, **named)) and next(numbers) % 100 == 0
        return wrong(right, *arguments, **named) if is_due else right(*arguments, **named)

    patch.setattr(owner, name, patched)


def without_tenant(right: Wrong, self: Broker, *arguments: Any, **named: Any) -> Any:
    return right(self, *arguments, **{**named, "tenant": ""})


def with_another_result(right: Wrong, self: Broker, checked: Any, worker: str, *, now: int) -> Any:
    """The reply is right, and something else is stored."""
    record = right(self, checked, worker, now=now)
    checked.task.record = replace(record, result='{"ok":false}')
    return record


def still_counted(right: Wrong, self: Broker, checked: Any, worker: str, *, now: int) -> Any:
    """The task has ended, and its queue still has it in progress."""
    record = right(self, checked, worker, now=now)
    self.store.queue_for(checked.task).in_progress[checked.task.id] = checked.task
    return record


def is_foreign(self: Broker, task_id: str, worker: str) -> bool:
    """Whether the worker is not the one that holds the task."""
    return self.get(task_id).worker not in {"", worker}


def held_by_all(right: Wrong, self: Broker, task_id: str, worker: str) -> Any:
    assert worker
    return right(self, task_id, self.get(task_id).worker)


def uncounted(right: Wrong, self: Leases, task: Any, *arguments: Any, **named: Any) -> None:
    right(self, task, *arguments, **named)
    task.attempts -= 1


def polls_of_which_some_sleep(right: Wrong) -> Wrong:
    """Long polls, of which each hundredth that finds nothing at first never looks again."""
    numbers = count(1)

    async def poll(self: Waiters, attempt: Wrong, *, now: int, **named: Any) -> Any:
        first = attempt(now)
        if first is not None:
            return first
        sleeps = named["wait_seconds"] and next(numbers) % 100 == 0
        return await right(self, lambda at: None if sleeps or at == now else attempt(at), now=now, **named)

    return poll


@pytest.fixture(scope="module")
def broken_laws() -> Counter[str]:
    """How many tasks break each law in a load of a server with all defects of this module."""
    with pytest.MonkeyPatch.context() as patch:
        rarely(patch, Broker, "create", without_tenant)
        rarely(patch, Broker, "_store_result", with_another_result)
        rarely(patch, Broker, "_store_result", still_counted)
        rarely(patch, Broker, "_task_held_by", held_by_all, among=is_foreign)
        rarely(patch, Leases, "start", uncounted)
        patch.setattr(Waiters, "poll", polls_of_which_some_sleep(Waiters.poll))
        result = checked(Load(seed=1))
    assert result.header.drained
    assert result.validity is Validity.VIOLATED
    return Counter(name for name, _ in result.violations)


def test_a_task_in_a_queue_that_no_claim_looks_at_is_lost(broken_laws: Counter[str]) -> None:
    assert broken_laws["lost"] >= 2


def test_a_result_is_read_back_as_it_was_accepted(broken_laws: Counter[str]) -> None:
    assert broken_laws["result"] >= 1


def test_an_operation_of_a_worker_that_does_not_hold_the_task_is_refused(broken_laws: Counter[str]) -> None:
    assert broken_laws["owner"] >= 2


def test_each_claim_is_counted(broken_laws: Counter[str]) -> None:
    assert broken_laws["attempts"] >= 2


def test_a_long_poll_looks_again(broken_laws: Counter[str]) -> None:
    assert broken_laws["empty"] >= 2


@pytest.mark.parametrize("seed", [2, 3])
def test_a_sound_server_keeps_every_law(seed: int) -> None:
    result = checked(Load(tasks=60, seconds=6, seed=seed), "kvrocks-2.9")
    assert (result.validity, result.violations) == (Validity.VALID, ())


def test_a_queue_counts_each_task_once(broken_laws: Counter[str]) -> None:
    assert broken_laws["sizes"] >= 1
