"""Recipes: sentences that make fault rules, for the page and the command line."""

from __future__ import annotations

import pytest

from codeq_fake.faults import BadFaultError, parsing
from codeq_fake.faults.recipes import RECIPES, REQUESTS, Recipe, read_sentence
from codeq_fake.http.faults.matching import NAMES


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [
        ("lose the reply to the next result", {"do": "drop_reply", "on": "submit", "times": 1}),
        ("Lose the reply to the  next 2 completions", {"do": "drop_reply", "on": "complete", "times": 2}),
        ("answer 503 to the next 3 claims", {"do": "refuse", "status": 503, "on": "claim", "times": 3}),
        ("delay the next request by 1m 30s", {"do": "delay", "seconds": 90, "times": 1}),
        ("freeze the heartbeats of worker w-1", {"do": "hang", "on": "heartbeat", "worker": "w-1"}),
        ("end the lease of the next claim", {"do": "expire_lease", "on": "claim", "times": 1}),
        ("send callbacks 30 s late", {"do": "callback_late", "seconds": 30}),
        ("send the next callback twice", {"do": "callback_twice", "times": 1}),
    ],
)
def test_a_sentence_makes_a_rule(sentence: str, rule: dict[str, object]) -> None:
    assert read_sentence(sentence) == rule


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.sentence)
@pytest.mark.parametrize("times", ["1", "4"])
def test_each_recipe_is_read_as_it_is_written(recipe: Recipe, times: str) -> None:
    values = {**recipe.example, "times": times}
    rule = recipe.filled(values)
    assert read_sentence(recipe.written(values)) == rule
    parsing.named(parsing.rule_of(rule), NAMES)  # a fake takes it


def test_one_of_a_thing_is_written_without_its_number() -> None:
    assert RECIPES[0].written({"on": "result"}) == "lose the reply to the next result"
    assert RECIPES[1].written({"status": "503", "times": "3", "on": "claim"}) == "answer 503 to the next 3 claims"


def test_each_request_of_a_blank_is_one_that_a_rule_may_name() -> None:
    assert {on for on in REQUESTS.values() if on is not None} <= set(NAMES)


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("lose the reply to the next reslt", "'reslt' is no request here; known are result, completion"),
        ("loose the reply of a result", "did you mean lose the reply to the next result?"),
        ("nonsense", "known are, for example: lose the reply to the next result, answer 503"),
        ("send callbacks 30 bananas late", "seconds: '30 bananas' does not belong there"),
    ],
)
def test_a_sentence_of_no_recipe_is_refused_with_a_hint(sentence: str, reason: str) -> None:
    with pytest.raises(BadFaultError, match=reason.replace("?", r"\?")):
        read_sentence(sentence)
