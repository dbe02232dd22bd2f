"""When a lease counts as over on each store, to the millisecond (K8). It takes a clock that stands still."""

from __future__ import annotations

from typing import Any

from codeq_contract.recordings.times import MILLISECOND, SECOND
from codeq_contract.suite.case import checks, timed
from codeq_contract.suite.case_context import CaseContext

pytestmark = timed

#: Fractions of a second, in milliseconds.
FRACTIONS = (0, 1, 250, 500, 501, 999)


@checks("K8.3", "K8.4")
def test_on_redis_a_lease_is_over_half_a_second_before_its_end(contract: CaseContext) -> None:
    for fraction in FRACTIONS:
        task, end = leased(contract, 3, at=fraction)
        contract.clock.until(end - 500 * MILLISECOND)
        assert not is_over(contract, task), fraction
        contract.clock.until(end - 499 * MILLISECOND)
        assert is_over(contract, task), fraction


@checks("K8.11")
def test_on_redis_a_lease_of_a_second_holds_for_half_of_it(contract: CaseContext) -> None:
    task, end = leased(contract, 1, at=250)
    assert not is_over(contract, task)
    contract.clock.until(end - 500 * MILLISECOND)
    assert not is_over(contract, task)
    contract.clock.until(end - 499 * MILLISECOND)
    assert is_over(contract, task)


@checks("K8.5", "K8.6")
def test_on_kvrocks_2_9_a_lease_is_over_a_second_before_its_end(contract: CaseContext) -> None:
    for fraction in FRACTIONS:
        task, end = leased(contract, 3, at=fraction)
        contract.clock.until(end - SECOND)
        assert not is_over(contract, task), fraction
        contract.clock.until(end - 999 * MILLISECOND)
        assert is_over(contract, task), fraction


@checks("K8.15")
def test_on_kvrocks_2_9_a_lease_of_a_second_holds_for_no_millisecond(contract: CaseContext) -> None:
    task, end = leased(contract, 1, at=250)
    contract.clock.until(end - 999 * MILLISECOND)
    assert is_over(contract, task)


@checks("K8.7", "K8.8", "K8.9")
def test_on_kvrocks_2_8_a_lease_is_over_a_second_before_the_whole_second_next_to_its_end(contract: CaseContext) -> None:
    for fraction in FRACTIONS:
        task, end = leased(contract, 3, at=fraction)
        rounded = end // SECOND * SECOND + (SECOND if fraction > 500 else 0)
        contract.clock.until(rounded - SECOND)
        assert not is_over(contract, task), fraction
        contract.clock.until(rounded - 999 * MILLISECOND)
        assert is_over(contract, task), fraction


@checks("K8.10")
def test_on_kvrocks_2_8_a_lease_of_a_second_holds_not_at_all_or_to_the_next_second(contract: CaseContext) -> None:
    for fraction in (1, 250, 500):
        task, _ = leased(contract, 1, at=fraction)
        assert is_over(contract, task), fraction
    for fraction in (501, 999):
        task, end = leased(contract, 1, at=fraction)
        assert not is_over(contract, task), fraction
        contract.clock.until(end // SECOND * SECOND + MILLISECOND)
        assert is_over(contract, task), fraction


@checks("K8.12")
def test_an_extension_is_rounded_as_a_lease(contract: CaseContext) -> None:
    for fraction in FRACTIONS:
        task, _ = leased(contract, 600, at=fraction)
        lease = contract.lease_end(contract.worker.heartbeat(task, extendSeconds=3), 3)
        contract.clock.until(lease.earliest - MILLISECOND)
        assert not is_over(contract, task), fraction
        contract.clock.until(lease.latest)
        assert is_over(contract, task), fraction


@checks("K8.13")
def test_a_throttle_is_rounded_as_a_lease(contract: CaseContext) -> None:
    for fraction in FRACTIONS:
        command, hook = contract.command(), contract.hook()
        contract.worker.subscribe(callbackUrl=hook.url, eventTypes=[command], minIntervalSeconds=3)
        contract.wait_for_fraction(fraction * MILLISECOND)
        created = contract.producer.create(command, priority=0)
        throttle = contract.time_bounds.lease_gone(created.called, created.returned, 3)
        contract.clock.until(throttle.earliest - MILLISECOND)
        contract.producer.created(command, priority=1)
        assert len(hook.received) == 1, fraction
        contract.clock.until(throttle.latest)
        contract.producer.created(command, priority=2)
        assert len(hook.received) == 2, fraction


@checks("K8.14")
def test_a_time_is_cut_to_milliseconds_before_it_is_rounded(contract: CaseContext) -> None:
    for fraction in (1, 999_999, 500_000_001, 500_999_999, 999_999_999):
        contract.wait_for_fraction(fraction)
        command = contract.command()
        contract.producer.created(command)
        reply = contract.worker.claim(command, leaseSeconds=3)
        lease = contract.lease_end(reply, 3)
        contract.clock.until(lease.earliest - 1)
        assert not is_over(contract, reply.json), fraction
        contract.clock.until(lease.latest)
        assert is_over(contract, reply.json), fraction


def leased(contract: CaseContext, seconds: int, *, at: int) -> tuple[dict[str, Any], int]:
    """A task that our worker claims at this millisecond of a second, and now + `seconds`."""
    command = contract.command()
    contract.producer.created(command)
    contract.wait_for_fraction(at * MILLISECOND)
    reply = contract.worker.claim(command, leaseSeconds=seconds)
    return reply.json, reply.called + seconds * SECOND


def is_over(contract: CaseContext, task: dict[str, Any]) -> bool:
    """Claim once more, and return whether that takes the task from its worker.

    Each claim spells the command in another way: main repairs the leases of a spelling only twice a second (Q1).
    """
    look = len(contract.transcript)
    spelled = "".join(char.lower() if look >> place & 1 else char for place, char in enumerate(task["command"]))
    contract.worker.claim(spelled)
    return "workerId" not in contract.worker.seen(task)
