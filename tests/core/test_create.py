"""Create (C1 to C9). `tests/wire` checks webhook URLs and times."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_fake.core import Location, Status, errors
from codeq_fake.core.slices import at_once
from codeq_fake.core.times import DAY_SECONDS, SECOND
from tests.core.support import HOOK, START, Server


def test_c1_a_task_waits_in_its_queue_with_no_attempt_made() -> None:
    server = Server()
    task = server.create("PACK", '{"n":1}', priority=3, webhook=HOOK)
    assert (task.command, task.payload, task.priority, task.webhook) == ("PACK", '{"n":1}', 3, HOOK)
    assert (task.status, task.location, task.attempts) == (Status.PENDING, Location.PENDING_LIST, 0)
    assert (task.worker, task.lease_until, task.error, task.record) == ("", 0, "", None)
    assert (task.tenant, task.created_at, task.updated_at) == ("acme", START, START)


def test_c1_a_task_with_a_delay_waits_in_the_delayed_set() -> None:
    task = Server().create(delay_seconds=1)
    assert (task.status, task.location) == (Status.PENDING, Location.DELAYED_ZSET)


@pytest.mark.parametrize("command", ["", " ", "\t\n\v\f\r", "\u00a0\u2003\u3000"])
def test_c2_a_command_of_white_space_is_refused(command: str) -> None:
    with pytest.raises(errors.InvalidCommand):
        Server().create(command)


@pytest.mark.parametrize("command", [" PACK ", "\x1c", "Pack", "ÄÖ"])
def test_c2_a_command_is_stored_as_sent(command: str) -> None:
    assert Server().create(command).command == command


def test_c2_a_queue_is_keyed_by_the_lower_case_of_its_command() -> None:
    server = Server()
    upper, lower = server.create("PACK"), server.create("pack")
    assert server.claim("Pack") is upper
    assert server.claim("PACK") is lower


@pytest.mark.parametrize("webhook", ["hooks.test/done", "ftp://hooks.test/", "http://", "http://hooks .test/"])
def test_c3_a_webhook_that_is_no_absolute_http_url_is_refused(webhook: str) -> None:
    with pytest.raises(errors.InvalidWebhook):
        Server().create(webhook=webhook)


@pytest.mark.parametrize("webhook", ["", "http://hooks.test", "HTTPS://hooks.test:99999/?q#f"])
def test_c3_an_empty_webhook_is_none_and_a_good_one_is_kept(webhook: str) -> None:
    assert Server().create(webhook=webhook).webhook == webhook


@pytest.mark.parametrize(("asked", "given"), [(-1, 7), (0, 7), (1, 1), (2, 2), (1000, 1000)])
def test_c4_attempts_that_are_not_positive_are_the_servers_default(asked: int, given: int) -> None:
    assert Server(max_attempts_default=7).create(max_attempts=asked).max_attempts == given


def test_c4_c5_what_is_not_asked_for_is_the_default() -> None:
    task = Server().create()
    assert (task.max_attempts, task.priority, task.visible_at, task.webhook) == (5, 0, 0, "")


@pytest.mark.parametrize(("asked", "given"), [(-(2**63), 0), (-1, 0), (0, 0), (9, 9), (10, 9), (2**63 - 1, 9)])
def test_c5_priority_is_clamped(asked: int, given: int) -> None:
    assert Server().create(priority=asked).priority == given


def test_c6_a_time_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(errors.InvalidRunAt):
        Server().create(run_at="2026-11-24 06:15:00Z")


def test_c6_a_negative_delay_is_refused_even_where_it_would_not_count() -> None:
    for request in ({}, {"run_at": "2026-11-24T07:00:00Z"}):
        with pytest.raises(errors.InvalidDelay):
            Server().create(delay_seconds=-1, **request)


def test_c6_the_checks_run_in_this_order() -> None:
    request: dict[str, Any] = {"command": " ", "run_at": "soon", "delay_seconds": -1, "webhook": "hooks.test"}
    mended = [("run_at", ""), ("delay_seconds", 0), ("command", "A"), ("webhook", "")]
    refusals: list[type[errors.Refused]] = []
    server = Server()
    for name, value in mended:
        with pytest.raises(errors.Refused) as refused:
            server.create(**request)
        refusals.append(refused.type)
        request[name] = value
    assert refusals == [errors.InvalidRunAt, errors.InvalidDelay, errors.InvalidCommand, errors.InvalidWebhook]
    assert server.create(**request).status is Status.PENDING


def test_c6_a_time_wins_over_a_delay() -> None:
    server = Server()
    task = server.create(run_at="2026-11-24T06:15:05Z", delay_seconds=1)
    assert task.visible_at == START + 5 * SECOND
    past = server.create(run_at="2026-11-24T06:14:00Z", delay_seconds=60)
    assert past.location is Location.PENDING_LIST


@pytest.mark.parametrize("absent", ["", "0001-01-01T00:00:00Z"])
def test_c6_an_empty_time_and_the_zero_time_count_as_absent(absent: str) -> None:
    server = Server()
    assert server.create(run_at=absent).location is Location.PENDING_LIST
    assert server.create(run_at=absent, delay_seconds=3).visible_at == START + 3 * SECOND


@pytest.mark.parametrize(
    ("run_at", "location"),
    [
        ("2026-11-24T06:15:00Z", Location.PENDING_LIST),
        ("2026-11-24T06:15:00.000000001Z", Location.DELAYED_ZSET),
    ],
)
def test_c6_what_is_not_after_now_is_enqueued_at_once(run_at: str, location: Location) -> None:
    assert Server().create(run_at=run_at).location is location


def test_c7_a_delayed_task_surfaces_with_its_second_up_to_a_second_early() -> None:
    server = Server()
    server.wait(ms=900)
    task = server.create(delay_seconds=2)  # 06:15:02.900
    server.wait(ms=1099)
    assert server.claim() is None
    server.wait(ms=1)  # 06:15:02
    assert server.claim() is task


def test_c8_a_key_brings_the_first_task_back_as_it_is_now_whatever_else_is_asked() -> None:
    server = Server()
    first = server.create("A", idempotency_key="k")
    server.leased()
    server.submit(first)
    server.wait(60)
    again = server.create("B", '"other"', tenant="beta", idempotency_key="k", priority=9, delay_seconds=5)
    assert again is first
    assert (again.status, again.command, again.payload, again.tenant) == (Status.COMPLETED, "A", "{}", "acme")
    assert len(server.broker.store.tasks) == 1


def test_c8_a_key_that_comes_back_is_no_second_create() -> None:
    server = Server(tracing_enabled=True)
    server.subscribe()
    server.create(idempotency_key="k")
    before = server.effects(), server.broker.counters.created.copy()
    assert before[0] != []
    server.leased()
    server.create(idempotency_key="k")
    assert (server.effects(), server.broker.counters.created) == ([], before[1])


@pytest.mark.parametrize("key", ["", " ", "\t\n", "\u00a0"])
def test_c8_a_blank_key_is_none(key: str) -> None:
    server = Server()
    assert server.create(idempotency_key=key) is not server.create(idempotency_key=key)


def test_c8_keys_are_compared_as_sent_blanks_included() -> None:
    server = Server()
    tasks = {key: server.create(idempotency_key=key) for key in ("k", " k", "k ", "K")}
    assert len({task.id for task in tasks.values()}) == 4
    assert all(server.create(idempotency_key=key) is task for key, task in tasks.items())


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        ({"command": " "}, errors.InvalidCommand),
        ({"webhook": "hooks.test"}, errors.InvalidWebhook),
        ({"run_at": "soon"}, errors.InvalidRunAt),
        ({"delay_seconds": -1}, errors.InvalidDelay),
    ],
)
def test_c8_the_checks_come_before_the_key(request_: dict[str, Any], refusal: type[errors.Refused]) -> None:
    server = Server()
    server.create(idempotency_key="k")
    with pytest.raises(refusal):
        server.create(**request_, idempotency_key="k")


def test_c8_a_refused_create_uses_no_key_up() -> None:
    server = Server()
    with pytest.raises(errors.InvalidCommand):
        server.create(" ", idempotency_key="k")
    assert server.create("B", idempotency_key="k").command == "B"


@pytest.mark.parametrize("profile", ["redis", "kvrocks-2.8", "kvrocks-2.9"])
def test_c8_a_key_counts_for_a_day_from_its_first_use(profile: str) -> None:
    server = Server(profile)
    first = server.create(idempotency_key="k")
    server.wait(DAY_SECONDS / 2)
    assert server.create(idempotency_key="k") is first  # and starts no new day
    server.wait(DAY_SECONDS / 2 - 0.001)
    assert server.create(idempotency_key="k") is first
    server.wait(ms=1)
    second = server.create(idempotency_key="k")
    assert second is not first
    server.wait(DAY_SECONDS - 1)
    assert server.create(idempotency_key="k") is second


def test_c8_the_key_of_a_task_that_is_gone_makes_a_new_one_and_starts_a_new_day() -> None:
    server = Server()
    first = server.create(idempotency_key="k")
    server.wait(3600)
    assert at_once(server.broker.cleanup(before=START + DAY_SECONDS * SECOND, limit=0)) == 1
    second = server.create(idempotency_key="k")
    assert second.id != first.id
    server.wait(DAY_SECONDS - 1)
    assert server.create(idempotency_key="k") is second


def test_c8_a_key_that_made_a_new_task_is_forgotten_after_those_of_its_first_day() -> None:
    server = Server()
    server.create(idempotency_key="again")
    server.wait(1)
    server.create(idempotency_key="once")
    at_once(server.broker.cleanup(before=START + DAY_SECONDS * SECOND, limit=0))
    server.wait(3600)
    server.create(idempotency_key="again")
    server.wait(DAY_SECONDS - 1800)
    server.create(idempotency_key="new")
    assert list(server.broker.keys.kept) == ["again", "new"]


def test_c8_expired_keys_are_forgotten() -> None:
    server = Server()
    for number in range(10):
        server.create(idempotency_key=f"k-{number}")
    server.wait(DAY_SECONDS)
    server.create(idempotency_key="new")
    assert list(server.broker.keys.kept) == ["new"]


def test_a9_a_producer_without_a_tenant_makes_tasks_without_one() -> None:
    server = Server()
    task = server.create(tenant="")
    assert task.tenant == ""
    assert server.claim(tenant="acme") is None
    assert server.claim(tenant="") is task
