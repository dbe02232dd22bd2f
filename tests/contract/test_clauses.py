"""The register of facts, and what it says of cases."""

from __future__ import annotations

import pytest

from codeq_contract.clauses import CLAUSES, FACTS, SECTIONS, RegisterError, check_case, shortened
from codeq_contract.suite.runner import FEATURES


def test_each_clause_has_facts_that_are_numbered_from_1() -> None:
    for clause in CLAUSES:
        numbers = [fact.id for fact in FACTS.values() if fact.clause == clause]
        assert numbers == [f"{clause}.{number}" for number in range(1, len(numbers) + 1)]
        assert numbers


def test_each_clause_is_in_one_section() -> None:
    assert [clause for clauses in SECTIONS.values() for clause in clauses] == [*CLAUSES]


def test_each_fact_is_one_sentence_and_none_is_there_twice() -> None:
    says = [fact.says for fact in FACTS.values()]
    assert len(set(says)) == len(says)
    assert [text for text in says if not text.endswith((".", ")"))] == []


def test_a_fact_needs_features_that_a_target_can_have() -> None:
    with_defaults = {*FEATURES, "batch", "long_poll", "subscriptions", "artifacts", "metrics"}
    with_defaults |= {"rate_limit", "tracing", "long_waits"}
    assert {feature for fact in FACTS.values() for feature in fact.needs} <= with_defaults


def test_at_most_one_fact_in_twenty_is_seen_by_no_client() -> None:
    invisible = [fact for fact in FACTS.values() if fact.invisible]
    assert 0 < len(invisible) <= len(FACTS) / 20


@pytest.mark.parametrize(
    ("groups", "facts", "error"),
    [
        (["core"], [], "test_it names no fact of the contract"),
        (["core"], ["C1"], "test_it names C1, which the contract does not have"),
        (["core"], ["C1.99"], "test_it names C1.99, which the contract does not have"),
        (["core"], ["C1.1", "C1.1"], "test_it names C1.1 twice"),
        (["core"], ["M3.18"], "test_it names M3.18, which no client can see: without its task"),
        ([], ["C1.1"], "test_it is in 0 groups"),
        (["core", "timed"], ["C1.1"], "test_it is in 2 groups"),
    ],
)
def test_a_case_is_in_one_group_and_names_visible_facts_once(groups: list[str], facts: list[str], error: str) -> None:
    with pytest.raises(RegisterError, match=error):
        check_case("test_it", groups, facts)


def test_runs_of_facts_are_shortened() -> None:
    assert shortened(["K5.3", "K5.1", "K5.2", "K8.2", "C9.13", "K6.1"]) == "C9.13, K5.1-K5.3, K6.1, K8.2"
