"""Ids and jitter: repeatable with a seed, queued values first, and never an id twice."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.runtime.ids import RandomSource, TakenIdError

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def draw(source: RandomSource) -> list[object]:
    return [
        source.task_id(),
        source.subscription_id(),
        source.trace_id(),
        source.span_id(),
        source.request_id(),
        source.between(0, 10**9),
    ]


@given(seed=st.integers())
def test_ids_have_the_forms_of_the_real_server(seed: int) -> None:
    source = RandomSource(seed)
    assert UUID4.fullmatch(source.task_id())
    assert UUID4.fullmatch(source.subscription_id())
    assert re.fullmatch(r"[0-9a-f]{32}", source.trace_id())
    assert re.fullmatch(r"[0-9a-f]{16}", source.span_id())
    assert re.fullmatch(r"[0-9a-f]{32}", source.request_id())


@given(low=st.integers(0, 100), more=st.integers(0, 100), seed=st.integers())
def test_jitter_lies_between_its_bounds(low: int, more: int, seed: int) -> None:
    assert low <= RandomSource(seed).between(low, low + more) <= low + more


def test_jitter_reaches_both_bounds() -> None:
    source = RandomSource(1)
    assert {source.between(0, 2) for _ in range(100)} == {0, 1, 2}


def test_one_seed_draws_the_same_twice() -> None:
    assert draw(RandomSource(7)) == draw(RandomSource(7))
    assert draw(RandomSource(7)) != draw(RandomSource(8))


def test_without_a_seed_two_fakes_draw_differently() -> None:
    assert draw(RandomSource()) != draw(RandomSource())


def test_ids_differ() -> None:
    source = RandomSource(1)
    assert len({source.task_id() for _ in range(1000)}) == 1000


def test_queued_ids_and_delays_come_first_and_in_order() -> None:
    source = RandomSource(1)
    source.queue(ids=["a", "b"], delays=[3])
    source.queue(ids=["c"], delays=[900])
    assert [source.task_id(), source.subscription_id(), source.task_id()] == ["a", "b", "c"]
    assert [source.between(0, 1), source.between(0, 1)] == [3, 900]
    assert UUID4.fullmatch(source.task_id())
    assert source.between(5, 5) == 5


def test_queued_ids_are_for_tasks_and_subscriptions_alone() -> None:
    source = RandomSource(1)
    source.queue(ids=["a"], delays=[1])
    assert "a" not in (source.trace_id(), source.span_id(), source.request_id())
    assert source.task_id() == "a"


def test_queued_values_do_not_change_the_draws_after_them() -> None:
    plain, queued = RandomSource(1), RandomSource(1)
    queued.queue(ids=["a"], delays=[1])
    assert (queued.task_id(), queued.between(0, 1)) == ("a", 1)
    assert draw(queued) == draw(plain)


@pytest.mark.parametrize("ids", [["new", "known"], ["new", "new"], ["new", "queued"]])
def test_a_list_with_a_taken_id_is_not_queued(ids: list[str]) -> None:
    source = RandomSource(1)
    source.avoid({"known"})
    source.queue(ids=["queued"])
    with pytest.raises(TakenIdError, match=ids[1]):
        source.queue(ids=ids, delays=[1])
    assert source.task_id() == "queued"
    assert UUID4.fullmatch(source.task_id())
    assert source.between(0, 0) == 0


def test_an_id_that_is_known_is_never_drawn_again() -> None:
    first, second, third = (RandomSource(1), RandomSource(1), RandomSource(1))
    drawn = [first.task_id() for _ in range(3)]
    second.avoid({drawn[0]}, {drawn[1]: "a task"})
    assert second.task_id() == drawn[2]
    assert third.task_id() == drawn[0]
