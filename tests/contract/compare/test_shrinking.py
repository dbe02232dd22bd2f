"""A plan becomes as small as it can be while it still shows a difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codeq_contract.compare.grammar import VIRTUAL, Grammar
from codeq_contract.compare.shrinking import First, shrunk
from codeq_contract.compare.steps import Body, Plan, Send, Wait

GRAMMAR = Grammar(VIRTUAL, frozenset({"producer", "worker"}), has_odd_tokens=True, is_direct=True)


def first_that(shows: Callable[[Plan], bool]) -> First:
    def first_of(plans: Sequence[Plan]) -> Plan | None:
        return next(filter(shows, plans), None)

    return first_of


def test_only_the_steps_that_matter_are_left() -> None:
    plan = GRAMMAR.plan("a plan")
    needed = {plan[3], plan[17], plan[-1]}
    assert shrunk(plan, first_that(lambda each: needed <= set(each))) == (plan[3], plan[17], plan[-1])


def test_a_request_keeps_only_the_parts_that_matter() -> None:
    item = Body("{", ('"a":1', '"b":2'), "}")
    batch = Body('{"tasks":[', (item, item, item), "]}")
    plan = (Wait(1), Send(1, "POST", "/path?a=b", "worker", (("X", "1"), ("Y", "2")), batch))
    [left] = shrunk(plan, first_that(lambda each: '"b":2' in str(each) and "('Y', '2')" in str(each)))
    assert left == Send(
        1, "POST", "/path", "worker", (("Y", "2"),), Body('{"tasks":[', (Body("{", ('"b":2',), "}"),), "]}")
    )


def test_a_seed_draws_the_same_plan_again_and_another_one_another() -> None:
    assert GRAMMAR.plan("1 7") == GRAMMAR.plan("1 7") != GRAMMAR.plan("1 8")
