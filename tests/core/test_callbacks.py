"""Result callbacks: which tries are due, and when (W1, W3). `tests/webhooks` checks how they are signed and sent."""

from __future__ import annotations

import pytest

from codeq_fake.core import Artifact, ArtifactUpload, RateLimit, Submission
from codeq_fake.core.effects import CallbackDue
from codeq_fake.core.times import SECOND
from tests.core.support import DONE, FAILED, HOOK, START, Server


def ended(submission: Submission = DONE, *, tries: int = 5, base: int = 2) -> tuple[Server, CallbackDue]:
    """A server whose task with a webhook has just ended, and the first try of its callback."""
    server = Server(result_webhook_max_attempts=tries, result_webhook_base_backoff_seconds=base)
    task = server.create(webhook=HOOK)
    server.leased()
    server.submit(task, submission)
    (first,) = server.tries()
    return server, first


def fail(server: Server, due: CallbackDue, *, final: bool = False) -> bool:
    """The try has failed. Returns whether the callback is over."""
    return server.broker.callback_answered(due.delivery_id, delivered=False, final=final, now=server.now)


@pytest.mark.parametrize(
    ("submission", "status", "result", "error"),
    [(Submission("COMPLETED", '{"n":1}'), "COMPLETED", '{"n":1}', ""), (FAILED, "FAILED", None, "torn")],
)
def test_w1_a_callback_tells_how_the_task_ended(
    submission: Submission, status: str, result: str | None, error: str
) -> None:
    _, due = ended(submission)
    assert due == CallbackDue(1, 1, HOOK, "task-001", "A", status, result, error, None, START)


def test_w1_a_callback_lists_the_artifacts() -> None:
    _, due = ended(Submission("COMPLETED", "{}", artifacts=(ArtifactUpload("a", url="u"),)))
    assert due.artifacts == (Artifact("a", "u"),)


def test_w1_a_task_without_a_webhook_sends_no_callback() -> None:
    server = Server()
    task = server.create()
    server.leased()
    server.submit(task)
    assert server.broker.is_idle
    assert server.broker.next_due() is None


def test_w3_a_success_ends_the_callback() -> None:
    server, due = ended()
    assert server.broker.next_due() is None  # it is under way
    idle = [server.broker.is_idle]
    assert server.broker.callback_answered(due.delivery_id, delivered=True, now=server.now)
    idle.append(server.broker.is_idle)
    assert idle == [False, True]
    server.wait(3600)
    assert server.tries() == []


def test_w3_a_failure_is_tried_again_five_times_in_all() -> None:
    server, due = ended(tries=5, base=2)
    waits = []
    while not fail(server, due):
        next_due = server.broker.next_due()
        assert next_due is not None
        waits.append((next_due - server.now) // SECOND)
        server.wait(waits[-1] - 0.001)
        assert server.tries() == []
        server.wait(ms=1)
        (due,) = server.tries()
    assert waits == [2, 4, 8, 16]
    assert due.attempt == 5
    assert server.broker.next_due() is None


def test_w3_the_wait_doubles_up_to_its_cap() -> None:
    server, due = ended(tries=10, base=7)
    begun = []
    while not fail(server, due):
        server.wait(60)
        (due,) = server.tries()
        begun.append(due.attempt)
    assert begun == list(range(2, 11))
    assert server.now == START + 9 * 60 * SECOND


@pytest.mark.parametrize(("tries", "wait"), [(1, 7), (2, 14), (3, 28), (4, 56), (5, 60), (100, 60)])
def test_w3_after_so_many_tries_the_wait_is(tries: int, wait: int) -> None:
    server, due = ended(tries=1000, base=7)
    for _ in range(tries - 1):
        fail(server, due)
        server.wait(60)
        (due,) = server.tries()
    fail(server, due)
    assert server.broker.next_due() == server.now + wait * SECOND


def test_w3_each_try_tells_the_same() -> None:
    server, first = ended()
    fail(server, first)
    server.wait(2)
    (second,) = server.tries()
    assert (second.attempt, second.completed_at) == (2, START)
    assert (second.delivery_id, second.task_id, second.url) == (first.delivery_id, first.task_id, first.url)


def test_w3_the_wait_begins_when_the_try_has_ended() -> None:
    server, due = ended()
    server.wait(15)
    fail(server, due)
    assert server.broker.next_due() == START + 17 * SECOND


def test_w3_a_try_that_is_the_final_one_is_followed_by_none() -> None:
    server, due = ended()
    assert fail(server, due, final=True)
    assert server.broker.next_due() is None


def test_an_answer_to_a_callback_that_is_over_is_ignored() -> None:
    server, due = ended()
    assert server.broker.callback_answered(due.delivery_id, delivered=True, now=server.now)
    assert not server.broker.callback_answered(due.delivery_id, delivered=False, now=server.now)
    assert server.broker.counters.deliveries.total() == 1


def test_callbacks_are_tried_in_due_order() -> None:
    server = Server()
    begun = []
    for webhook in ("http://a.test/", "http://b.test/"):
        task = server.create(webhook=webhook)
        server.leased()
        server.submit(task)
        begun.append(server.tries()[0])
    fail(server, begun[1])
    server.wait(1)
    fail(server, begun[0])
    server.now += 10 * SECOND  # as if asleep
    server.broker.fire(now=server.now)
    assert [due.url for due in server.tries()] == ["http://b.test/", "http://a.test/"]


def test_l1_the_webhooks_rate_limit_delays_callbacks() -> None:
    server = Server(rate_limit={"webhook": RateLimit(requests_per_minute=6, burst_size=1)})
    tasks = [server.create(webhook=HOOK) for _ in range(3)]
    for task in tasks:
        server.leased()
        server.submit(task)
    sent = [[due.task_id for due in server.tries()]]
    for _ in range(2):
        assert server.broker.next_due() == server.now + 10 * SECOND
        server.wait(10)
        sent.append([due.task_id for due in server.tries()])
    assert sent == [[task.id] for task in tasks]
