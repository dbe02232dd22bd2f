"""The plan: its decisions are pure, and the same for the same rules and occasions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeq_fake.faults import Occasion, Plan, Rule
from codeq_fake.faults.rule import CALLBACK, KINDS, NOTICE, REQUEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codeq_fake.payloads import FaultKind

ARGUMENTS = {"delay": 1.0, "clock_skew": -1.0, "callback_late": 1.0}

occasions = st.builds(
    Occasion,
    names=st.sampled_from(
        [
            frozenset({REQUEST, "claim"}),
            frozenset({REQUEST, "submit", "complete"}),
            frozenset({CALLBACK}),
            frozenset({NOTICE}),
        ]
    ),
    worker=st.sampled_from(["w-1", "w-2"]),
    commands=st.frozensets(st.sampled_from(["a", "b"])),
    tasks=st.frozensets(st.sampled_from(["1", "2"])),
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    do = draw(st.sampled_from(sorted(KINDS)))
    maybe: dict[str, st.SearchStrategy[Any]] = {
        "on": st.sampled_from(["claim", "submit", "complete", CALLBACK, NOTICE]),
        "worker": st.just("w-1"),
        "command": st.sampled_from(["A", "b"]),
        "task": st.just("1"),
        "nth": st.integers(1, 4),
        "times": st.integers(1, 3),
        "probability": st.sampled_from([0.0, 0.4, 1.0]),
        "seed": st.integers(0, 3),
    }
    given_names = draw(st.sets(st.sampled_from(sorted(maybe)), max_size=3))
    return Rule(
        cast("FaultKind", do), seconds=ARGUMENTS.get(do), **{name: draw(maybe[name]) for name in sorted(given_names)}
    )


def fired(plan: Plan, met: Sequence[Occasion]) -> list[list[int]]:
    """The numbers of what fires on each occasion."""
    return [[fault.number for fault in plan.decide(occasion)] for occasion in met]


def planned(made: Sequence[Rule]) -> Plan:
    plan = Plan()
    plan.add(made)
    return plan


@pytest.mark.slow
@settings(max_examples=50)
@given(st.lists(rules(), max_size=6), st.lists(occasions, max_size=20))
def test_the_same_rules_decide_the_same_on_the_same_occasions(made: list[Rule], met: list[Occasion]) -> None:
    assert fired(planned(made), met) == fired(planned(made), met)


@pytest.mark.slow
@settings(max_examples=50)
@given(st.lists(rules(), max_size=6), st.lists(occasions, max_size=20))
def test_a_fault_fires_from_its_nth_match_on_and_at_most_times_times(made: list[Rule], met: list[Occasion]) -> None:
    plan = planned(made)
    faults = list(plan.active.values())
    for occasion in met:
        before = [(fault.met, fault.fired) for fault in faults]
        decided = plan.decide(occasion)
        for fault, (seen, done) in zip(faults, before, strict=True):
            rule = fault.rule
            assert fault.fired - done == (fault in decided)
            assert fault.met - seen <= rule.matches(occasion)
            if fault in decided:
                assert fault.met >= (rule.nth or 1)
                assert fault.fired <= (rule.times or (1 if rule.nth else fault.met))
                assert rule.probability > 0
        finals = [KINDS[fault.rule.do].is_final for fault in decided]
        assert not any(finals[:-1]), "no fault fires after a final one"


@pytest.mark.slow
@settings(max_examples=50)
@given(rules(), st.lists(rules(), max_size=3), st.lists(occasions, max_size=20))
def test_other_rules_change_neither_the_counts_nor_the_random_numbers_of_a_rule(
    rule: Rule, others: list[Rule], met: list[Occasion]
) -> None:
    """A final fault that fires earlier is the exception: it prevents later ones."""
    alone, among = planned([rule]), planned([*others, rule])
    fired(among, met)
    fired(alone, met)
    last = len(others) + 1
    assert alone.active[1].met == among.active[last].met
    others = [other for other in others if not KINDS[other.do].is_final]
    alone, among = planned([rule]), planned([*others, rule])
    last = len(others) + 1
    assert [bool(numbers) for numbers in fired(alone, met)] == [last in numbers for numbers in fired(among, met)]


def test_probability_1_always_fires_and_0_never() -> None:
    met = [Occasion(frozenset({REQUEST}))] * 100
    assert all(fired(planned([Rule("drop_reply")]), met))
    assert not any(fired(planned([Rule("drop_reply", probability=0)]), met))


def test_a_rule_fires_about_as_often_as_its_probability() -> None:
    plan = planned([Rule("drop_reply", probability=0.25, seed=1)])
    hits = sum(map(bool, fired(plan, [Occasion(frozenset({REQUEST}))] * 400)))
    assert 80 < hits < 120


def test_a_fault_that_could_not_happen_is_not_counted() -> None:
    plan = planned([Rule("lose_task", times=1)])
    claim = Occasion(frozenset({REQUEST, "claim"}))
    [fault] = plan.decide(claim)
    plan.take_back(fault)
    assert (fault.met, fault.fired) == (1, 0)
    assert plan.decide(claim) == [fault]
    assert plan.decide(claim) == []


def test_only_what_could_never_fire_was_missed() -> None:
    plan = planned([Rule("reset"), Rule("reset", nth=2), Rule("reset", worker="w-9"), Rule("hang", probability=0)])
    plan.add([Rule("callback_lost")], is_background=True)
    plan.decide(Occasion(frozenset({REQUEST, "claim"}), worker="w-1"))
    assert [str(fault.rule) for fault in plan.missed()] == ["reset nth=2", "reset worker=w-9"]


def test_numbers_are_never_used_again() -> None:
    plan = planned([Rule("reset"), Rule("hang")])
    assert plan.remove(2) is not None
    assert plan.remove(2) is None
    plan.clear()
    assert [fault.number for fault in plan.add([Rule("reset")])] == [3]
