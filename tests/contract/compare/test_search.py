"""A comparison finds what is different, with the fewest requests that show it, and nothing where nothing is."""

from __future__ import annotations

import pytest

from codeq_contract.compare import started_pair
from codeq_contract.compare.player import Player
from codeq_contract.compare.steps import Send
from tests.contract.compare.support import RIGHT, MutantTarget, comparison


@pytest.mark.slow
def test_two_fakes_do_not_differ() -> None:
    outcome = comparison(RIGHT, requests=150)
    assert (outcome.requests >= 150, outcome.found) == (True, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutant",
    [
        "W3.3/1",  # a second try of a callback, which most sessions do not have
        "D1.3/1",  # a server that fails
    ],
)
def test_a_few_sessions_find_a_defect_that_few_requests_show(mutant: str) -> None:
    with started_pair(RIGHT, MutantTarget("redis", mutant=mutant)) as pair:
        sessions = Player(pair).play(pair.grammar.plan(f"1 {number}") for number in range(20))
        assert any(session.finding for session in sessions)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "place", "requests"),
    [
        ("C3.12/2", "webhook", 1),
        ("N1.1/1", "status 404 and 500", 1),
        ("N2.3/1", "body.status", 3),
    ],
)
def test_a_defect_is_found_with_the_fewest_requests_that_show_it(mutant: str, place: str, requests: int) -> None:
    outcome = comparison(MutantTarget("redis", mutant=mutant), requests=2000)
    [difference] = outcome.differences
    assert place in str(difference.kind)
    assert sum(isinstance(step, Send) for step in difference.smallest.plan) <= requests
