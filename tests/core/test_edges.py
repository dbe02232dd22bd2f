"""Edge cases that random examples rarely reach, or in which the broker and the model once differed."""

from __future__ import annotations

import pytest

from codeq_fake.core import Submission
from tests.core.model.lockstep import Lockstep
from tests.core.model.store import DAY_SECONDS, MILLISECOND, SECOND

ON_THE_SECOND = 140 * MILLISECOND  # from where a lockstep starts


def test_a_time_later_in_this_second_is_delayed_and_due_already() -> None:
    pair = Lockstep()
    task = pair.create("A", run_at="2026-11-24T06:14:51.900000Z")  # C6: 40 ms ahead
    assert pair.broker.get(task).location.value == "DELAYED_ZSET"
    assert pair.claim("A")["id"] == task  # C7


def test_a_batch_claim_tells_each_task_as_it_was_claimed() -> None:
    pair = Lockstep("kvrocks-2.8")
    pair.advance(ON_THE_SECOND + 200 * MILLISECOND)
    first = pair.create("A")
    pair.create("A")
    claimed = pair.claim_batch("A", count=2, lease_seconds=1)
    assert [task["status"] for task in claimed] == ["IN_PROGRESS", "IN_PROGRESS"]
    assert pair.broker.get(first).status.value == "PENDING"  # K8: its lease was over when the second was claimed


def test_fanout_hears_first_then_each_group_then_hash() -> None:
    pair = Lockstep()
    pair.advance(60 * SECOND)
    hashed, grouped, fanned = (
        pair.do("subscribe", "http://hooks.test/", event_types=["A"], delivery_mode=mode, group_id="g")[0]
        for mode in ("hash", "group", "fanout")
    )
    heard = [subscription.subscription_id for subscription in pair.broker.subscriptions.take_notices("A", now=pair.now)]
    assert heard == [fanned, grouped, hashed]


@pytest.mark.parametrize(
    ("operation", "refusal"), [("heartbeat", "NotOwner"), ("abandon", "NotOwner"), ("nack", "WorkerRequired")]
)
def test_a_worker_without_a_name_gives_back_no_task(operation: str, refusal: str) -> None:
    pair = Lockstep()
    assert pair.do(operation, pair.create("A"), worker="") == refusal  # H2, A9


def test_a_worker_without_a_name_ends_the_task_of_another() -> None:
    pair = Lockstep()
    task = pair.create("A")
    pair.claim("A")
    assert pair.do("submit", task, Submission("COMPLETED", "{}"), worker="") != "NotOwner"  # A9
    assert pair.broker.get(task).status.value == "COMPLETED"


@pytest.mark.parametrize(("milliseconds", "seconds"), [(500, 2), (501, 3)])
def test_kvrocks_2_8_rounds_an_expiry_up_from_the_501st_millisecond(milliseconds: int, seconds: int) -> None:
    pair = Lockstep("kvrocks-2.8")
    pair.advance(ON_THE_SECOND)
    whole_second = pair.now
    pair.advance(milliseconds * MILLISECOND)
    task = pair.create("A")
    pair.claim("A", lease_seconds=2)
    assert pair.broker.get(task).lease_expiry == whole_second + seconds * SECOND  # K8


def test_a_clean_up_with_a_limit_takes_the_lowest_ids_of_a_second() -> None:
    pair = Lockstep()
    pair.advance(ON_THE_SECOND)
    made = []
    for _ in range(5):
        made.append(pair.create("A"))
        pair.advance(10 * MILLISECOND)
    assert made != sorted(made)
    pair.clean_up(before=pair.now + DAY_SECONDS * SECOND, limit=2)
    assert sorted(pair.broker.store.tasks) == sorted(made)[2:]  # M3


def test_one_task_twice_in_a_batch_of_results_ends_as_the_last_one_says() -> None:
    pair = Lockstep()
    task = pair.create("A", webhook="http://hooks.test/")
    pair.claim("A")
    completed, failed = Submission("COMPLETED", "{}", error="odd"), Submission("FAILED", error="twice")
    pair.do("submit_batch", [(task, failed), (task, completed), (task, failed)], worker="w-1")  # S6
    assert pair.broker.get(task).status.value == "FAILED"
    assert pair.under_way == []


def test_a_command_named_twice_is_repaired_twice() -> None:
    pair = Lockstep()  # with luck 0 the delay after an expired lease is 0
    task = pair.create("A", max_attempts=9)
    pair.claim("A", lease_seconds=1)
    pair.advance(SECOND)
    assert pair.claim("A") is None  # K7: what is due comes first, then what has expired
    pair.claim("A", lease_seconds=1)
    pair.advance(SECOND)
    assert pair.claim("A", "a")["id"] == task


def test_a_queue_is_dumped_alike_when_the_task_that_made_it_is_gone() -> None:
    pair = Lockstep()
    first = pair.create("A")
    pair.advance(SECOND)
    pair.create("A", tenant="beta")
    pair.create("A")
    pair.clean_up(before=pair.now + (DAY_SECONDS - 1) * SECOND)
    assert first not in pair.broker.store.tasks
    pair.restore()
